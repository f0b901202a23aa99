"""Forms that files have now and then: zeros as a node, limits as Max and Min, axes one by one, a sigmoid at the end."""

from __future__ import annotations

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
from tests.lowering.test_foreign import CHANNELS, CLASSES, QONNX, SIDE, File


def held(path: Path, options: Options | None = None) -> Distance:
    found = convert(path, options)
    return compare(found, generated((4, *found.graph.input.shape)))


def version(model: onnx.ModelProto, number: int, path: Path) -> None:
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", number), helper.make_opsetid(QONNX, 1)])
    onnx.save(model, str(path))


# ---- zeros around an image


def padded(file: File, x: str, pads: list[int], form: str) -> str:
    """A Pad node of pads (top, left, bottom, right)."""
    top, left, bottom, right = pads
    every = np.array([0, 0, top, left, 0, 0, bottom, right])
    if form == "attributes":
        return file.node("Pad", x, pads=every.tolist(), mode="constant", value=0.0)
    if form == "inputs":
        return file.node("Pad", x, file.constant(every), file.constant(0.0))
    if form == "defaults":
        return file.node("Pad", x, file.constant(every))
    places = [file.constant(np.array(one)) for one in ([left, top, right, bottom], [-1, 2])]
    return file.node("Pad", x, places[0], "", places[1])


READERS = ("binary", "real", "pixels")


@pytest.mark.parametrize(
    ("pads", "own"),
    [
        ([1, 1, 1, 1], None),
        ([2, 0, 0, 1], "VALID"),
        ([0, 2, 1, 0], [0, 0, 0, 0]),
        ([1, 0, 0, 1], [0, 1, 1, 0]),
        ([0, 0, 0, 0], [1, 1, 1, 1]),
    ],
    ids=str,
)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", ["inputs", "defaults", "axes"])
def test_zeros_around_an_image(form: str, reader: str, pads: list[int], own: object, tmp_path: Path) -> None:
    file = File()
    more: dict[str, Any] = {"pads": own} if isinstance(own, list) else {"auto_pad": own} if own else {}
    sides = [0, 0, 0, 0] if not isinstance(own, list) else own
    height, width = (SIDE + pads[at] + pads[at + 2] + sides[at] + sides[at + 2] - 2 for at in (0, 1))
    inner = "p" if reader == "pixels" else file.start()
    inner = file.bits(inner) if reader == "binary" else inner
    x = padded(file, inner, pads, form)
    weights = file.constant(file.rng.integers(-20, 21, (CHANNELS, 3 if reader == "pixels" else CHANNELS, 3, 3)) * 0.5)
    weights = file.bits(weights) if reader == "binary" else file.quant(weights, 0.5, 8, "ROUND", narrow=1)
    x = file.node("Conv", x, weights, kernel_shape=[3, 3], **more)
    x = file.affine(x) if reader == "binary" else file.quant(x, 2.0**4, 16)
    file.finish(x, tmp_path / "m.onnx", height * width)
    assert held(tmp_path / "m.onnx", Options("stored")).largest == 0


def test_zeros_as_early_versions_have_them(tmp_path: Path) -> None:
    file = File()
    x = padded(file, file.bits(file.start()), [1, 0, 1, 2], "attributes")
    y = file.quant(file.affine(file.conv(x, pad=0)), 2.0**-8, 16)
    pool = file.node("Mul", file.node("GlobalAveragePool", y), file.constant(0.5))
    model = file.classify(file.quant(pool, 2.0**-5, 8), tmp_path / "m.onnx", np.zeros(CLASSES))
    version(model, 10, tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").largest < 0.05  # a mean over 72 pixels


REFUSED: dict[str, tuple[list[int], dict[str, Any], float, str]] = {
    "reflect": ([0, 0, 1, 1, 0, 0, 1, 1], {"mode": "reflect"}, 0.0, "found mode=reflect with 0; supported: mode=const"),
    "ones": ([0, 0, 1, 1, 0, 0, 1, 1], {}, 1.0, "found mode=constant with 1; supported: mode=constant with 0;"),
    "channels": ([0, 1, 0, 0, 0, 1, 0, 0], {}, 0.0, "supported: numbers from 0 on for height and width"),
    "smaller": ([0, 0, -1, 0, 0, 0, 1, 0], {}, 0.0, "supported: numbers from 0 on for height and width"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_put_around_an_image_else_is_refused(case: str, tmp_path: Path) -> None:
    pads, more, filling, words = REFUSED[case]
    file = File()
    x = file.node("Pad", file.start(), file.constant(np.array(pads)), file.constant(filling), **more)
    file.finish(file.affine(file.conv(file.bits(x))), tmp_path / "m.onnx")
    with pytest.raises(BirealError) as error:
        convert(tmp_path / "m.onnx")
    assert words in str(error.value)


def test_zeros_in_front_of_other_layers_are_refused(tmp_path: Path) -> None:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2]}),
        ("Relu", {}),
        ("Conv", {"auto_pad": "SAME_UPPER"}),
    ]
    for kind, more in cases:
        file = File()
        x = padded(file, file.start(), [1, 1, 1, 1], "inputs")
        inputs = [file.constant(np.ones((CHANNELS, CHANNELS, 3, 3)))] if kind == "Conv" else []
        y = file.node(kind, x, *inputs, **more)
        file.finish(file.affine(file.conv(file.bits(y))), tmp_path / "m.onnx")
        with pytest.raises(BirealError, match="zeros around 't6', "):
            convert(tmp_path / "m.onnx")


# ---- limits, sums, layouts


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("kind", "limit"), [("Max", 0.0), ("Max", -0.5), ("Min", 0.25), ("Min", -0.125)])
def test_a_limit_as_the_larger_or_smaller(kind: str, limit: float, first: bool, tmp_path: Path) -> None:
    file = File()
    x, bound = file.start(), file.constant(limit)
    y = file.node(kind, *((bound, x) if first else (x, bound)))
    y = file.node("Sub", y, file.channels(np.linspace(-0.501, 0.5, CHANNELS)))
    file.finish(file.affine(file.conv(file.bits(y))), tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").largest == 0


def test_the_larger_of_two_tensors_is_refused(tmp_path: Path) -> None:
    file = File()
    x = file.start()
    file.finish(file.affine(file.conv(file.bits(file.node("Max", x, file.node("Neg", x))))), tmp_path / "m.onnx")
    with pytest.raises(BirealError, match=r"\(Max\): found .* beside .*; supported: a tensor beside a number"):
        convert(tmp_path / "m.onnx")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_sum(count: int, tmp_path: Path) -> None:
    file = File()
    x = file.start()
    y = file.affine(file.conv(file.bits(x)))
    file.finish(file.quant(file.node("Sum", *[x, y, x][:count]), 2.0**-8, 16), tmp_path / "m.onnx")
    if count == 3:
        with pytest.raises(BirealError, match=r"\(Sum\): found 3 inputs; supported: 2: an Add for each further one"):
            convert(tmp_path / "m.onnx")
    else:
        assert held(tmp_path / "m.onnx").largest == 0


@pytest.mark.parametrize("axes", [[[3], [2]], [[2], [2]], [[-1], [-1]], [[2, 3]], [[-1, -2]]], ids=str)
def test_axes_that_go_one_by_one(axes: list[list[int]], tmp_path: Path) -> None:
    file = File()
    x = file.quant(file.node("GlobalAveragePool", file.start()), 2.0**-8, 16)
    for some in axes:
        x = file.node("Squeeze", x, file.constant(np.array(some)))
    weights = file.constant(file.rng.integers(-100, 100, (CHANNELS, CLASSES)) * 2.0**-7)
    file.save(file.node("Gemm", x, file.quant(weights, 2.0**-7, 8, "ROUND", narrow=1)), tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").agreement == 1


def test_axes_that_come_back_one_by_one(tmp_path: Path) -> None:
    file = File()
    x = file.quant(file.node("ReduceMean", file.start(), file.constant(np.array([2, 3])), keepdims=0), 2.0**-8, 16)
    for axis in (2, -1):
        x = file.node("Unsqueeze", x, file.constant(np.array([axis])))
    weights = file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 1, 1)))
    x = file.node("Conv", file.bits(x), file.bits(weights))
    file.classify(file.quant(x, 2.0**-5, 16), tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").agreement == 1


@pytest.mark.parametrize("axes", [[2, 3], [], None], ids=str)
def test_a_mean_that_would_be_none_without_axes(axes: list[int] | None, tmp_path: Path) -> None:
    file = File()
    given = [] if axes is None else [file.constant(np.array(axes, np.int64))]
    x = file.node("ReduceMean", file.start(), *given, noop_with_empty_axes=1)
    file.classify(file.quant(x, 2.0**-8, 16), tmp_path / "m.onnx")
    if axes:
        assert held(tmp_path / "m.onnx").agreement == 1
    else:
        with pytest.raises(BirealError, match=r"\(ReduceMean\): found axes=.*; supported: axes=\[2, 3\]"):
            convert(tmp_path / "m.onnx")


@pytest.mark.parametrize("axes", [[0, 2, 3], [1], [0]])
def test_other_axes_stay(axes: list[int], tmp_path: Path) -> None:
    file = File()
    x = file.node("Squeeze", file.node("GlobalMaxPool", file.start()), file.constant(np.array(axes)))
    file.save(file.node("Gemm", x, file.constant(np.ones((CHANNELS, CLASSES)))), tmp_path / "m.onnx")
    with pytest.raises(BirealError, match=r"\(Squeeze\): found axes="):
        convert(tmp_path / "m.onnx")


def test_a_sigmoid_at_the_end_changes_no_class(tmp_path: Path) -> None:
    file = File()
    x = file.node("Flatten", file.node("GlobalMaxPool", file.start()))
    logits = file.node("Gemm", x, file.constant(file.rng.normal(size=(CHANNELS, CLASSES))))
    file.save(file.node("Sigmoid", logits), tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").agreement == 1
    file.save(file.node("Mul", file.node("Sigmoid", logits), file.constant(2.0)), tmp_path / "m.onnx")
    with pytest.raises(BirealError, match="found it inside the network; supported: it as the last node"):
        convert(tmp_path / "m.onnx")


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_one_tap_is_not_dilated(dilation: int, tmp_path: Path) -> None:
    file = File()
    weights = file.constant(file.rng.choice([-1.0, 1.0], (CHANNELS, CHANNELS, 1, 1)))
    x = file.node("Conv", file.bits(file.start()), file.bits(weights), dilations=[dilation] * 2)
    file.finish(file.affine(x), tmp_path / "m.onnx")
    assert held(tmp_path / "m.onnx").largest == 0


@pytest.mark.parametrize("size", [2, 3])
def test_a_mean_that_ends_at_the_edge(size: int, tmp_path: Path) -> None:
    file = File()
    x = file.node("AveragePool", file.start(), kernel_shape=[size] * 2, strides=[size] * 2, ceil_mode=1)
    file.finish(file.affine(file.conv(file.bits(x))), tmp_path / "m.onnx", 16)
    if SIDE % size:
        with pytest.raises(BirealError, match=r"found a window of .* on 8x8 pixels; supported: windows that tile"):
            convert(tmp_path / "m.onnx")
    else:
        assert held(tmp_path / "m.onnx").largest == 0
