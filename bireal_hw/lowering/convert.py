"""A file to an integer graph: reads it, again where it turns out how pixels or grids have to be chosen."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.lowering.closing import graph_of
from bireal_hw.lowering.estimators import without_estimators
from bireal_hw.lowering.files import load
from bireal_hw.lowering.pixels import Pixels, parse, span
from bireal_hw.lowering.reader import Entry, Mark, Ranges, Reader, RefusedError, RereadError, Row
from bireal_hw.lowering.reference import FileRunner
from bireal_hw.lowering.rules import RULES

GENERATED = 16
"""Images that are made up where a user gives none."""
FEWEST = 8
"""Images for calibration at least."""
ESTIMATOR = 2.0**-12
"""What float32 loses of a sign, in proportion, where an estimator has added and taken away the same number, at most."""
AGAIN = 12
"""Times that a file is read anew at most."""


Images = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Options:
    """What a user may say of a file.

    Attributes:
        pixels: what a stored pixel stands for, also in words (see `pixels.parse`); None to find out.
        images: from which ranges are learnt: (N, H, W, C) uint8 stored pixels, or (N, C, H, W) numbers as the file
            reads them; also a function of the image's (height, width, channels) that gives them; None for images
            that are made up.
        stream_bits: width of a stream that no quantizer rounds, 8 to 24.
    """

    pixels: Pixels | str | None = None
    images: Images | Callable[[tuple[int, int, int]], Images] | None = None
    stream_bits: int = 16


@dataclass(frozen=True, eq=False)
class Conversion:
    """A file and the graph that it became.

    Attributes:
        model: the file.
        graph: the network in integers.
        pixels: what a stored pixel stands for.
        marks: where tensors of the file stand in the graph.
        journal: what was moved or left out, and by how much.
        rows: what became of each node of the file.
        answer: tensor of the file that the graph's output is.
        channels_last: tensors of the file that are (N, H, W, C).
        images: (N, H, W, C) uint8: the images that ranges were learnt from.
    """

    model: onnx.ModelProto
    graph: Graph
    pixels: Pixels
    marks: dict[str, Mark]
    journal: list[Entry]
    rows: list[Row]
    answer: str
    channels_last: set[str]
    images: NDArray[np.uint8]

    @property
    def exact(self) -> bool:
        """Whether the graph computes exactly what the file says, and nothing was moved."""
        return all(mark.bound == 0 for mark in self.marks.values()) and not any(entry.moved for entry in self.journal)


def lower(path: Path, options: Options | None = None) -> Graph:
    """Read a QONNX file and return the verified integer graph.

    Raises:
        BirealError: the file is missing, broken or foreign, or a node or attribute is not supported; the text names the
            node, what was found and what is supported.
    """
    return convert(path, options).graph


def convert(path: Path, options: Options | None = None) -> Conversion:
    """Read a file, and move to the grid what does not lie on it.

    Raises:
        BirealError: as of `lower`.
    """
    model = load(path)
    try:
        return convert_model(model, options or Options())
    except BirealError as error:
        named = type(error)(f"{path}: {error}")
        named.report = error.report
        raise named from error
    except Exception as error:  # whatever a library says of a damaged file
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        fault = BirealError(f"{path} cannot be read: {reason}")
        fault.report = traceback.format_exc()
        raise fault from error


def convert_model(model: onnx.ModelProto, options: Options) -> Conversion:
    """As `convert`, of a file that has been read."""
    reader, graph = _read(model, options)
    if isinstance(graph, BirealError):
        raise graph
    found = replace(graph, info={**graph.info, **reader.pixels.about()})
    images = _Images(options).stored(reader.pixels, reader.input.shape)
    return Conversion(
        model,
        found,
        reader.pixels,
        reader.marks,
        reader.journal,
        reader.rows,
        reader.answer,
        reader.channels_last,
        images,
    )


def rows(path: Path, options: Options | None = None) -> tuple[list[Row], BirealError | None]:
    """What becomes of each node of a file, also where some are refused: (rows, why it is not converted)."""
    reader, graph = _read(load(path), options or Options())
    return reader.rows, graph if isinstance(graph, BirealError) else None


def _read(model: onnx.ModelProto, options: Options) -> tuple[Reader, Graph | BirealError]:
    """Read a file until pixels and grids are settled: the last reader, and what it gave."""
    images, fracs, settle_first = _Images(options), dict[str, int](), frozenset[str]()
    network, straight, gone = without_estimators(model)
    cache: dict[int, tuple[Pixels, Ranges]] = {}
    given = options.pixels
    pixels = given if isinstance(given, Pixels) else None

    def ranges(known: Pixels) -> Ranges:
        if id(known) not in cache:
            chosen = images.stored(known, reader.input.shape)
            found = FileRunner(model, None).ranges(known.of(one[None]) for one in chosen)
            cache[id(known)] = known, lambda tensor: found.get(tensor, (-1.0, 1.0))
        return cache[id(known)][1]

    for _ in range(AGAIN):
        reader = Reader(network, RULES, pixels, ranges, fracs, options.stream_bits, images.are_pictures, settle_first)
        for node in straight:
            reader.say(node.output[0], "a straight-through estimator, left out", ESTIMATOR)
        reader.rows += [Row(node.name or node.output[0], node.op_type, "left out: an estimator's") for node in gone]
        if isinstance(given, str) and pixels is None:
            pixels = parse(given, reader.input.channels)
            continue
        try:
            return reader, graph_of(reader)
        except RereadError as again:
            pixels = again.known.get("pixels", pixels)
            fracs = again.known.get("fracs", fracs)
            settle_first = again.known.get("settle_first", settle_first)
            if pixels is not None and "pixels" in again.known and again.known.get("free"):
                pixels = images.spanned(pixels, reader.input.shape)
        except BirealError as error:
            return reader, error
    return reader, RefusedError("the grids of its streams do not settle: give the network quantizers")


class _Images:
    """The images that a user gives, or made-up ones."""

    def __init__(self, options: Options) -> None:
        self._given = options.images
        self._found: Images | None = None

    def _images(self, shape: tuple[int, int, int]) -> Images | None:
        """What is given, checked against (height, width, channels) of the network."""
        if self._found is None and self._given is not None:
            found = self._given(shape) if callable(self._given) else self._given
            height, width, channels = shape
            wanted = shape if found.dtype == np.uint8 else (channels, height, width)
            if found.dtype != np.uint8 and found.ndim == 4 and found.shape[1:] == shape != wanted:
                found = found.transpose(0, 3, 1, 2)  # as Keras has them
            if found.ndim != 4 or found.shape[1:] != wanted:
                form = "x".join(map(str, found.shape))
                raise BirealError(
                    f"the images for calibration have the shape {form} ({found.dtype}); the network takes uint8 of"
                    f" Nx{height}x{width}x{channels}, or numbers of Nx{channels}x{height}x{width}"
                )
            if len(found) < FEWEST:
                raise BirealError(f"{len(found)} images for calibration are too few: give {FEWEST} or more")
            if found.dtype != np.uint8 and not np.isfinite(found.astype(np.float64)).all():
                raise BirealError("the images for calibration hold numbers that are not finite")
            self._found = found
        return self._found

    @property
    def are_pictures(self) -> bool:
        """Whether they are stored pixels, as far as is known."""
        return callable(self._given) or (self._given is not None and self._given.dtype == np.uint8)

    def stored(self, pixels: Pixels, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        """As stored pixels (N, H, W, C)."""
        found = self._images(shape)
        if found is None:
            return generated((GENERATED, *shape))
        return np.asarray(found, np.uint8) if found.dtype == np.uint8 else pixels.nearest(np.asarray(found, np.float64))

    def spanned(self, pixels: Pixels, shape: tuple[int, int, int]) -> Pixels:
        """Pixels that reach over numbers that are given, for a file that does not say how they are rounded."""
        found = self._images(shape)
        if found is None or found.dtype == np.uint8:
            return pixels
        numbers = np.asarray(found, np.float64)
        low, high = min(float(numbers.min()), 0.0), max(float(numbers.max()), 0.0)
        if high <= low:
            return pixels
        step = (high - low) / 255
        zero = round(-low / step)
        words = f"the images that were given reach from {low:.4g} to {high:.4g}"
        return span(-zero * step, (255 - zero) * step, len(pixels.scale), words)


def generated(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Made-up images (N, H, W, C): noise of all contrasts, over slopes of brightness."""
    rng = np.random.default_rng(0)
    count, height, width, channels = shape
    found = np.empty(shape, np.uint8)
    for at in range(count):
        contrast = (at % 4 + 1) / 4
        y, x = np.mgrid[0:height, 0:width]
        slope = np.sin(
            y / max(height, 1) * rng.uniform(0, 6) + x / max(width, 1) * rng.uniform(0, 6) + rng.uniform(0, 6)
        )
        noise = rng.uniform(-1, 1, (height, width, channels))
        mixed = 128 + 127 * (contrast * noise + (1 - contrast) * slope[..., None])
        found[at] = np.clip(np.round(mixed), 0, 255)
    return found
