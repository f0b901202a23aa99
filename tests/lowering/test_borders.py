"""Binary convolutions whose padding is a bit: Larq pads with +1, FINN with -1, as a Pad node between sign and Conv."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bireal_hw.crosscheck.padding import padded_block
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph, Node, verify
from bireal_hw.ir.op import Pads
from bireal_hw.lowering import convert
from bireal_hw.lowering.compare import compare
from bireal_hw.lowering.convert import generated
from bireal_hw.ops import BinaryConv
from tests.lowering.test_foreign import CHANNELS, CLASSES, GAINS, SIDE, File
from tests.lowering.test_odd import version

NHWC, NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
SAME: Pads = (1, 1, 1, 1)


def bits(file: File, x: str, gains: str, scale: float) -> str:
    """A sign behind gains per channel, some of which turn the comparison."""
    gain = np.resize(np.asarray(GAINS[gains]), CHANNELS)
    return file.bits(file.node("Mul", file.node("Sub", x, file.constant(0.1234)), file.channels(gain)), scale)


def border(file: File, x: str, value: float, pads: Pads, form: str = "inputs") -> str:
    """A Pad of the image's sides, as the versions of ONNX and the two layouts have it."""
    top, left, bottom, right = pads
    every = np.array([0, 0, top, left, 0, 0, bottom, right])
    if form == "attributes":
        return file.node("Pad", x, pads=every.tolist(), value=value)
    if form == "axes":
        places = [file.constant(np.array(one)) for one in ([left, top, right, bottom], [3, -2])]
        return file.node("Pad", x, places[0], file.constant(value), places[1])
    if form in ("NHWC", "NHWC axes"):  # as tf2onnx leaves it
        x = file.node("Transpose", x, perm=NHWC)
        if form == "NHWC":
            given = [file.constant(np.array([0, top, left, 0, 0, bottom, right, 0])), file.constant(value)]
        else:
            given = [file.constant(np.array([top, left, bottom, right])), file.constant(value)]
            given += [file.constant(np.array([1, 2]))]
        return file.node("Transpose", file.node("Pad", x, *given), perm=NCHW)
    return file.node("Pad", x, file.constant(every), file.constant(value))


def conv(file: File, x: str, kernel: int = 3, stride: int = 1, **more: Any) -> str:
    weights = file.bits(file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, kernel, kernel))))
    return file.node("Conv", x, weights, kernel_shape=[kernel] * 2, strides=[stride] * 2, **more)


def pixels(kernel: int, stride: int, pads: Pads) -> int:
    rows, columns = ((SIDE + pads[at] + pads[at + 2] - kernel) // stride + 1 for at in (0, 1))
    return rows * columns


def exact(path: Path) -> list[BinaryConv]:
    """Lower a file, demand the file's own numbers, and return its binary convolutions."""
    found = convert(path)
    assert compare(found, generated((4, *found.graph.input.shape))).largest == 0
    return convolutions(found.graph)


def convolutions(graph: Graph) -> list[BinaryConv]:
    return [node.op for node in graph if isinstance(node.op, BinaryConv)]


CASES: dict[str, tuple[float, float, str, Pads, int, int, str, int]] = {
    "Larq": (1.0, 1.0, "positive", SAME, 3, 1, "NHWC", 13),
    "Larq, turned": (1.0, 1.0, "both", SAME, 3, 1, "NHWC", 13),
    "Larq, stride 2": (1.0, 1.0, "both", (0, 0, 1, 1), 3, 2, "NHWC axes", 18),
    "FINN": (-1.0, 1.0, "positive", SAME, 3, 1, "inputs", 18),
    "FINN, turned": (-1.0, 1.0, "both", SAME, 3, 2, "inputs", 13),
    "all turned": (1.0, 1.0, "negative", SAME, 3, 1, "inputs", 11),
    "constant channels": (1.0, 1.0, "some 0", SAME, 3, 1, "inputs", 13),
    "attributes": (-1.0, 1.0, "both", (2, 2, 0, 0), 3, 1, "attributes", 10),
    "axes": (1.0, 1.0, "both", (0, 2, 1, 0), 3, 1, "axes", 18),
    "four sides of 5x5": (1.0, 1.0, "both", (3, 0, 1, 4), 5, 2, "inputs", 13),
    "5x5 in (N, H, W, C)": (-1.0, 1.0, "both", (2, 2, 2, 2), 5, 1, "NHWC", 13),
    "bits of a half": (0.5, 0.5, "both", SAME, 3, 1, "inputs", 13),
    "bits of a quarter": (-0.25, 0.25, "both", SAME, 3, 1, "inputs", 13),
    "an even kernel": (1.0, 1.0, "both", (1, 0, 0, 1), 2, 2, "inputs", 13),
}


@pytest.mark.parametrize("case", CASES)
def test_a_border_of_bits(case: str, tmp_path: Path) -> None:
    value, scale, gains, pads, kernel, stride, form, opset = CASES[case]
    file = File()
    x = conv(file, border(file, bits(file, file.start(), gains, scale), value, pads, form), kernel, stride)
    finish(file, file.affine(x), tmp_path / "m.onnx", pixels(kernel, stride, pads), opset)
    (op,) = exact(tmp_path / "m.onnx")
    gain = np.resize(np.asarray(GAINS[gains]), CHANNELS)
    assert op.pads == pads
    assert op.border is not None
    assert op.border.tolist() == np.where(gain < 0, -np.sign(value), np.sign(value)).tolist()


def finish(file: File, x: str, path: Path, count: int, opset: int) -> None:
    """Sum up an image of so many pixels and classify it."""
    if opset < 13:  # without axes as an input; count is a power of two, so that the mean is exact
        assert count.bit_count() == 1
        pool = file.node("Add", file.node("GlobalAveragePool", x), file.constant(2.0**-6))
        model = file.classify(file.quant(pool, 2.0**-5, 8), path, np.zeros(CLASSES))
    else:
        model = file.finish(x, path, count)
    version(model, opset, path)


def test_one_tensor_with_several_borders_and_none(tmp_path: Path) -> None:
    file = File()
    x = file.start()
    own = bits(file, x, "both", 1.0)
    ones = border(file, own, 1.0, SAME)
    for tensor in (ones, ones, border(file, own, -1.0, SAME), border(file, own, 0.0, SAME)):
        x = file.merge(x, file.affine(conv(file, tensor)))
    x = file.merge(x, file.affine(conv(file, own, pads=SAME)))
    file.finish(x, tmp_path / "m.onnx")
    turned = np.where(np.resize(GAINS["both"], CHANNELS) < 0, -1, 1).tolist()
    found = [None if op.border is None else op.border.tolist() for op in exact(tmp_path / "m.onnx")]
    assert found == [turned, turned, [-one for one in turned], None, None]


@pytest.mark.parametrize("gain", [1.0, -1.0])
def test_a_border_around_a_pool_of_bits(gain: float, tmp_path: Path) -> None:
    file = File()
    sign = file.bits(file.node("Mul", file.start(), file.constant(gain)))
    pooled = file.node("MaxPool", sign, kernel_shape=[2, 2], strides=[2, 2])
    x = conv(file, border(file, pooled, -1.0, SAME))
    file.finish(file.quant(file.affine(x), 2.0**-8, 16), tmp_path / "m.onnx", (SIDE // 2) ** 2)
    (op,) = exact(tmp_path / "m.onnx")
    assert op.border is not None
    assert op.border.tolist() == [-1] * CHANNELS


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_bits_that_a_constant_per_channel_turns(value: float, tmp_path: Path) -> None:
    file = File()
    turn = np.resize([1.0, -1.0, -1.0], CHANNELS)
    x = file.node("Mul", file.bits(file.start()), file.channels(0.5 * turn))
    file.finish(file.affine(conv(file, border(file, x, 0.5 * value, SAME))), tmp_path / "m.onnx")
    (op,) = exact(tmp_path / "m.onnx")
    assert op.border is not None
    assert op.border.tolist() == (value * turn).tolist()


def test_bits_whose_constants_differ_are_numbers(tmp_path: Path) -> None:
    file = File()
    x = file.node("Mul", file.bits(file.start()), file.channels(np.resize([1.0, -0.5], CHANNELS)))
    weights = file.quant(file.constant(file.rng.integers(-20, 21, (CHANNELS, CHANNELS, 3, 3)) * 0.5), 0.5, 8, "ROUND")
    x = file.node("Conv", x, weights, kernel_shape=[3, 3], pads=SAME)
    file.finish(file.quant(x, 2.0**4, 16), tmp_path / "m.onnx")
    assert exact(tmp_path / "m.onnx") == []


def test_a_border_without_rows_and_columns_is_none(tmp_path: Path) -> None:
    file = File()
    x = conv(file, border(file, file.bits(file.start()), 1.0, (0, 0, 0, 0)), pads=SAME)
    file.finish(file.affine(x), tmp_path / "m.onnx")
    assert [op.border for op in exact(tmp_path / "m.onnx")] == [None]


def _of_numbers(file: File, x: str) -> str:
    return conv(file, file.bits(border(file, x, 1.0, SAME)))


def _of_another_number(file: File, x: str) -> str:
    return conv(file, border(file, file.bits(x, 0.5), 1.0, SAME))


def _with_zeros_around(file: File, x: str) -> str:
    return conv(file, border(file, file.bits(x), 1.0, SAME), pads=SAME)


def _real_weights(file: File, x: str) -> str:
    weights = file.constant(file.rng.normal(size=(CHANNELS, CHANNELS, 3, 3)))
    return file.node("Conv", border(file, file.bits(x), -1.0, SAME), weights)


def _pooled(file: File, x: str) -> str:
    padded = border(file, file.bits(x), -1.0, SAME)
    return conv(file, file.node("MaxPool", padded, kernel_shape=[3, 3], strides=[2, 2]), pads=SAME)


def _too_wide(file: File, x: str) -> str:
    return conv(file, border(file, file.bits(x), 1.0, (2, 1, 1, 1)))


REFUSED: dict[Callable[[File, str], str], str] = {
    _of_numbers: "found mode=constant with 1; supported: mode=constant with 0; of bits also with -1 or +1",
    _of_another_number: "found mode=constant with 1; supported: mode=constant with 0, -0.5 or 0.5, which the bits are",
    _with_zeros_around: r"found pads=[1, 1, 1, 1] behind 1 around 't7', [1, 1, 1, 1]; supported: pads=[0, 0, 0, 0]",
    _real_weights: "found -1 around what weights of 8 bits read; supported: 0 there, or binary weights",
    _pooled: "found -1 around 't7', [1, 1, 1, 1]; supported: an image or what layers make of it",
    _too_wide: "(2, 1, 1, 1) of a 3x3 kernel; top + bottom and left + right must each be 0 to 2",
}


@pytest.mark.parametrize("made", REFUSED, ids=lambda made: made.__name__)
def test_other_borders_are_refused(made: Callable[[File, str], str], tmp_path: Path) -> None:
    file = File()
    file.finish(file.affine(made(file, file.start())), tmp_path / "m.onnx")
    with pytest.raises(BirealError) as error:
        convert(tmp_path / "m.onnx")
    assert REFUSED[made] in str(error.value)


@pytest.mark.parametrize("chosen", [[1, 1, 1, 1], [-1, -1, -1, -1], [-1, 1, 1, -1], [1, -1, 1, 1]], ids=str)
def test_what_is_written_is_read_again(chosen: list[int], tmp_path: Path) -> None:
    block = padded_block()
    center, sign, (name, op, inputs), merge = ((node.name, node.op, node.inputs) for node in block)
    assert isinstance(op, BinaryConv)
    wanted = replace(op, border=np.array(chosen, np.int8))
    nodes = tuple(Node(*one) for one in (center, sign, (name, wanted, inputs), merge))
    write(verify(Graph("written", block.input, nodes)), tmp_path / "m.onnx")
    assert convolutions(convert(tmp_path / "m.onnx").graph) == [wanted]
