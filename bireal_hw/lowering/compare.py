"""The graph against the file: every layer with the same inputs, and both from the image to the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bireal_hw import golden
from bireal_hw.errors import VerdictError
from bireal_hw.lowering.convert import ESTIMATOR, Conversion
from bireal_hw.lowering.grid import NOISE
from bireal_hw.lowering.reader import Mark
from bireal_hw.lowering.reference import FileRunner
from bireal_hw.lowering.rules.layers import WEIGHTS

FAR_CLASSES, FAR_OUTPUTS = 0.99, 0.02
"""Share of images with the same class, and distance in parts of the outputs' spread, from which on advice is given."""
BATCH = 8
"""Images that the golden model computes at once; every layer's numbers are held for each."""


@dataclass(frozen=True)
class Distance:
    """How far the graph is from the file.

    Attributes:
        images: that both were given.
        exact: whether nothing was moved, so that every number has to be the same.
        tensors: of the file that were compared layer by layer.
        saturated: values, over all tensors, that the format of a stream cut off.
        zeros: signs that are 0 in the file, and not in hardware.
        largest: largest difference of an output, in the file's units.
        spread: standard deviation of the file's outputs.
        rms: root mean square of the differences.
        agreement: share of images with the same class.
    """

    images: int
    exact: bool
    tensors: int
    saturated: int
    zeros: int
    largest: float
    spread: float
    rms: float
    agreement: float

    @property
    def words(self) -> str:
        """In a line."""
        if self.exact:
            return f"the same numbers as the file's on {self.images} images"
        relative = self.rms / self.spread if self.spread else 0.0
        return (
            f"outputs {relative:.2%} of their spread away from the file's, at most {self.largest:.3g};"
            f" same class in {self.agreement:.1%} of {self.images} images"
            + (f"; {self.zeros} signs are 0 in the file and 1 here" if self.zeros else "")
        )


def compare(conversion: Conversion, images: NDArray[np.integer]) -> Distance:
    """Run the file and the golden model on images.

    First layer by layer: the file goes on with what the golden model has computed, so that each layer has the same
    inputs in both, and may differ by what it was moved only. Then both run freely.

    Args:
        conversion: the file and its graph.
        images: (N, H, W, C) uint8 stored pixels.

    Raises:
        VerdictError: a layer differs by more than it was moved; the text names it.
    """
    golden.check_images(conversion.graph, images)
    names = {node.name for node in conversion.graph}
    marks = {tensor: mark for tensor, mark in conversion.marks.items() if mark.stream in names}
    lockstep = FileRunner(conversion.model, [*marks, *(mark.compared[0] for mark in marks.values() if mark.compared)])
    free = FileRunner(conversion.model, [conversion.answer])
    saturated, zeros, wanted, got = 0, 0, [], []
    last = conversion.marks[conversion.answer]
    for start in range(0, len(images), BATCH):
        some = images[start : start + BATCH]
        streams = dict(golden.tensors(conversion.graph, some))
        for at, x in enumerate(conversion.pixels.of(np.asarray(some, np.uint8))):
            one = {name: stream[at : at + 1] for name, stream in streams.items()}
            step = _Lockstep(conversion, marks, one)
            lockstep.run(x[None], step.watch)
            saturated, zeros = saturated + step.saturated, zeros + step.zeros
            answer: dict[str, NDArray[Any]] = {}
            free.run(x[None], answer.__setitem__)
            value = answer[conversion.answer]
            wanted.append(value.astype(np.float64).ravel())
            got.append(step.as_file(conversion.answer, last, value.shape).ravel())
    return _distance(conversion, np.array(wanted), np.array(got), len(marks), saturated, zeros)


def advice(conversion: Conversion, distance: Distance) -> str:
    """What would bring a graph nearer to its file, in a line; empty where it is near, or nothing is known."""
    if distance.agreement >= FAR_CLASSES and distance.rms <= FAR_OUTPUTS * distance.spread:
        return ""
    layers = [entry.node for entry in conversion.journal if entry.becomes.startswith(WEIGHTS)]
    parts = []
    if layers:
        parts.append(
            f"train {', '.join(layers)} with weights of 8 bits (Brevitas: Int8WeightPerChannelFloat), which are rounded"
            " here and may turn bits behind them"
        )
    if distance.saturated:
        parts.append(f"calibrate with more images: {distance.saturated} values were cut off")
    return "; ".join(parts)


def _distance(
    conversion: Conversion,
    wanted: NDArray[np.float64],
    got: NDArray[np.float64],
    tensors: int,
    saturated: int,
    zeros: int,
) -> Distance:
    away = np.abs(wanted - got)
    if conversion.exact and away.any():
        image, at = np.argwhere(away)[0]
        raise VerdictError(
            f"output {at} of image {image} is {wanted[image, at]:.9g} in the file and {got[image, at]:.9g} here,"
            " although nothing was moved: this is a fault of the program, please report it with the file"
        )
    same = float(np.mean(wanted.argmax(1) == got.argmax(1)))
    return Distance(
        len(wanted),
        conversion.exact,
        tensors,
        saturated,
        zeros,
        float(away.max()),
        float(wanted.std()),
        float(np.sqrt(np.mean(away**2))),
        same,
    )


class _Lockstep:
    """Holds each tensor of the file against its stream, for one image."""

    def __init__(self, conversion: Conversion, marks: dict[str, Mark], streams: dict[str, NDArray[Any]]) -> None:
        self.conversion = conversion
        self.marks = marks
        self.streams = streams
        self.before: dict[str, NDArray[Any]] = {}
        self.saturated = self.zeros = 0

    def watch(self, name: str, value: NDArray[Any]) -> NDArray[Any] | None:
        """Compare a tensor with its stream and go on with the stream's values."""
        self.before[name] = value
        mark = self.marks.get(name)
        if mark is None:
            return None
        have = self.as_file(name, mark, value.shape)
        dtype = self.conversion.graph.types[mark.stream].dtype
        if mark.compared is not None:
            wrong = self._other_signs(value, have, mark)
        else:
            away = np.abs(value.astype(np.float64) - have)
            cut_off = np.zeros(away.shape, np.bool_)
            if mark.saturates:
                whole = self.as_file(name, replace(mark, gain=np.ones(1), add=np.zeros(1)), value.shape)
                cut_off = ((whole <= dtype.low) | (whole >= dtype.high)) & (away > mark.bound)
                self.saturated += int(cut_off.sum())
            noise = 0.0 if self.conversion.exact else NOISE * float(np.abs(value).max()) + mark.noise
            wrong = (away > mark.bound * (1 + NOISE) + noise) & ~cut_off
        if np.any(wrong):
            at = tuple(int(one) for one in np.argwhere(wrong)[0])
            raise VerdictError(
                f"'{name}' at {list(at)} is {value[at]:.9g} in the file and {have[at]:.9g} here, where both read the"
                f" same, and may differ by {mark.bound:.3g}: this is a fault of the program, please report it with the"
                " file"
            )
        return have if value.dtype.kind == "f" else None  # integers of QuantizeLinear stay what they are

    def _other_signs(self, value: NDArray[Any], have: NDArray[np.float64], mark: Mark) -> NDArray[np.bool_]:
        """Where bits differ, but for values that float32, or a border, cannot tell from the threshold."""
        assert mark.compared is not None
        tensor, level = mark.compared
        if tensor not in self.before or self.conversion.exact:
            return value != have
        other = np.abs(value - have) > ESTIMATOR * np.abs(have)
        if mark.zeros:
            self.zeros += int(np.sum(value == 0))
        before = self.before[tensor] - level
        unsure = NOISE * max(float(np.abs(self.before[tensor]).max()), float(np.abs(level).max()))
        return other & (np.abs(before) > unsure + mark.bound + mark.noise)

    def as_file(self, name: str, mark: Mark, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """The integers of a stream as the file's numbers, in its shape and order."""
        real: NDArray[np.float64] = mark.gain * self.streams[mark.stream].astype(np.float64) + mark.add
        if mark.order is not None:
            flat = np.empty(real.size)
            flat[mark.order] = real.ravel()
            return flat.reshape(shape)
        if name in self.conversion.channels_last:
            return real.reshape(shape)
        return real.transpose(0, 3, 1, 2).reshape(shape)
