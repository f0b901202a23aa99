"""Files as the authors' PyTorch releases write them: names, shapes, meaning, and what a wrong file is told."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bireal_hw.errors import BirealError
from bireal_hw.models import activations
from bireal_hw.models.bireal import BiReal
from bireal_hw.models.quantizers import RangeQuant, WeightQuant
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training import importers
from bireal_hw.training.checkpoint import save_checkpoint
from bireal_hw.training.data import Data
from bireal_hw.training.fit import default_config, train
from bireal_hw.training.importers import layout, load_weights
from bireal_hw.training.recipe import load_recipe

pytestmark = pytest.mark.torch

State = dict[str, Tensor]

BATCHNORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
IMAGENET = {"image": (224, 224), "channels": 3, "classes": 1000}


def batchnorm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{part}": () if part == "num_batches_tracked" else (channels,) for part in BATCHNORM}


# ---- names and shapes, written out once more from the releases' class definitions ----


def flat_names(repeats: tuple[int, ...], base: int, react: bool) -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {}
    before = base
    for stage, repeat in enumerate(repeats, start=1):
        cout = base * 2 ** (stage - 1)
        for index in range(repeat):
            name = f"layer{stage}.{index}"
            if react:
                names[f"{name}.move0.bias"] = (1, before, 1, 1)
                names[f"{name}.binary_conv.weight"] = (cout, before, 3, 3)
                names[f"{name}.move1.bias"] = names[f"{name}.move2.bias"] = (1, cout, 1, 1)
                names[f"{name}.prelu.weight"] = (cout,)
            else:
                names[f"{name}.binary_conv.weights"] = (cout * before * 9, 1)
            names |= batchnorm(f"{name}.bn1", cout)
            if stage > 1 and index == 0:
                names[f"{name}.downsample.1.weight"] = (cout, before, 1, 1)
                names |= batchnorm(f"{name}.downsample.2", cout)
            before = cout
    return names


def bottleneck_names(repeats: tuple[int, ...], base: int) -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {}
    block, before = 0, base
    for stage, repeat in enumerate(repeats):
        m = base * 2**stage
        for index in range(repeat):
            name = f"layers.{block}"
            names[f"{name}.conv1.weight"] = (m, before, 1, 1)
            names[f"{name}.conv2.weight"] = (m, m, 3, 3)
            names[f"{name}.conv3.weight"] = (4 * m, m, 1, 1)
            for number, channels in ((1, m), (2, m), (3, 4 * m)):
                names |= batchnorm(f"{name}.bn{number}", channels)
            if index == 0:
                # The first one reads a quarter of the block's own channels and is never used.
                names[f"{name}.down_conv1x1.weight"] = (m, m // 4 if block == 0 else m // 2, 1, 1)
                names[f"{name}.downsample.1.weight"] = (4 * m, before, 1, 1)
                names |= batchnorm(f"{name}.downsample.2", 4 * m)
            block, before = block + 1, 4 * m
    return names


def separable_names(base: int) -> dict[str, tuple[int, ...]]:
    """ReActNet-A: channels of the stem and of the 13 blocks, each the input of the next."""
    channels = [size * base // 64 for size in [32, 64, 128, 128, 256, 256] + [512] * 6 + [1024] * 2]
    names: dict[str, tuple[int, ...]] = {}
    for number, (cin, cout) in enumerate(itertools.pairwise(channels), start=1):
        name = f"feature.{number}"
        for move in ("move11", "move12", "move13", "move21"):
            names[f"{name}.{move}.bias"] = (1, cin, 1, 1)
        names[f"{name}.move22.bias"] = names[f"{name}.move23.bias"] = (1, cout, 1, 1)
        names[f"{name}.prelu1.weight"], names[f"{name}.prelu2.weight"] = (cin,), (cout,)
        names[f"{name}.binary_3x3.weights"] = (cin * cin * 9, 1)
        names |= batchnorm(f"{name}.bn1", cin)
        if cin == cout:
            names[f"{name}.binary_pw.weights"] = (cin * cin, 1)
            names |= batchnorm(f"{name}.bn2", cin)
        else:
            for half in (1, 2):
                names[f"{name}.binary_pw_down{half}.weights"] = (cin * cin, 1)
                names |= batchnorm(f"{name}.bn2_{half}", cin)
    return names


RELEASES: dict[str, Callable[[int], dict[str, tuple[int, ...]]]] = {
    "bireal18": lambda base: flat_names((4, 4, 4, 4), base, react=False),
    "bireal34": lambda base: flat_names((6, 8, 12, 6), base, react=False),
    "bireal50": lambda base: bottleneck_names((3, 4, 6, 3), base),
    "react18": lambda base: flat_names((4, 4, 4, 4), base, react=True),
    "reactneta": separable_names,
}


def names_of(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    base = spec.stage_channels[0]
    side = 3 if spec.small else 7
    stem = {"conv1.weight": (base, 3, side, side)} | batchnorm("bn1", base)
    if spec.model == "reactneta":
        stem = {"feature.0.conv1.weight": (base // 2, 3, 3, 3)} | batchnorm("feature.0.bn1", base // 2)
    head = {"fc.weight": (spec.classes, spec.features), "fc.bias": (spec.classes,)}
    return stem | RELEASES[spec.model](base) | head


@pytest.mark.parametrize(
    ("model", "keys", "learnable"),
    [
        ("bireal18", 122, 11_689_512),
        ("bireal34", 218, 21_797_672),
        ("bireal50", 324, 25_730_088),
        ("react18", 186, 11_704_424),
        ("reactneta", 298, 29_343_592),
    ],
)
def test_names_shapes_and_counts_of_a_release(model: str, keys: int, learnable: int) -> None:
    spec = ModelSpec(model, **IMAGENET)  # type: ignore[arg-type]
    want, got = names_of(spec), {entry.key: entry.shape for entry in layout(spec)}
    assert got == want
    assert len(got) == keys
    running = ("running_mean", "running_var", "num_batches_tracked")
    assert sum(math.prod(shape) for key, shape in got.items() if not key.endswith(running)) == learnable


def test_lengths_of_flattened_weights() -> None:
    shapes = {entry.key: entry.shape for entry in layout(ModelSpec("bireal18", **IMAGENET))}  # type: ignore[arg-type]
    lengths = [shapes[f"layer{stage}.{index}.binary_conv.weights"][0] for stage in (1, 2, 3, 4) for index in (0, 1)]
    assert lengths == [36_864, 36_864, 73_728, 147_456, 294_912, 589_824, 1_179_648, 2_359_296]


def test_shapes_of_fifty_layers() -> None:
    shapes = {entry.key: entry.shape for entry in layout(ModelSpec("bireal50", **IMAGENET))}  # type: ignore[arg-type]
    down = [shapes[f"layers.{block}.down_conv1x1.weight"][:2] for block in (0, 3, 7, 13)]
    assert down == [(64, 16), (128, 64), (256, 128), (512, 256)]
    assert [shapes[f"layers.{block}.downsample.1.weight"][:2] for block in (0, 3, 7, 13)] == [
        (256, 64),
        (512, 256),
        (1024, 512),
        (2048, 1024),
    ]
    assert [shapes[f"layers.{block}.conv1.weight"][1] for block in (0, 1, 3, 7, 13)] == [64, 256, 256, 512, 1024]


# ---- meaning: the releases' forward pass in plain float32, from the same file ----


def normalise(x: Tensor, state: State, name: str) -> Tensor:
    mean, var, weight, bias = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias)


def binary(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    alpha = weight.abs().mean(dim=(1, 2, 3), keepdim=True)
    bits = torch.where(x >= 0, 1.0, -1.0)
    return F.conv2d(bits, alpha * torch.sign(weight), stride=stride, padding=weight.shape[-1] // 2)


def stem(pixels: Tensor, state: State, small: bool) -> Tensor:
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (importers.MEAN, importers.STD))
    x = (pixels / 255 - mean) / std
    if small:
        return normalise(F.conv2d(x, state["conv1.weight"], padding=1), state, "bn1")
    x = normalise(F.conv2d(x, state["conv1.weight"], stride=2, padding=3), state, "bn1")
    return F.max_pool2d(x, 3, stride=2, padding=1)


def head(x: Tensor, state: State) -> Tensor:
    return F.linear(x.mean(dim=(2, 3)), state["fc.weight"], state["fc.bias"])


def flat_reference(pixels: Tensor, state: State, spec: ModelSpec) -> Tensor:
    x = stem(pixels, state, spec.small)
    for stage in (1, 2, 3, 4):
        index = 0
        while f"layer{stage}.{index}.bn1.weight" in state:
            name = f"layer{stage}.{index}"
            stride = 2 if stage > 1 and index == 0 else 1
            a = x + state[f"{name}.move0.bias"] if f"{name}.move0.bias" in state else x
            if f"{name}.binary_conv.weights" in state:
                cout = len(state[f"{name}.bn1.weight"])
                weight = state[f"{name}.binary_conv.weights"].reshape(cout, -1, 3, 3)
            else:
                weight = state[f"{name}.binary_conv.weight"]
            u = normalise(binary(a, weight, stride), state, f"{name}.bn1")
            if stride == 2:
                shortcut = F.conv2d(F.avg_pool2d(x, 2), state[f"{name}.downsample.1.weight"])
                x = u + normalise(shortcut, state, f"{name}.downsample.2")
            else:
                x = u + x
            if f"{name}.move1.bias" in state:
                x = F.prelu(x + state[f"{name}.move1.bias"], state[f"{name}.prelu.weight"])
                x = x + state[f"{name}.move2.bias"]
            index += 1
    return head(x, state)


def bottleneck_reference(pixels: Tensor, state: State, spec: ModelSpec) -> Tensor:
    x1 = x2 = stem(pixels, state, spec.small)
    starts = [0, 3, 7, 13]
    for block in range(16):
        name = f"layers.{block}"
        stride = 2 if block in starts[1:] else 1
        weights = [state[f"{name}.conv{number}.weight"] for number in (1, 2, 3)]
        if block == 0:
            clipped = torch.where(x2.abs() <= 1, x2, 0.1 * x2 + 0.9 * x2.sign())
            o1 = normalise(F.conv2d(clipped, weights[0]), state, f"{name}.bn1")
        else:
            o1 = normalise(binary(x2, weights[0]), state, f"{name}.bn1")
            o1 = o1 + (F.conv2d(x1, state[f"{name}.down_conv1x1.weight"]) if stride == 2 else x1)
        o2 = normalise(binary(o1, weights[1], stride), state, f"{name}.bn2")
        o2 = o2 + (F.avg_pool2d(o1, 2) if stride == 2 else o1)
        o3 = normalise(binary(o2, weights[2]), state, f"{name}.bn3")
        if block in starts:
            pooled = F.avg_pool2d(x2, stride) if stride == 2 else x2
            o3 = o3 + normalise(F.conv2d(pooled, state[f"{name}.downsample.1.weight"]), state, f"{name}.downsample.2")
        else:
            o3 = o3 + x2
        x1, x2 = o2, o3
    return head(x2, state)


def separable_reference(pixels: Tensor, state: State, spec: ModelSpec) -> Tensor:
    """ReActNet-A: two 1x1 convolutions side by side where the channels double, their results one behind the other."""
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (importers.MEAN, importers.STD))
    weight = state["feature.0.conv1.weight"]
    x = F.conv2d((pixels / 255 - mean) / std, weight, stride=1 if spec.small else 2, padding=1)
    x = normalise(x, state, "feature.0.bn1")

    def bits(name: str, x: Tensor, side: int, stride: int = 1) -> Tensor:
        return binary(x, state[f"{name}.weights"].reshape(-1, x.shape[1], side, side), stride)

    def activated(name: str, part: int, u: Tensor) -> Tensor:
        u = F.prelu(u + state[f"{name}.move{part}2.bias"], state[f"{name}.prelu{part}.weight"])
        return u + state[f"{name}.move{part}3.bias"]

    for number in range(1, 14):
        name = f"feature.{number}"
        halves = number in (4, 6, 12) or (number == 2 and not spec.small)
        u = normalise(
            bits(f"{name}.binary_3x3", x + state[f"{name}.move11.bias"], 3, 2 if halves else 1), state, f"{name}.bn1"
        )
        x = activated(name, 1, u + (F.avg_pool2d(x, 2) if halves else x))
        a = x + state[f"{name}.move21.bias"]
        if f"{name}.bn2.weight" in state:
            u = normalise(bits(f"{name}.binary_pw", a, 1), state, f"{name}.bn2") + x
        else:
            pair = [normalise(bits(f"{name}.binary_pw_down{i}", a, 1), state, f"{name}.bn2_{i}") + x for i in (1, 2)]
            u = torch.cat(pair, dim=1)
        x = activated(name, 2, u)
    return head(x, state)


def random_state(spec: ModelSpec, seed: int = 0) -> State:
    """Draw a file's tensors; statistics that keep the streams of moderate size, slopes that are powers of two."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for key, shape in names_of(spec).items():
        part = key.split(".")[-1]
        if part == "num_batches_tracked":
            state[key] = torch.tensor(7)
        elif part == "running_var" or (".bn" in f".{key}" and part == "weight") or "downsample.2.weight" in key:
            state[key] = 0.5 + torch.rand(shape, generator=generator)
        elif "prelu" in key:
            state[key] = torch.exp2(-torch.randint(0, 4, shape, generator=generator).float())
        elif len(shape) > 1 and "move" not in key:
            state[key] = torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]) + 1)
        else:
            state[key] = 0.3 * torch.randn(shape, generator=generator)
    return state


def write(path: Path, state: State, prefix: str = "module.") -> Path:
    state = {prefix + key: tensor for key, tensor in state.items()}
    torch.save({"epoch": 3, "state_dict": state, "best_top1_acc": torch.tensor(56.4), "optimizer": {"state": {}}}, path)
    return path


def load(path: Path, spec: ModelSpec) -> BiReal:
    return load_weights(path, spec, tuple(str(index) for index in range(spec.classes)))


SPECS = {
    "bireal18": ModelSpec("bireal18", 0.125, (96, 64), 3, 7),
    "bireal34": ModelSpec("bireal34", 0.125, (16, 16), 3, 3),
    "bireal50": ModelSpec("bireal50", 0.125, (32, 32), 3, 4),
    "react18": ModelSpec("react18", 0.125, (24, 16), 3, 5),
    "reactneta": ModelSpec("reactneta", 0.125, (96, 64), 3, 6),
    "reactneta, small": ModelSpec("reactneta", 0.125, (24, 16), 3, 6),
}


@pytest.mark.parametrize("model", SPECS)
def test_an_imported_network_computes_what_the_release_does(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quantizers of the real-valued parts are switched off, so both compute the same but for float32 noise."""
    for quantizer in (RangeQuant, WeightQuant):
        monkeypatch.setattr(
            quantizer, "forward", lambda self, x: (x, self.one, self.zero_point, self.bit_width), raising=True
        )
    monkeypatch.setattr(importers, "MEAN", (124 / 255, 116 / 255, 104 / 255))  # so that m_c need not be rounded
    monkeypatch.setattr(activations, "LEAK_GAIN", 0.1 * 2**activations.LEAK_SHIFT)  # hardware's is 0.1001
    if model.startswith("react"):  # its sum is rounded without a quantizer
        monkeypatch.setattr("bireal_hw.models.bireal.ScaledRound.apply", lambda x, step: x)
    spec = SPECS[model]
    state = random_state(spec)
    network = load(write(tmp_path / "a.pth.tar", state), spec).eval()
    pixels = torch.randint(0, 256, (16, 3, *spec.image), generator=torch.Generator().manual_seed(1)).float()
    others = {"bireal50": bottleneck_reference, "reactneta": separable_reference}
    reference = others.get(spec.model, flat_reference)
    with torch.no_grad():
        got, want = network(pixels), reference(pixels, state, spec)
    close = (got - want).abs().amax(dim=1) < 1e-3 * want.abs().max()
    assert int(close.sum()) >= 12, (got - want).abs().amax(dim=1)  # a sign at zero may fall either way in a few images
    assert network.mean.tolist() == [124, 116, 104]


@pytest.mark.parametrize("model", ["bireal18", "react18", "reactneta"])
def test_one_bit_weights_may_be_flat_or_not(model: str, tmp_path: Path) -> None:
    """Releases of one author differ in this."""
    spec = ModelSpec(model, 0.125, (16, 16), 3, 3)
    state, other = random_state(spec), {}
    for key, tensor in state.items():
        if key.endswith(".weights"):
            side = 3 if "3x3" in key or "conv" in key else 1
            cin = len(tensor) // (len(state[batchnorm_of(key)]) * side**2)
            other[key[:-1]] = tensor.reshape(-1, cin, side, side)
        elif "binary" in key:
            other[f"{key}s"] = tensor.reshape(-1, 1)
        else:
            other[key] = tensor
    assert other.keys() != state.keys()
    one, two = load(write(tmp_path / "a.pth", state), spec), load(write(tmp_path / "b.pth", other), spec)
    for key, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[key]), key


def batchnorm_of(key: str) -> str:
    """The gains of the BatchNorm behind a 1-bit convolution."""
    name, _, conv = key.removesuffix(".weights").rpartition(".")
    number = {"binary_pw": "2", "binary_pw_down1": "2_1", "binary_pw_down2": "2_2"}.get(conv, "1")
    return f"{name}.bn{number}.weight"


def test_the_mean_is_a_whole_pixel_value_and_what_that_moves_is_made_up_for(tmp_path: Path) -> None:
    spec = SPECS["bireal34"]
    state = random_state(spec)
    network = load(write(tmp_path / "a.pth.tar", state), spec).eval()
    assert network.mean.tolist() == [124, 116, 104]  # of 123.675, 116.28, 103.53
    pixels = torch.randint(0, 256, (4, 3, *spec.image), generator=torch.Generator().manual_seed(1)).float()
    x = (pixels - network.mean.view(1, 3, 1, 1)) / 128
    with torch.no_grad():
        got = network.bn1(F.conv2d(x, network.conv1.weight, padding=1))
        want = stem(pixels, state, small=True)
    torch.testing.assert_close(got[..., 1:-1, 1:-1], want[..., 1:-1, 1:-1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        got, want, rtol=0, atol=0.02
    )  # at the border the padding is up to half a pixel value off


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_the_prefix_of_several_gpus_may_be_missing(prefix: str, tmp_path: Path) -> None:
    spec = SPECS["bireal34"]
    state = random_state(spec)
    network = load(write(tmp_path / "a.pth.tar", state, prefix), spec)
    weight = state["layer2.0.binary_conv.weights"].reshape(16, 8, 3, 3)
    assert torch.equal(network.get_parameter("layer2.0.binary_conv.weight"), weight)
    assert network.training
    bare = tmp_path / "bare.pth"
    torch.save(state, bare)
    assert torch.equal(load(bare, spec).fc.bias, state["fc.bias"])


def test_weights_of_zero_are_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spec = SPECS["bireal34"]
    state = random_state(spec)
    load(write(tmp_path / "a.pth", state), spec)
    assert capfd.readouterr().err == ""
    state["layer1.0.binary_conv.weights"][:3] = 0
    load(write(tmp_path / "a.pth", state), spec)
    assert capfd.readouterr().err == f"{tmp_path}/a.pth: 3 1-bit weights are exactly 0 and become +1\n"


# ---- files that do not fit ----


def failure(path: Path, spec: ModelSpec = SPECS["bireal34"]) -> str:
    with pytest.raises(BirealError) as caught:
        load(path, spec)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(path), "FILE")


def changed(tmp_path: Path, change: Callable[[State], Any]) -> Path:
    state = random_state(SPECS["bireal34"])
    change(state)
    return write(tmp_path / "a.pth.tar", state)


def test_the_first_key_that_differs_is_named(tmp_path: Path) -> None:
    whose = "checkpoint FILE is not one of bireal34: key"
    assert failure(changed(tmp_path, lambda state: state.pop("layer1.2.bn1.bias"))) == (
        f"{whose} 'layer1.2.bn1.bias' is missing"
    )
    assert failure(changed(tmp_path, lambda state: state.update({"bn1.bias_": state.pop("bn1.bias")}))) == (
        f"{whose} 'bn1.bias' is missing; nearest is 'bn1.bias_'"
    )
    assert failure(changed(tmp_path, lambda state: state.update({"layer3.4.move0.bias": torch.zeros(1)}))) == (
        f"{whose} 'layer3.4.move0.bias' is not known"
    )
    cut = {"layer1.1.binary_conv.weights": torch.zeros(5, 1), "layer4.0.bn1.bias": torch.zeros(3)}
    assert failure(changed(tmp_path, lambda state: state.update(cut))) == (
        f"{whose} 'layer1.1.binary_conv.weights' has the shape (5, 1), not (576, 1)"
    )
    assert failure(changed(tmp_path, lambda state: state["bn1.bias"].fill_(float("nan")))) == (
        "checkpoint FILE is broken: key 'bn1.bias' holds NaN or infinity"
    )


@pytest.mark.parametrize(
    ("theirs", "ours", "text"),
    [
        ("bireal18", "bireal34", "key 'layer1.4.binary_conv.weights' is missing"),
        ("bireal34", "bireal18", "key 'layer1.4.binary_conv.weights' is not known"),
        ("react18", "bireal18", "key 'layer1.0.move0.bias' is not known"),
        ("reactneta", "react18", "key 'conv1.weight' has the shape (4, 3, 3, 3), not (8, 3, 3, 3)"),
        ("bireal34", "reactneta", "key 'feature.0.conv1.weight' is missing"),
        ("bireal18", "react18", "key 'layer1.0.move0.bias' is missing"),
        ("bireal18", "bireal50", "key 'layers.0.conv1.weight' is missing"),
    ],
)
def test_a_file_of_another_network(theirs: str, ours: str, text: str, tmp_path: Path) -> None:
    spec = ModelSpec(theirs, 0.125, (16, 16), 3, 3)
    path = write(tmp_path / "a.pth.tar", random_state(spec))
    assert failure(path, dataclasses.replace(spec, model=ours)) == (
        f"checkpoint FILE is not one of {ours}: {text}; the file is one of model={theirs}"
    )


def test_files_of_other_classes_channels_and_models(tmp_path: Path) -> None:
    spec = SPECS["bireal34"]
    path = write(tmp_path / "a.pth.tar", random_state(spec))
    with pytest.raises(BirealError) as caught:
        load_weights(path, dataclasses.replace(spec, classes=10), tuple("0123456789"))
    assert str(caught.value) == f"checkpoint {path} has 3 classes, the data set 10: both must be the same"
    assert failure(path, dataclasses.replace(spec, channels=1)) == (
        "channels=1 does not go with init=FILE: the authors' networks read RGB"
    )
    assert failure(path, dataclasses.replace(spec, model="plain18")) == (
        "init: there is no release of plain18 to import; there is of bireal18, bireal34, bireal50, bireal101, "
        "bireal152, react18, reactneta"
    )


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    assert failure(path).startswith("checkpoint FILE does not exist")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one line is all that is said
        torch.save(torch.nn.Linear(2, 3), path)
        what = "the file is a pickled torch.nn.modules.linear.Linear"
        assert failure(path) == f"checkpoint FILE is not one of bireal34: key 'conv1.weight' is missing; {what}"
        torch.save({"state_dict": {"conv1.weight": [1.0]}}, path)
        assert (
            failure(path) == "checkpoint FILE: key 'conv1.weight' holds a list, not a tensor: save model.state_dict()"
        )
        for name, content in (("state_dict", {}), ("args", argparse.Namespace(lr=1)), ("best", np.float64(1))):
            torch.save({"epoch": 3, name: content}, path)
            assert failure(path) == (
                f"checkpoint FILE holds no tensors by name, but 'epoch', '{name}': save model.state_dict() in it"
            )
        torch.save([1, 2], path)
        assert failure(path) == "checkpoint FILE holds a list, not a checkpoint; name another file"


# ---- wrappings; test_foreign.py has all of them ----


def wrapped(tmp_path: Path, content: Callable[[State], Any]) -> BiReal:
    spec = SPECS["react18"]
    torch.save(content(random_state(spec)), tmp_path / "a.pth")
    return load(tmp_path / "a.pth", spec)


def same(one: BiReal, other: BiReal) -> bool:
    counted = (key for key in one.state_dict() if not key.endswith("num_batches_tracked"))
    return all(torch.equal(one.state_dict()[key], other.state_dict()[key]) for key in counted)


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "arguments and numpy": lambda state: {
        "state_dict": {f"module.{key}": tensor for key, tensor in state.items()},
        "args": argparse.Namespace(lr=0.1),
        "best_acc": np.float64(1),
    },
    "compiled": lambda state: {"net": {f"_orig_mod.{key}": tensor for key, tensor in state.items()}},
    "no counters": lambda state: {key: tensor for key, tensor in state.items() if "batches" not in key},
    "profiled": lambda state: state | {"total_ops": torch.zeros(1), "layer1.0.bn1.total_params": torch.zeros(1)},
    "other values beside": lambda state: state | {"epoch": 3, "best": 0.5},
    "double": lambda state: {key: tensor.double() for key, tensor in state.items()},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_wrapping_gives_the_same_network(wrapping: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = wrapped(tmp_path, WRAPPINGS[wrapping])
    said = capfd.readouterr().err
    assert same(network, wrapped(tmp_path, dict))
    changed = f"{tmp_path}/a.pth: weights are kept as float64 and become float32\n"
    assert said == (changed if wrapping == "double" else "")


def test_half_precision_is_taken_and_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state = random_state(SPECS["react18"])
    for dtype in (torch.float16, torch.bfloat16):
        short = {key: tensor.to(dtype) for key, tensor in state.items()}
        network = wrapped(tmp_path, lambda state, short=short: short)  # type: ignore[misc]
        assert torch.equal(network.get_parameter("layer2.1.move1.bias"), short["layer2.1.move1.bias"].float().flatten())
        name = str(dtype).removeprefix("torch.")
        assert f"weights are kept as {name} and become float32\n" in capfd.readouterr().err


def test_of_two_networks_one_is_taken_and_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def averaged(state: State) -> Any:
        return {"state_dict_ema": {key: tensor * 2 for key, tensor in state.items()}, "state_dict": state}

    network = wrapped(tmp_path, averaged)
    assert capfd.readouterr().err == (
        f"{tmp_path}/a.pth: the network of state_dict is taken, not state_dict_ema; "
        "to take another, save its state_dict alone\n"
    )
    assert same(network, wrapped(tmp_path, dict))
    with pytest.raises(BirealError) as caught:
        wrapped(tmp_path, lambda state: {"a": state, "b": averaged(state)["state_dict_ema"]})
    assert str(caught.value) == (
        f"checkpoint {tmp_path}/a.pth holds 2 networks, a and b: save the state_dict of one of them alone"
    )


def test_entries_beside_the_network_are_left_out_and_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prefixed = wrapped(
        tmp_path, lambda state: {f"net.{key}": tensor for key, tensor in state.items()} | {"loss.w": torch.ones(2)}
    )
    assert capfd.readouterr().err == f"{tmp_path}/a.pth: 1 entries without 'net.' are left out, as 'loss.w'\n"
    assert same(prefixed, wrapped(tmp_path, dict))


def test_slopes_that_are_moved_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def moved(state: State) -> Any:
        state["layer1.0.prelu.weight"][:2] = torch.tensor([0.375 + 0.0625, -0.5])
        return state

    wrapped(tmp_path, moved)
    slopes = sum(8 * 2**stage * 4 for stage in range(4))
    mean = (0.0625 + 0.5 + 2**-7) / slopes
    assert capfd.readouterr().err == (
        f"{tmp_path}/a.pth: 2 of {slopes} slopes of PReLU become powers of two, moved by {mean:.3f} in the mean, "
        f"{0.5 + 2**-7:.3f} at most\n"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda tensor: tensor.to(torch.complex64), "is kept as complex64: save it as float32"),
        (lambda tensor: tensor > 0, "is kept as bool: save it as float32"),
        (lambda tensor: (tensor > 0).float(), "holds 0 and 1; 1-bit weights are -1 and +1"),
        (Tensor.to_sparse, "holds a torch._utils._rebuild_sparse_tensor, not a tensor: save model.state_dict()"),
        (Tensor.numpy, "holds a numpy._core.multiarray._reconstruct, not a tensor: save model.state_dict()"),
    ],
)
def test_values_that_are_no_weights(change: Callable[[Tensor], Any], text: str, tmp_path: Path) -> None:
    key = "layer1.0.binary_conv.weights"
    path = changed(tmp_path, lambda state: state.update({key: change(state[key])}))
    assert failure(path) == f"checkpoint FILE: key '{key}' {text}"


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((16, 3, 3, 3), "; it is that of width=0.25"),
        ((8, 3, 7, 7), "; it is that of images with a side above 64"),
        ((8, 1, 3, 3), "; it reads 1 channels, and only RGB is imported"),
        ((8, 27), ""),
    ],
)
def test_a_first_convolution_of_another_shape(shape: tuple[int, ...], text: str, tmp_path: Path) -> None:
    path = changed(tmp_path, lambda state: state.update({"conv1.weight": torch.ones(shape)}))
    assert failure(path) == (
        f"checkpoint FILE is not one of bireal34: key 'conv1.weight' has the shape {shape}, not (8, 3, 3, 3){text}"
    )


# ---- whole ----


def test_an_imported_network_is_calibrated_and_deployed(tmp_path: Path) -> None:
    """What `make train init=FILE recipe=calibrate` does: no weight changes, and the streams get their grids."""
    spec = SPECS["bireal34"]
    path = write(tmp_path / "a.pth.tar", random_state(spec))
    generator = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (40, 3, *spec.image), generator=generator).to(torch.uint8)
    labels = torch.arange(40) % 3
    data = Data("folder", images, labels, images[:10], labels[:10], ("0", "1", "2"), spec.image, 3)
    recipe = dataclasses.replace(load_recipe("calibrate"), batch=10, snap=False)
    config = default_config(spec, "folder", recipe=recipe, init=path)
    assert (config.epochs, config.batch) == (1, 10)
    result = train(config, data, tmp_path, progress=False)
    from bireal_hw.training.checkpoint import load_checkpoint

    network, _, _ = load_checkpoint(tmp_path / "checkpoint.ckpt")
    want = load(path, spec)
    for name, tensor in network.named_parameters():
        assert torch.equal(tensor, want.get_parameter(name)), name
    assert torch.equal(network.bn1.running_mean, want.bn1.running_mean)  # type: ignore[arg-type]
    peaks = [float(module.peak) for module in network.modules() if isinstance(module, RangeQuant)]
    assert min(peaks) > 0
    assert result["top1_deploy"] is not None
    assert result["init"] == str(path)


def test_our_own_checkpoint_comes_back(tmp_path: Path) -> None:
    spec = SPECS["react18"]
    network = load(write(tmp_path / "a.pth.tar", random_state(spec)), spec)
    save_checkpoint(tmp_path / "ours.ckpt", network, spec, {"class_names": list("01234")})
    again = load(tmp_path / "ours.ckpt", spec)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
