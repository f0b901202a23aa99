"""A file to an integer graph: reads it, again where it turns out how pixels or grids have to be chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.lowering.files import load
from bireal_hw.lowering.reader import Entry, Mark, Pixels, Ranges, Reader, Reread
from bireal_hw.lowering.reference import FileRunner
from bireal_hw.lowering.rules import RULES

GENERATED = 16
"""Images that are made up where a user gives none."""
AGAIN = 12
"""Times that a file is read anew at most."""


@dataclass(frozen=True, eq=False)
class Options:
    """What a user may say of a file.

    Attributes:
        pixels: what a stored pixel stands for; None to find out.
        images: (N, C, H, W) numbers as the file reads them, or (N, H, W, C) uint8 stored pixels, from which ranges are
            learnt; None for made-up images.
        stream_bits: width of a stream that no quantizer rounds, 8 to 24.
    """

    pixels: Pixels | None = None
    images: NDArray[np.generic] | None = None
    stream_bits: int = 16


@dataclass(frozen=True, eq=False)
class Conversion:
    """A file and the graph that it became.

    Attributes:
        model: the file.
        graph: the network in integers.
        pixels: what a stored pixel stands for.
        marks: where tensors of the file stand in the graph.
        journal: what was done with the nodes that were moved, folded or left out.
        answer: tensor of the file that the graph's output is.
        images: (N, H, W, C) uint8: the images that ranges were learnt from.
    """

    model: onnx.ModelProto
    graph: Graph
    pixels: Pixels
    marks: dict[str, Mark]
    journal: list[Entry]
    answer: str
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
        raise type(error)(f"{path}: {error}") from error


def convert_model(model: onnx.ModelProto, options: Options) -> Conversion:
    """As `convert`, of a file that has been read."""
    pixels, fracs = options.pixels, {}
    images: NDArray[np.uint8] | None = None
    if options.images is not None and options.images.dtype == np.uint8 and options.images.ndim == 4:
        images = np.asarray(options.images, np.uint8)

    def ranges(known: Pixels) -> Ranges:
        chosen = _images(options, images, known, reader)
        found = FileRunner(model, None).ranges(known.of(one[None]) for one in chosen)
        return lambda tensor: found.get(tensor, (-1.0, 1.0))

    cache: dict[int, Ranges] = {}

    def cached(known: Pixels) -> Ranges:
        if id(known) not in cache:
            cache[id(known)] = ranges(known)
        return cache[id(known)]

    for _ in range(AGAIN):
        reader = Reader(model, RULES, pixels, cached, fracs, options.stream_bits)
        try:
            graph = reader.run()
        except Reread as again:
            pixels = again.known.get("pixels", pixels)
            fracs = again.known.get("fracs", fracs)
            if options.images is not None and options.pixels is None and "pixels" in again.known:
                pixels = _spanned(options, pixels)
            continue
        about = {**graph.info, **_about(reader.pixels)}
        chosen = _images(options, images, reader.pixels, reader)
        return Conversion(
            model, replace(graph, info=about), reader.pixels, reader.marks, reader.journal, reader.answer, chosen
        )
    raise BirealError("the grids of its streams do not settle: give the network quantizers")


def _about(pixels: Pixels) -> dict[str, object]:
    """What the graph's info says of its pixels; nothing where they are read as they are stored."""
    if np.all(pixels.scale == 1) and not np.any(pixels.offset):
        return {}
    return {"pixels": {"scale": pixels.scale.tolist(), "offset": pixels.offset.tolist(), "why": pixels.why}}


def _spanned(options: Options, pixels: Pixels | None) -> Pixels | None:
    """Pixels that reach over the images that a user gives, where no quantizer says how they are rounded."""
    given = options.images
    if pixels is None or given is None or given.dtype == np.uint8 or "divided" not in pixels.why:
        return pixels
    low, high = min(float(given.min()), 0.0), max(float(given.max()), 0.0)
    if high <= low:
        return pixels
    step = (high - low) / 255
    zero = round(-low / step)
    channels = len(pixels.scale)
    words = f"the images that were given reach from {low:.4g} to {high:.4g}, in steps of {step:.4g}"
    return Pixels(np.full(channels, step), np.full(channels, -zero * step), words)


def _images(options: Options, stored: NDArray[np.uint8] | None, pixels: Pixels, reader: Reader) -> NDArray[np.uint8]:
    """The images that ranges are learnt from, as stored pixels."""
    if stored is not None:
        return stored
    if options.images is not None:
        return pixels.stored(np.asarray(options.images, np.float64))
    return generated((GENERATED, *reader.input.shape))


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


_ = Callable
