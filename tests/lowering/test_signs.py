"""Networks that know no quantizer: signs of Larq, QKeras and PyTorch, weights that are plus or minus a number."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from bireal_hw.errors import BirealError
from bireal_hw.lowering import convert
from bireal_hw.lowering.compare import Distance, compare
from bireal_hw.lowering.convert import generated
from tests.lowering.test_foreign import CHANNELS, SIDE, File

PADDED: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1] * 4}
Form = Callable[[File, str], str]


def _where(kind: str, turned: bool, numbers: tuple[float, float], level: object = 0.0) -> Form:
    def made(file: File, x: str) -> str:
        y = file.constant(level)
        flags = file.node(kind, *((y, x) if turned else (x, y)))
        return file.node("Where", flags, *(file.constant(one) for one in numbers))

    return made


def _larq(file: File, x: str) -> str:
    return file.node("Sign", file.node("Add", file.node("Sign", x), file.constant(0.1)))


def _larq_downwards(file: File, x: str) -> str:
    return file.node("Sign", file.node("Sub", file.node("Sign", x), file.constant(0.1)))


def _qkeras(file: File, x: str) -> str:
    sign = file.node("Sign", x)
    return file.node("Add", sign, file.node("Sub", file.constant(1.0), file.node("Abs", sign)))


def _cast(file: File, x: str) -> str:
    number = file.node("Cast", file.node("GreaterOrEqual", x, file.constant(0.0)), to=TensorProto.FLOAT)
    return file.node("Sub", file.node("Mul", number, file.constant(2.0)), file.constant(1.0))


SIGNS: dict[str, Form] = {
    "Larq": _larq,
    "Larq, 0 is -1": _larq_downwards,
    "Larq, scaled": lambda file, x: file.node("Mul", _larq(file, x), file.constant(-0.5)),
    "Larq, opposite": lambda file, x: file.node("Neg", _larq(file, x)),
    "QKeras": _qkeras,
    "QKeras, scaled": lambda file, x: file.node("Mul", file.constant(0.25), _qkeras(file, x)),
    "a cast": _cast,
    "not a cast": lambda file, x: file.node("Neg", _cast(file, x)),
    "a sign of bits": lambda file, x: file.bits(file.bits(x, 2.0), 0.5),
    "Sign of bits": lambda file, x: file.node("Sign", file.bits(x, 2.0)),
    "not less": lambda file, x: file.node(
        "Where", file.node("Not", file.node("Less", x, file.constant(0.0))), file.constant(1.0), file.constant(-1.0)
    ),
    **{
        f"{kind}, {turned}, {numbers}": _where(kind, turned, numbers)
        for kind, turned, numbers in product(
            ("Greater", "GreaterOrEqual", "Less", "LessOrEqual"), (False, True), ((1.0, -1.0), (-0.25, 0.25))
        )
    },
}


def held(file: File, bits: str, path: Path) -> Distance:
    """The distance of a network whose only binary convolution reads these bits."""
    weights = file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 3, 3)))
    file.finish(file.affine(file.node("Conv", bits, weights, **PADDED)), path)
    found = convert(path)
    assert [node.op.kind for node in found.graph].count("sign") == 1
    assert [node.op.kind for node in found.graph].count("binary_conv") == 1
    return compare(found, generated((5, SIDE, SIDE, 3)))


def coarse(file: File, gain: object = 1.0) -> str:
    """Numbers on a coarse grid, of which many are 0."""
    return file.quant(file.node("Mul", file.start(), file.constant(gain)), 0.5, 8)


@pytest.mark.parametrize("gain", [1.0, -2.0])
@pytest.mark.parametrize("form", SIGNS)
def test_signs_of_any_form(form: str, gain: float, tmp_path: Path) -> None:
    file = File()
    distance = held(file, SIGNS[form](file, coarse(file, gain)), tmp_path / "m.onnx")
    assert distance.exact
    assert distance.largest == 0
    assert distance.zeros == 0


@pytest.mark.parametrize("form", ["Larq", "QKeras", "a cast", "Greater, True, (1.0, -1.0)"])
@pytest.mark.parametrize("bend", ["Relu", "BatchNormalization", "Clip", "MaxPool"])
def test_signs_of_any_form_behind_other_layers(form: str, bend: str, tmp_path: Path) -> None:
    """0 over a range, and gains of both signs and 0 per channel: not one bit differs."""
    file = File()
    x = coarse(file)
    gains = [np.array([1.0, -1, 0.5, -0.5, 2, 0, -2, 0]), np.array([0.0, 0, 0.5, 0.5, -1, 0, -1, 1])]
    more: dict[str, tuple[list[str], dict[str, Any]]] = {
        "Relu": ([], {}),
        "BatchNormalization": ([file.constant(one) for one in (*gains, np.zeros(8), np.ones(8))], {"epsilon": 0.0}),
        "Clip": ([file.constant(-0.5), file.constant(0.0)], {}),
        "MaxPool": ([], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    }
    inputs, attributes = more[bend]
    x = file.node(bend, x, *inputs, **attributes)
    weights = file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 3, 3)))
    dot = file.node("Conv", SIGNS[form](file, x), weights, **PADDED)
    file.finish(file.affine(dot), tmp_path / "m.onnx", 16 if bend == "MaxPool" else 64)
    assert compare(convert(tmp_path / "m.onnx"), generated((5, SIDE, SIDE, 3))).largest == 0


LEVELS = np.array([-1.0, -0.5, 0, 0.5, 1, 1.5, 2, -2])


@pytest.mark.parametrize("shape", [(8, 1, 1), (1, 8, 1, 1)])
@pytest.mark.parametrize(
    ("kind", "turned"), list(product(("Greater", "GreaterOrEqual", "Less", "LessOrEqual"), (0, 1)))
)
def test_a_level_for_each_channel(kind: str, turned: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    file = File()
    bits = _where(kind, bool(turned), (1.0, -1.0), LEVELS.reshape(shape))(file, coarse(file))
    assert held(file, bits, tmp_path / "m.onnx").largest == 0


@pytest.mark.parametrize("shape", [(8,), (1, 1, 8, 1)])
def test_a_level_for_each_place_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    file = File()
    bits = _where("Less", False, (1.0, -1.0), LEVELS.reshape(shape))(file, coarse(file))
    with pytest.raises(BirealError, match=r"found a constant of shape \[.*\]; supported: one number, or shape \[8, 1"):
        held(file, bits, tmp_path / "m.onnx")


# ---- a sign that is 0 at 0


@pytest.mark.parametrize("gain", [1.0, -1.0, 0.25])
def test_a_sign_that_is_0_at_0_is_told_and_counted(gain: float, tmp_path: Path) -> None:
    """PyTorch's and ONNX's own: the hardware has no third number."""
    file = File()
    distance = held(file, file.node("Sign", coarse(file, gain)), tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx")
    words = "the sign of 0 is 0 in the file, and that of a positive number here"
    assert [entry.becomes for entry in found.journal if entry.moved == 1] == [words]
    assert not distance.exact
    assert distance.zeros == _zeros(found.model, generated((5, SIDE, SIDE, 3)))
    assert f"{distance.zeros} signs are 0 in the file" in distance.words


def _zeros(model: onnx.ModelProto, pixels: np.ndarray) -> int:
    from bireal_hw.lowering.reference import FileRunner

    (sign,) = (node.output[0] for node in model.graph.node if node.op_type == "Sign")
    seen: list[int] = []
    for image in pixels:
        FileRunner(model, [sign]).run(
            image.transpose(2, 0, 1)[None].astype(np.float32),
            lambda name, value: seen.append(int((value == 0).sum())) if name == sign else None,
        )
    assert sum(seen) > 100
    return sum(seen)


def test_a_sign_that_is_never_0_is_exact(tmp_path: Path) -> None:
    file = File()
    x = file.node("Add", coarse(file), file.channels(LEVELS + 0.25))
    assert held(file, file.node("Sign", x), tmp_path / "m.onnx").exact


FLAT: dict[str, Form] = {
    "ReLU": lambda file, x: file.node("Relu", x),
    "ReLU, moved": lambda file, x: file.node(
        "Sub", file.node("Relu", x), file.channels(np.array([1.0, 1, 0, 1, 1, 1, 1, 1]))
    ),
    "Clip": lambda file, x: file.node("Clip", x, file.constant(-3.0), file.constant(0.0)),
    "PReLU": lambda file, x: file.node("PRelu", x, file.channels(np.array([0.5, 0, 0.5, 1, 1, 1, 1, 1]))),
    "gain 0": lambda file, x: file.node("Mul", x, file.channels(np.array([1.0, 0, 1, 1, 1, 1, 1, 1]))),
    "unsigned": lambda file, x: file.node(
        "Quant", x, file.constant(0.5), file.constant(0.0), file.constant(7.0), signed=0, rounding_mode="FLOOR"
    ),
}


@pytest.mark.parametrize("form", FLAT)
def test_a_sign_that_is_0_over_a_range_is_refused(form: str, tmp_path: Path) -> None:
    file = File()
    x = FLAT[form](file, coarse(file))
    with pytest.raises(BirealError, match=r"found the sign, 0 at 0, of .*, which .* makes 0 over a range; supported"):
        held(file, file.node("Sign", x), tmp_path / "m.onnx")


@pytest.mark.parametrize("numbers", [(1.0, 0.0), (0.0, 1.0), (0.5, -0.25)])
@pytest.mark.parametrize("kind", ["Greater", "LessOrEqual"])
def test_a_choice_of_any_two_numbers_is_numbers(kind: str, numbers: tuple[float, float], tmp_path: Path) -> None:
    """0 and 1, as DoReFa has it: a real-valued layer of them."""
    file = File()
    x = _where(kind, False, numbers)(file, coarse(file))
    weights = file.constant(file.rng.choice([-0.5, 0.5], (CHANNELS, CHANNELS, 3, 3)))
    file.finish(file.quant(file.node("Conv", x, weights, **PADDED), 2.0**-8, 16), tmp_path / "m.onnx")
    assert compare(convert(tmp_path / "m.onnx"), generated((5, SIDE, SIDE, 3))).largest == 0


def test_what_is_no_sign_is_refused(tmp_path: Path) -> None:
    file = File()
    bits = _where("Greater", False, (0.5, 0.5))(file, coarse(file))
    with pytest.raises(BirealError, match=r"found a choice of 0.5, 0.5 and 0.5 for .*; supported: two numbers"):
        held(file, bits, tmp_path / "m.onnx")
    file = File()
    x = coarse(file)
    flags = file.node("Less", x, file.node("Neg", x))
    bits = file.node("Where", flags, file.constant(1.0), file.constant(-1.0))
    with pytest.raises(BirealError, match=r"\(Less\): found .* beside .*; supported: a tensor beside a constant"):
        held(file, bits, tmp_path / "m.onnx")
    file = File()
    flags = file.node("Less", coarse(file), file.constant(0.0))
    bits = file.node("Where", flags, file.channels(LEVELS), file.constant(-1.0))
    with pytest.raises(BirealError, match=r"\(Where\): found numbers of shape \[1, 8, 1, 1\]; supported: one for all"):
        held(file, bits, tmp_path / "m.onnx")


# ---- weights


def _scaled(size: object) -> Callable[[File, np.ndarray], str]:
    return lambda file, signs: file.constant(signs * np.asarray(size))


def _computed(file: File, signs: np.ndarray) -> str:
    """As PyTorch's authors write it: the mean of each channel's magnitudes times the signs, left in the file."""
    raw = file.constant(signs * file.rng.choice([0.25, 0.75], (CHANNELS, 1, 1, 1)))
    size = file.node("ReduceMean", file.node("Abs", raw), file.constant(np.array([1, 2, 3], np.int64)), keepdims=1)
    return file.node("Mul", size, file.node("Sign", raw))


STEPS = np.exp2(np.arange(-4.0, 4)).reshape(-1, 1, 1, 1)
WEIGHTS: dict[str, Callable[[File, np.ndarray], str]] = {
    "1": _scaled(1.0),
    "one number": _scaled(0.25),
    "each channel": _scaled(STEPS),
    "computed": _computed,
    "Larq": lambda file, signs: _larq(file, file.constant(signs * file.rng.uniform(0.1, 1, signs.shape))),
    "Where": lambda file, signs: _where("Less", True, (1.0, -1.0))(
        file, file.constant(signs * file.rng.uniform(0.1, 1, signs.shape))
    ),
}


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("form", WEIGHTS)
def test_weights_of_one_magnitude(form: str, kernel: int, tmp_path: Path) -> None:
    file = File()
    weights = WEIGHTS[form](file, file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, kernel, kernel)))
    bits = file.bits(file.start())
    x = file.node("Conv", bits, weights, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)
    file.finish(file.quant(x, 0.25, 16), tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx")
    assert "binary_conv" in [node.op.kind for node in found.graph]
    assert compare(found, generated((5, SIDE, SIDE, 3))).largest == 0


@pytest.mark.parametrize("transposed", [0, 1])
def test_weights_of_a_dense_layer(transposed: int, tmp_path: Path) -> None:
    file = File()
    x = file.node("Flatten", file.node("GlobalMaxPool", coarse(file)))
    steps = STEPS.reshape(-1, 1) if transposed else STEPS.reshape(1, -1)
    weights = file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS)) * steps)
    y = file.node("Gemm", _larq(file, file.node("Sub", x, file.constant(3.0))), weights, transB=transposed)
    file.classify(file.quant(y, 0.25, 12), tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx")
    assert "binary_conv" in [node.op.kind for node in found.graph]
    assert compare(found, generated((5, SIDE, SIDE, 3))).largest == 0


@pytest.mark.parametrize(("away", "kind"), [(1e-5, "binary_conv"), (1e-2, "real_conv")])
def test_weights_of_nearly_one_magnitude(away: float, kind: str, tmp_path: Path) -> None:
    """What is left of adding and taking away the same number is told; what is more are weights of 8 bits."""
    file = File()
    signs = file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 3, 3))
    weights = file.constant(signs * 0.5 + file.rng.uniform(-away, away, signs.shape))
    x = file.node("Conv", file.bits(file.start()), weights, **PADDED)
    file.finish(file.quant(x, 2.0**-12, 20), tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx")
    assert not found.exact
    assert [node.op.kind for node in found.graph].count(kind) == (1 if kind == "binary_conv" else 3)
    distance = compare(found, generated((5, SIDE, SIDE, 3)))
    assert distance.rms < 0.05 * distance.spread


def test_one_weight_among_others_is_no_bit(tmp_path: Path) -> None:
    """A 0, a channel of its own magnitude for each input: numbers of 8 bits, not bits."""
    for factor in (np.zeros((1, 1, 1, 1)), np.arange(1.0, 9).reshape(1, -1, 1, 1)):
        file = File()
        signs = file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 1, 1))
        signs = signs * factor if factor.any() else np.where(np.eye(CHANNELS)[:, :, None, None] > 0, 0.0, signs)
        x = file.node("Conv", file.bits(file.start()), file.constant(signs), kernel_shape=[1, 1])
        file.finish(file.quant(x, 2.0**-8, 16), tmp_path / "m.onnx")
        found = convert(tmp_path / "m.onnx")
        assert "binary_conv" not in [node.op.kind for node in found.graph]
        distance = compare(found, generated((5, SIDE, SIDE, 3)))
        assert distance.rms < 0.01 * distance.spread
