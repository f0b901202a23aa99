"""The graph against the file: every layer with the same inputs, and both from the image to the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bireal_hw import golden
from bireal_hw.errors import BirealError, VerdictError
from bireal_hw.ir.graph import INPUT
from bireal_hw.ir.types import TensorType
from bireal_hw.lowering.convert import Conversion
from bireal_hw.lowering.grid import NOISE
from bireal_hw.lowering.reader import Mark
from bireal_hw.lowering.reference import FileRunner


@dataclass(frozen=True)
class Distance:
    """How far the graph is from the file.

    Attributes:
        images: that both were given.
        exact: whether nothing was moved, so that every number has to be the same.
        tensors: of the file that were compared layer by layer.
        saturated: values, over all tensors, that the format of a stream cut off.
        largest: largest difference of an output, in the file's units.
        spread: standard deviation of the file's outputs.
        rms: root mean square of the differences.
        agreement: share of images with the same class.
    """

    images: int
    exact: bool
    tensors: int
    saturated: int
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
        )


def compare(conversion: Conversion, images: NDArray[np.uint8]) -> Distance:
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
    marks = {tensor: mark for tensor, mark in conversion.marks.items() if mark.stream in _names(conversion)}
    lockstep = FileRunner(conversion.model, [*marks, *_before_signs(conversion)])
    free = FileRunner(conversion.model, [conversion.answer])
    saturated, wanted, got = 0, [], []
    types = dict(_types(conversion))
    for image in images:
        streams = {INPUT: image[None], **dict(golden.tensors(conversion.graph, image[None]))}
        step = _Lockstep(conversion, marks, streams, types)
        x = conversion.pixels.of(image[None])
        lockstep.run(x, step.watch)
        saturated += step.saturated
        kept: list[NDArray[Any]] = []

        def keep(name: str, value: NDArray[Any], kept: list[NDArray[Any]] = kept) -> None:
            if name == conversion.answer:
                kept.append(value)

        free.run(x, keep)
        wanted.append(kept[0].astype(np.float64).ravel())
        mark = conversion.marks[conversion.answer]
        last = streams[mark.stream]
        got.append(_as_file(last, mark, kept[0].shape).ravel())
    return _distance(conversion, np.array(wanted), np.array(got), len(marks), saturated)


def _distance(
    conversion: Conversion, wanted: NDArray[np.float64], got: NDArray[np.float64], tensors: int, saturated: int
) -> Distance:
    away = np.abs(wanted - got)
    if conversion.exact and away.any():
        image, at = np.argwhere(away)[0]
        raise VerdictError(
            f"output {at} of image {image} is {wanted[image, at]:.9g} in the file and {got[image, at]:.9g} here, although"
            " nothing was moved: this is a fault of the program, please report it with the file"
        )
    same = float(np.mean(wanted.argmax(1) == got.argmax(1)))
    return Distance(
        len(wanted),
        conversion.exact,
        tensors,
        saturated,
        float(away.max()),
        float(wanted.std()),
        float(np.sqrt(np.mean(away**2))),
        same,
    )


class _Lockstep:
    """Holds each tensor of the file against its stream, for one image."""

    def __init__(
        self,
        conversion: Conversion,
        marks: dict[str, Mark],
        streams: dict[str, NDArray[Any]],
        types: dict[str, TensorType],
    ) -> None:
        self.conversion = conversion
        self.marks = marks
        self.streams = streams
        self.types = types
        self.before: dict[str, NDArray[Any]] = {}
        self.saturated = 0
        self.signs = {
            node.output[0]: node.input[0] for node in conversion.model.graph.node if node.op_type == "BipolarQuant"
        }

    def watch(self, name: str, value: NDArray[Any]) -> NDArray[Any] | None:
        """Compare a tensor with its stream and go on with the stream's values."""
        self.before[name] = value
        mark = self.marks.get(name)
        if mark is None:
            return None
        have = _as_file(self.streams[mark.stream], mark, value.shape)
        x = self.types[mark.stream]
        if name in self.signs and x.dtype.bipolar:
            wrong = self._signs(name, value, have)
        else:
            away = np.abs(value.astype(np.float64) - have)
            integers = _as_file(
                self.streams[mark.stream], Mark(mark.stream, np.ones(1), np.zeros(1), mark.order, 0, False), value.shape
            )
            ends = (integers <= x.dtype.low) | (integers >= x.dtype.high) if mark.saturates else np.zeros(1, bool)
            self.saturated += int(np.sum(ends & (away > mark.bound)))
            noise = NOISE * float(np.abs(value).max()) if mark.bound else 0.0
            wrong = (away > mark.bound * 1.001 + noise) & ~ends
        if np.any(wrong):
            at = tuple(int(one) for one in np.argwhere(wrong)[0])
            raise VerdictError(
                f"'{name}' at {list(at)} is {value[at]:.9g} in the file and {have[at]:.9g} here, where both read the same;"
                f" it was moved by {mark.bound:.3g} at most: this is a fault of the program, please report it with the file"
            )
        return have

    def _signs(self, name: str, value: NDArray[Any], have: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where bits differ, but for values that float32 cannot tell from the threshold."""
        before = self.before.get(self.signs[name])
        if before is None:
            return value != have
        return (value != have) & (np.abs(before) > NOISE * float(np.abs(before).max()))


def _as_file(stream: NDArray[Any], mark: Mark, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The integers (1, H, W, C) of a stream as the file's numbers, in its shape and order."""
    real = mark.gain * stream.astype(np.float64) + mark.add
    if mark.order is not None:
        flat = np.empty(real.size)
        flat[mark.order] = real.ravel()
        return flat.reshape(shape)
    if len(shape) == 4 and shape[1:] == real.shape[1:] and shape[1] != real.shape[3]:
        return real  # channels last
    return real.transpose(0, 3, 1, 2).reshape(shape)


def _names(conversion: Conversion) -> set[str]:
    return {node.name for node in conversion.graph}


def _types(conversion: Conversion) -> list[tuple[str, TensorType]]:
    return [(node.name, conversion.graph.types[node.name]) for node in conversion.graph]


def _before_signs(conversion: Conversion) -> list[str]:
    return [node.input[0] for node in conversion.model.graph.node if node.op_type == "BipolarQuant"]


__all__ = ["BirealError", "Distance", "compare"]
