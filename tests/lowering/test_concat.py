"""Concat: a stream behind itself along its channels, in every form that a file may have, against qonnx; or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.lowering import convert, lower
from bireal_hw.lowering.compare import compare
from bireal_hw.ops import Duplicate, Merge
from tests.lowering.test_foreign import CHANNELS, CLASSES, File, same_as_the_file


class Doubled(File):
    """A network whose channels are doubled by a convolution; the shortcut past it can be made in another way."""

    def conv_to(self, bits: str, channels: int) -> str:
        weights = self.constant(self.rng.choice([-1.0, 1.0], (channels, CHANNELS, 1, 1)))
        return self.node("Conv", bits, self.bits(weights), kernel_shape=[1, 1], strides=[1, 1], pads=[0] * 4)

    def doubling(self, shortcut: Callable[[File, str], str], path: Path, copies: int = 2) -> None:
        x = self.start()
        channels = copies * CHANNELS
        dot = self.conv_to(self.bits(x), channels)
        gain, bias = (self.rng.integers(-limit, limit, channels) * 2.0**-12 for limit in (300, 2000))
        t = self.node("Add", self.node("Mul", dot, self.channels(gain)), self.channels(bias))
        x = self.merge(shortcut(self, x), self.quant(t, 2.0**-8, 18))
        pool = self.node("ReduceSum", x, self.constant(np.array([2, 3], np.int64)), keepdims=1)
        pool = self.node("Add", self.node("Mul", pool, self.constant(2.0**-6)), self.constant(2.0**-6))
        pool = self.quant(pool, 2.0**-5, 8)
        weights = self.constant(self.rng.integers(-100, 100, (CLASSES, channels)) * 2.0**-7)
        w = self.quant(weights, 2.0**-7, 8, "ROUND", narrow=1)
        self.save(self.node("Gemm", self.node("Flatten", pool, axis=1), w, transB=1), path)


FORMS: dict[str, tuple[int, Callable[[File, str], str]]] = {
    "twice": (2, lambda file, x: file.node("Concat", x, x, axis=1)),
    "the axis from behind": (2, lambda file, x: file.node("Concat", x, x, axis=-3)),
    "three times": (3, lambda file, x: file.node("Concat", x, x, x, axis=1)),
    "through Identity": (2, lambda file, x: file.node("Concat", file.node("Identity", x), x, axis=1)),
    "pairs of pairs": (4, lambda file, x: file.node("Concat", *[file.node("Concat", x, x, axis=1)] * 2, axis=1)),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_behind_itself(form: str, tmp_path: Path) -> None:
    copies, shortcut = FORMS[form]
    Doubled().doubling(shortcut, tmp_path / "net.onnx", copies)
    graph = same_as_the_file(tmp_path / "net.onnx")
    made = [node.op.copies for node in graph if isinstance(node.op, Duplicate)]
    assert np.prod(made) == copies
    assert [node.op for node in graph if isinstance(node.op, Merge)]


OTHERS: dict[str, Callable[[File, str], list[str]]] = {
    "on another grid": lambda file, x: [x, file.quant(x, 2.0**-7, 12)],
    "a ReLU and the stream": lambda file, x: [file.node("Relu", x), x],
    "a BatchNorm of it": lambda file, x: [file.node("Mul", x, file.channels(np.linspace(-1, 1, CHANNELS))), x],
    "three": lambda file, x: [x, file.node("Relu", x), file.node("Neg", x)],
    "the sums of two convolutions": lambda file, x: [file.conv(file.bits(x)), file.conv(file.bits(x))],
}


@pytest.mark.parametrize("form", OTHERS)
def test_different_streams_side_by_side(form: str, tmp_path: Path) -> None:
    file = File()
    parts = OTHERS[form](file, file.start())
    joined, channels = file.node("Concat", *parts, axis=1), CHANNELS * len(parts)
    pool = file.node("GlobalAveragePool", joined)
    weights = file.quant(file.constant(file.rng.normal(size=(CLASSES, channels))), 0.02, 8, "ROUND", narrow=1)
    file.save(file.node("Gemm", file.node("Flatten", pool, axis=1), weights, transB=1), tmp_path / "net.onnx")
    found = convert(tmp_path / "net.onnx")
    distance = compare(found, found.images[:4])
    assert distance.agreement == 1
    assert distance.rms < 0.01 * distance.spread


REFUSED: dict[str, tuple[Callable[[File, str], str], str]] = {
    "rows": (lambda file, x: file.node("Concat", x, x, axis=2), "found axis=2; supported: the channels of an image"),
    "batch": (lambda file, x: file.node("Concat", x, x, axis=0), "found axis=0; supported: the channels of an image"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_duplication_is_refused(case: str, tmp_path: Path) -> None:
    shortcut, text = REFUSED[case]
    Doubled().doubling(shortcut, tmp_path / "net.onnx")
    with pytest.raises(BirealError) as caught:
        lower(tmp_path / "net.onnx")
    assert text in str(caught.value)
    assert "(Concat)" in str(caught.value)
