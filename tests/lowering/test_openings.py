"""What lies at the edge of what goes in: layouts of Keras, numbers of pooled and flattened bits, unlike streams."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from bireal_hw.errors import BirealError
from bireal_hw.lowering import Options, convert
from bireal_hw.lowering.compare import Distance, compare
from bireal_hw.lowering.convert import generated
from tests.lowering.test_foreign import CHANNELS, CLASSES, SIDE, File

PADDED: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1] * 4}


def held(path: Path, options: Options | None = None) -> Distance:
    found = convert(path, options)
    return compare(found, generated((5, *found.graph.input.shape)))


def eight_bits(file: File, *shape: int) -> str:
    weights = file.constant(file.rng.integers(-90, 90, shape) * 2.0**-7)
    return file.quant(weights, 2.0**-7, 8, "ROUND", 1)


def binary(file: File, *shape: int) -> str:
    return file.bits(file.constant(file.rng.choice([-1.0, 1.0], shape)))


# ---- real-valued weights on bits that something lies in front of


def _bits(file: File, gain: float, scale: float) -> str:
    return file.bits(file.node("Mul", file.start(), file.constant(gain)), scale)


BETWEEN: dict[str, tuple[Callable[[File, str], str], int]] = {
    "a pool": (lambda file, x: file.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), SIDE // 2),
    "two pools": (lambda file, x: BETWEEN["a pool"][0](file, BETWEEN["a pool"][0](file, x)), SIDE // 4),
    "a change of sign": (lambda file, x: file.node("Neg", BETWEEN["a pool"][0](file, x)), SIDE // 2),
}


@pytest.mark.parametrize("gain", [1.0, -1.0])
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("layer", ["convolution", "dense"])
def test_real_weights_on_bits(layer: str, between: str, scale: float, gain: float, tmp_path: Path) -> None:
    file = File()
    make, side = BETWEEN[between]
    x = make(file, _bits(file, gain, scale))
    if layer == "dense":
        weights = eight_bits(file, CLASSES, CHANNELS * side * side)
        file.save(file.node("Gemm", file.node("Flatten", x), weights, transB=1), tmp_path / "m.onnx")
    else:
        x = file.node("Conv", x, eight_bits(file, CHANNELS, CHANNELS, 3, 3), **PADDED)
        file.finish(x, tmp_path / "m.onnx", side * side)
    assert held(tmp_path / "m.onnx").largest == 0


# ---- streams of unlike sizes side by side


@pytest.mark.parametrize("widths", [(8, 4), (4, 8), (8, 3, 5), (8, 8, 4)])
@pytest.mark.parametrize("kind", ["numbers", "bits"])
def test_concat_of_unlike_sizes(kind: str, widths: tuple[int, ...], tmp_path: Path) -> None:
    file = File()
    x = file.start()
    parts = []
    for at, width in enumerate(widths):
        y = file.node("Conv", file.bits(x), binary(file, width, CHANNELS, 3, 3), **PADDED)
        scaled = file.node("Mul", y, file.constant(2.0 ** -(5 + at)))
        parts.append(file.quant(scaled, 2.0**-8, 16) if kind == "numbers" else file.bits(y))
    z = file.node("Concat", *parts, axis=1)
    z = file.node("Conv", z if kind == "bits" else file.bits(z), binary(file, CHANNELS, sum(widths), 3, 3), **PADDED)
    file.finish(file.affine(z), tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").largest == 0


# ---- windows of max pools

POOLS: dict[str, dict[str, Any]] = {
    "3x3, none": {"kernel_shape": [3, 3], "strides": [2, 2]},
    "3x3, before": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 0, 0]},
    "3x3, behind": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    "3x3, all but the left": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1]},
    "3x3, same": {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "3x3, same, lower": {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    "3x3, ceil": {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    "2x2, stride 1": {"kernel_shape": [2, 2]},
    "2x3": {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [0, 1, 0, 0]},
    "2x2, ceil": {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    "4x3, padded": {"kernel_shape": [4, 3], "strides": [4, 3], "pads": [1, 2, 2, 0]},
    "4x3, ceil": {"kernel_shape": [4, 3], "strides": [4, 3], "ceil_mode": 1},
}


@pytest.mark.parametrize("reader", ["numbers", "bits"])
@pytest.mark.parametrize("size", [(6, SIDE), (5, 7), (7, 6)])
@pytest.mark.parametrize("pool", POOLS)
def test_windows_of_max_pools(pool: str, size: tuple[int, int], reader: str, tmp_path: Path) -> None:
    """The file itself says which pixels a window holds."""
    file = File()
    x = file.quant(file.node("Sub", "p", file.constant(128.0)), 1.0, 8)
    x = file.node("MaxPool", file.bits(x) if reader == "bits" else x, **POOLS[pool])
    x = file.node("Conv", file.bits(x), binary(file, CHANNELS, 3, 3, 3), **PADDED)
    model = file.finish(x, tmp_path / "m.onnx")
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("p", onnx.TensorProto.FLOAT, [1, 3, *size]))
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert held(tmp_path / "m.onnx").largest == 0


# ---- images in (N, H, W, C)


def _last(file: File, x: str, tmp_path: Path, batch: int | str = 1, side: int = SIDE, channels: int = 3) -> Path:
    model = file.save(x, tmp_path / "m.onnx")
    image = helper.make_tensor_value_info("p", onnx.TensorProto.FLOAT, [batch, side, SIDE, channels])
    model.graph.input[0].CopyFrom(image)
    onnx.save(model, str(tmp_path / "m.onnx"))
    return tmp_path / "m.onnx"


@pytest.mark.parametrize("batch", [1, "N"])
@pytest.mark.parametrize("first", ["Transpose", "arithmetic"])
def test_a_network_of_keras(first: str, batch: int | str, tmp_path: Path) -> None:
    """Constants along the last axis, a layout turned in front of each convolution and back, MatMul and a bias."""
    file = File()
    x = "p"
    if first == "arithmetic":
        x = file.node("Sub", file.node("Mul", x, file.constant(2.0**-8)), file.constant([0.25, 0.5, 0.75]))
        x = file.node("Div", x, file.constant(np.reshape([0.25, 0.5, 0.125], (1, 1, 1, 3))))
    x = file.node("Transpose", x, perm=[0, 3, 1, 2])
    x = file.node("Conv", x, eight_bits(file, CHANNELS, 3, 3, 3), **PADDED)
    x = file.node("Transpose", x, perm=[0, 2, 3, 1])
    x = file.node("Add", file.node("Mul", x, file.constant(np.linspace(-2, 2, CHANNELS))), file.constant([0.3] * 8))
    x = file.node("Transpose", file.bits(x), perm=[0, 3, 1, 2])
    x = file.node("Relu", file.node("Transpose", file.conv(x), perm=[0, 2, 3, 1]))
    x = file.node("ReduceMean", x, file.constant(np.array([1, 2], np.int64)), keepdims=0)
    x = file.node("MatMul", x, file.constant(file.rng.normal(size=(CHANNELS, CLASSES))))
    x = file.node("Softmax", file.node("Add", x, file.constant(file.rng.normal(size=CLASSES))))
    path = _last(file, x, tmp_path, batch, side=6)
    distance = held(path)
    assert distance.agreement == 1
    assert distance.rms < 0.02 * distance.spread
    assert convert(path).graph.input.shape == (6, SIDE, 3)


def test_features_of_a_map_in_n_h_w_c(tmp_path: Path) -> None:
    file = File()
    x = file.node("Transpose", "p", perm=[0, 3, 1, 2])
    x = file.bits(file.node("Conv", x, eight_bits(file, CHANNELS, 3, 3, 3), **PADDED))
    x = file.node("Transpose", x, perm=[0, 2, 3, 1])
    x = file.node("Reshape", x, file.constant(np.array([-1, SIDE * SIDE * CHANNELS], np.int64)))
    path = _last(file, file.node("MatMul", x, binary(file, SIDE * SIDE * CHANNELS, CLASSES)), tmp_path)
    assert held(path).largest == 0
    numbers = np.random.default_rng(0).uniform(0, 255, (8, SIDE, SIDE, 3)).astype(np.float32)
    turned = convert(path, Options(images=numbers)).images
    np.testing.assert_array_equal(turned, convert(path, Options(images=numbers.transpose(0, 3, 1, 2))).images)


@pytest.mark.parametrize("sides", [(-1, 1, 6, SIDE), (1, 1, 6, -1), (0, 1, 6, SIDE)])
@pytest.mark.parametrize("inside", ["kept", "turned", "there and back"])
def test_one_channel_lies_alike_in_both_layouts(inside: str, sides: tuple[int, ...], tmp_path: Path) -> None:
    """tf2onnx turns a grey image, and a map of one channel, by a Reshape."""
    file = File()

    def shaped(x: str, *sizes: int) -> str:
        return file.node("Reshape", x, file.constant(np.array(sizes, np.int64)))

    x = file.node("Conv", shaped("p", *sides), eight_bits(file, 1, 1, 3, 3), **PADDED)
    if inside != "kept":
        x = shaped(x, sides[0], 6, SIDE, 1)
        x = file.node("Mul", shaped(x, 1, 6, -1, 1), file.constant([0.5]))
        x = shaped(x, *sides) if inside == "there and back" else file.node("Transpose", x, perm=[0, 3, 1, 2])
    x = file.node("Conv", file.bits(x), binary(file, CHANNELS, 1, 3, 3), **PADDED)
    x = file.node("ReduceSum", file.bits(x), file.constant(np.array([2, 3], np.int64)), keepdims=0)
    x = file.node("MatMul", x, eight_bits(file, CHANNELS, CLASSES))
    path = _last(file, x, tmp_path, side=6, channels=1)
    assert held(path).largest == 0
    assert convert(path).graph.input.shape == (6, SIDE, 1)


@pytest.mark.parametrize("last", [False, True])
def test_a_cube_stays_in_its_layout(last: bool, tmp_path: Path) -> None:
    """A Reshape to the same shape, where all three sizes are alike: gains behind it are per channel all the same."""
    file = File()
    x = file.start()
    x = file.node("Transpose", x, perm=[0, 2, 3, 1]) if last else x
    x = file.node("Reshape", x, file.constant(np.array([-1, SIDE, SIDE, CHANNELS], np.int64)))
    gains = np.linspace(-2, 2, CHANNELS).reshape((1, 1, 1, -1) if last else (1, -1, 1, 1))
    x = file.node("Mul", x, file.constant(gains))
    x = file.node("Transpose", x, perm=[0, 3, 1, 2]) if last else x
    file.finish(file.affine(file.conv(file.bits(x))), tmp_path / "m.onnx")
    assert SIDE == CHANNELS
    assert held(tmp_path / "m.onnx").largest == 0


# ---- refused, with what to change


def _again_an_image(file: File) -> str:
    x = file.node("Reshape", file.node("Flatten", file.start()), file.constant(np.array([1, 8, 8, 8], np.int64)))
    return file.conv(file.bits(x))


def _in_groups(file: File) -> str:
    weights = binary(file, CHANNELS, CHANNELS // 2, 3, 3)
    return file.node("Conv", file.bits(file.start()), weights, group=2, **PADDED)


def _overlapping(file: File) -> str:
    return file.conv(file.bits(file.node("MaxPool", file.start(), kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)))


REFUSED: dict[str, tuple[Callable[[File], str], str]] = {
    "features as an image": (
        _again_an_image,
        r"\(Reshape\): found features that become an image again, .*: leave out the Flatten or the dense layer",
    ),
    "groups of bits": (_in_groups, r"\(Conv\): found a binary convolution in 2 groups, .*; supported: group=1"),
    "windows that overlap by two": (
        _overlapping,
        r"\(MaxPool\): found kernel_shape=\[3, 3\] strides=\[1, 1\] pads=\[1, 1, 1, 1\]; supported: strides",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_to_change(case: str, tmp_path: Path) -> None:
    file, (make, words) = File(), REFUSED[case]
    file.finish(file.affine(make(file)), tmp_path / "m.onnx")
    with pytest.raises(BirealError, match=words):
        convert(tmp_path / "m.onnx")
