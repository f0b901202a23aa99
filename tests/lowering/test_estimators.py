"""What training leaves in a file: straight-through estimators, as their authors write them in PyTorch and Keras."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bireal_hw import golden
from bireal_hw.errors import BirealError
from bireal_hw.lowering import convert
from bireal_hw.lowering.compare import compare
from bireal_hw.lowering.convert import generated, rows
from tests.lowering.test_foreign import CHANNELS, SIDE, File
from tests.lowering.test_signs import PADDED, SIGNS, Form, coarse

# ---- every order of the two sums; b is anything, also what no rule reads


def _sine(file: File, x: str) -> str:
    return file.node("Sin", x)


STRAIGHT: dict[str, Form] = {
    "a - b + b": lambda file, x: file.node("Add", file.node("Sub", SIGNS["Larq"](file, x), b := _sine(file, x)), b),
    "b + (a - b)": lambda file, x: file.node("Add", b := _sine(file, x), file.node("Sub", SIGNS["Larq"](file, x), b)),
    "x + (-x + a)": lambda file, x: file.node(
        "Add", x, file.node("Add", file.node("Neg", x), SIGNS["QKeras, scaled"](file, x))
    ),
    "(a + -x) + x": lambda file, x: file.node(
        "Add", file.node("Add", SIGNS["a cast"](file, x), file.node("Neg", x)), x
    ),
    "passed on": lambda file, x: file.node(
        "Add",
        file.node("Identity", file.node("Sub", SIGNS["a cast"](file, x), file.node("Identity", b := _sine(file, x)))),
        file.node("Identity", b),
    ),
    "Sign alone": lambda file, x: file.node(
        "Add", file.node("Sub", file.node("Sign", y := file.node("Add", x, file.constant(0.25))), y), y
    ),
}


def _finished(file: File, bits: str, path: Path) -> None:
    weights = file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 3, 3)))
    file.finish(file.affine(file.node("Conv", bits, weights, **PADDED)), path)


@pytest.mark.parametrize("form", STRAIGHT)
def test_an_estimator_is_what_it_stands_for(form: str, tmp_path: Path) -> None:
    file = File()
    _finished(file, STRAIGHT[form](file, coarse(file)), tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx")
    assert [node.op.kind for node in found.graph].count("binary_conv") == 1
    assert "a straight-through estimator, left out" in [entry.becomes for entry in found.journal]
    distance = compare(found, generated((5, SIDE, SIDE, 3)))
    assert not distance.exact  # float32 rounds in the file
    assert distance.rms < 1e-4 * distance.spread
    table, error = rows(tmp_path / "m.onnx")
    assert error is None
    assert {row.kind for row in table if row.becomes == "left out: an estimator's"} >= {"Sub"} or "-x" in form
    assert len(table) == len(found.model.graph.node)


@pytest.mark.parametrize("kind", ["another b", "taken away twice", "b of constants"])
def test_what_is_no_estimator_is_read_as_it_is(kind: str, tmp_path: Path) -> None:
    file = File()
    x = coarse(file)
    bits = SIGNS["Larq"](file, x)
    if kind == "b of constants":
        c = file.node("Neg", file.constant(0.5))
        _finished(file, file.node("Add", file.node("Sub", bits, c), c), tmp_path / "m.onnx")
        found = convert(tmp_path / "m.onnx")
        assert not any("estimator" in entry.becomes for entry in found.journal)
        compare(found, generated((5, SIDE, SIDE, 3)))
        return
    b, other = _sine(file, x), _sine(file, x)
    inner = file.node("Sub", bits, b)
    y = file.node("Add", inner, other) if kind == "another b" else file.node("Sub", inner, b)
    _finished(file, y, tmp_path / "m.onnx")
    with pytest.raises(BirealError, match="is a Sin"):
        convert(tmp_path / "m.onnx")


# ---- networks in PyTorch as the authors of Bi-Real and ReActNet write them


class Binary(nn.Module):
    """The sign, whose derivative is that of a piecewise quadratic function."""

    def forward(self, x: Tensor) -> Tensor:
        low, negative, below = ((x < end).float() for end in (-1, 0, 1))
        y = -low + (x * x + 2 * x) * (1 - low)
        y = y * negative + (2 * x - x * x) * (1 - negative)
        y = y * below + (1 - below)
        return torch.sign(x).detach() - y.detach() + y


class Conv(nn.Module):
    """Signs of weights times the mean of their magnitudes in each output channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels, 3, 3) * 0.05)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight.abs().mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True)
        hard, soft = scale.detach() * torch.sign(self.weight), self.weight.clamp(-1, 1)
        return F.conv2d(x, hard.detach() - soft.detach() + soft, padding=1)


class Bias(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(1, channels, 1, 1) * 0.2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.expand_as(x)


class Block(nn.Module):
    def __init__(self, channels: int, react: bool) -> None:
        super().__init__()
        self.move = Bias(channels) if react else nn.Identity()
        self.binary, self.conv, self.bn = Binary(), Conv(channels), nn.BatchNorm2d(channels)
        bend = nn.Sequential(Bias(channels), nn.PReLU(channels), Bias(channels))
        self.bend = bend if react else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bend(x + self.bn(self.conv(self.binary(self.move(x)))))
        return y


class Network(nn.Module):
    def __init__(self, react: bool) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(Block(8, react), Block(8, react))
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(self.blocks(self.bn(self.stem(x))).mean((2, 3)))
        return y


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("react", [False, True])
def test_networks_of_the_authors(react: bool, dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Network(react).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, 0, 0.3)
    example = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        model(torch.rand(32, 3, 16, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), (example,), str(tmp_path / "m.onnx"), dynamo=dynamo)
    found = convert(tmp_path / "m.onnx")
    assert [node.op.kind for node in found.graph].count("binary_conv") == 2
    pixels = generated((16, 16, 16, 3))
    distance = compare(found, pixels)
    assert distance.agreement == 1
    assert distance.rms < 0.02 * distance.spread
    with torch.no_grad():
        wanted = model(torch.from_numpy(found.pixels.of(pixels))).argmax(1).numpy()
    assert np.array_equal(wanted, golden.run(found.graph, pixels).argmax(1))
