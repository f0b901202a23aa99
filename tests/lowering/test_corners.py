"""Corners in which the file and the graph could differ without a word, or be told apart without a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from bireal_hw.errors import BirealError
from bireal_hw.lowering import Options, convert
from bireal_hw.lowering.compare import Distance, compare
from bireal_hw.lowering.convert import generated
from tests.lowering.test_foreign import CHANNELS, SIDE, File, said

SIZES: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1] * 4}


def held(path: Path, pixels: str | None = None) -> Distance:
    found = convert(path, Options(pixels))
    return compare(found, generated((6, *found.graph.input.shape)))


def float_stem(file: File) -> str:
    """A stem whose weights no quantizer has rounded, on pixels without one."""
    weights = file.constant(file.rng.normal(size=(CHANNELS, 3, 3, 3)) * 0.2)
    return file.node("Conv", "p", weights, **SIZES)


def end(file: File, x: str, path: Path) -> onnx.ModelProto:
    """A sign, a binary convolution, a pool and a classifier."""
    return file.finish(file.affine(file.conv(file.bits(x))), path)


BEHIND: dict[str, Callable[[File, str], str]] = {
    "max pool": lambda file, x: file.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]),
    "mean": lambda file, x: file.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]),
    "upsampling": lambda file, x: file.node(
        "Resize", x, "", file.constant([1.0, 1.0, 2.0, 2.0]), mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    ),
    "ReLU and BatchNorm": lambda file, x: file.node(
        "Mul", file.node("Relu", x), file.channels(np.linspace(-1, 1, CHANNELS))
    ),
}  # fmt: skip


@pytest.mark.parametrize("pixels", ["0..1", "-1..1", "imagenet"])
@pytest.mark.parametrize("node", BEHIND)
def test_what_was_moved_is_known_behind_every_node(node: str, pixels: str, tmp_path: Path) -> None:
    file = File()
    end(file, BEHIND[node](file, float_stem(file)), tmp_path / "m.onnx")
    held(tmp_path / "m.onnx", pixels)


@pytest.mark.parametrize("gain", [-0.7, -1.0, 0.7, 0.3])
@pytest.mark.parametrize("kind", ["Relu", "LeakyRelu", "Clip"])
def test_the_sign_of_what_a_relu_leaves(kind: str, gain: float, tmp_path: Path) -> None:
    """Most of it is 0, and 0 times a negative gain is positive for a sign."""
    file = File()
    more: dict[str, Any] = {"alpha": 0.0} if kind == "LeakyRelu" else {}
    x = file.node(kind, float_stem(file), *([file.constant(0.0)] if kind == "Clip" else []), **more)
    end(file, file.node("Mul", x, file.constant(gain)), tmp_path / "m.onnx")
    distance = held(tmp_path / "m.onnx", "0..1")
    assert distance.rms < 0.05 * distance.spread


@pytest.mark.parametrize("kind", ["Relu", "PRelu", "Quant"])
def test_a_map_as_output(kind: str, tmp_path: Path) -> None:
    file = File()
    x = float_stem(file)
    if kind == "Quant":
        x = file.quant(x, 0.03, 8, "ROUND")
    else:
        x = file.node(kind, x, *([file.channels(np.full(CHANNELS, 0.2))] if kind == "PRelu" else []))
    file.save(x, tmp_path / "m.onnx")
    distance = held(tmp_path / "m.onnx", "0..1")
    assert distance.rms < 0.05 * distance.spread


def test_a_threshold_that_float32_may_take_for_a_whole_number(tmp_path: Path) -> None:
    """Sums of bits times 0.1 less 0.6: at 6 the file has 0, and its sign is positive."""
    file = File()
    dot = file.conv(file.bits(file.start()))
    x = file.node("Sub", file.node("Mul", dot, file.constant(0.1)), file.constant(0.6))
    end(file, x, tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").rms == 0


@pytest.mark.parametrize("of", ["activations", "weights"])
def test_one_bit_of_quant_is_a_sign(of: str, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    bits = file.quant(x, 0.3, 1, "ROUND") if of == "activations" else file.bits(x)
    weights = file.constant(file.rng.normal(size=(CHANNELS, CHANNELS, 3, 3)))
    w = file.quant(weights, 0.5, 1, "ROUND") if of == "weights" else file.bits(weights)
    file.finish(file.affine(file.node("Conv", bits, w, **SIZES)), tmp_path / "m.onnx")
    held(tmp_path / "m.onnx")
    assert "binary_conv" in [node.op.kind for node in convert(tmp_path / "m.onnx").graph]


def test_bits_that_are_quantised(tmp_path: Path) -> None:
    file = File()
    x = file.quant(file.bits(file.start()), 0.5, 4)
    end(file, x, tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").agreement == 1


@pytest.mark.parametrize("mode", ["UP", "DOWN", "HALF_UP", "HALF_DOWN", "ROUND_TO_ZERO"])
def test_rounding_that_turns_at_the_zero_point_is_refused(mode: str, tmp_path: Path) -> None:
    file = File()
    constants = [file.constant(0.037), file.constant(5.0), file.constant(8.0)]
    x = file.node("Quant", file.start(), *constants, name="q", signed=1, narrow=0, rounding_mode=mode)
    end(file, x, tmp_path / "m.onnx")
    assert f"node 'q' (Quant): found rounding_mode={mode} with zero point 5" in said(tmp_path / "m.onnx")


@pytest.mark.parametrize(("kind", "axis"), [("Softmax", 3), ("Softmax", 1), ("ArgMax", 0), ("LogSoftmax", 2)])
def test_answers_of_a_map_are_refused(kind: str, axis: int, tmp_path: Path) -> None:
    file = File()
    file.save(file.node(kind, float_stem(file), name="last", axis=axis), tmp_path / "m.onnx")
    assert f"node 'last' ({kind}): found axis={axis} of a map" in said(tmp_path / "m.onnx")


def test_sums_that_float32_does_not_hold(tmp_path: Path) -> None:
    """Weights on a grid of a power of two, on 16 bits and 512 channels."""
    file = File()
    x = file.node("Relu", float_stem(file))
    joined = file.node("Concat", *[x] * 64, axis=1)
    weights = file.constant(file.rng.integers(-100, 100, (4, 512)) * 2.0**-7)
    w = file.quant(weights, 2.0**-7, 8, "ROUND", narrow=1)
    pooled = file.node("Flatten", file.node("GlobalAveragePool", joined), axis=1)
    file.save(file.node("Gemm", pooled, w, transB=1), tmp_path / "m.onnx")
    distance = held(tmp_path / "m.onnx", "0..1")
    assert distance.rms < 0.01 * distance.spread


def test_sums_on_one_grid_under_another_name(tmp_path: Path) -> None:
    file = File()
    x = file.start()
    a, b = (file.quant(one, 2.0**-6, 12) for one in (x, file.node("Neg", x)))
    mean = file.node("Mul", file.node("Add", a, file.node("Relu", b)), file.constant(0.5))
    end(file, file.quant(mean, 2.0**-6, 12), tmp_path / "m.onnx")
    held(tmp_path / "m.onnx")


def test_pixels_of_an_input_that_is_uint8(tmp_path: Path) -> None:
    file = File()
    weights = file.constant(file.rng.normal(size=(CHANNELS, 3, 3, 3)) * 0.01)
    x = file.node("Conv", file.node("Cast", "p", to=TensorProto.FLOAT), weights, **SIZES)
    model = end(file, x, tmp_path / "m.onnx")
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, str(tmp_path / "m.onnx"))
    held(tmp_path / "m.onnx")
    with pytest.raises(BirealError, match="input 'p' is uint8, which are stored pixels; pixels= says something else"):
        convert(tmp_path / "m.onnx", Options("0..1"))


def test_integers_between_quantizelinear_and_dequantizelinear_may_be_clipped(tmp_path: Path) -> None:
    file = File()
    for name, value in {"step": np.float32(0.02), "zero": np.int8(0), "low": np.int8(-20), "high": np.int8(90)}.items():
        file.constants.append(numpy_helper.from_array(np.asarray(value), name))
    x = file.node("Clip", file.node("QuantizeLinear", file.start(), "step", "zero"), "low", "high")
    x = file.node("DequantizeLinear", x, "step", "zero")
    end(file, x, tmp_path / "m.onnx")
    held(tmp_path / "m.onnx")


def test_tensors_of_two_ranks_are_not_added(tmp_path: Path) -> None:
    file = File()
    x = file.node("GlobalAveragePool", float_stem(file))
    total = file.node("Add", x, file.node("Flatten", x, axis=1), name="sum")
    file.save(total, tmp_path / "m.onnx")
    assert "node 'sum' (Add): found tensors laid out in two ways" in said(tmp_path / "m.onnx")
    assert SIDE == CHANNELS  # so that the sizes alone would fit
