"""The program from Python: from a QONNX file to a verdict, over arrays, paths and objects.

The commands do the same with the same functions; what they add is a run's folder and what is up to date in it. All
functions raise `BirealError`, one line that says what was wrong and what to do. docs/api.md shows them in use.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bireal_hw import boards, golden
from bireal_hw import hls as _hls
from bireal_hw import lowering as _lowering
from bireal_hw import rtl as _rtl
from bireal_hw.analysis.plan import plan
from bireal_hw.errors import BirealError, out_of_range
from bireal_hw.golden import classify
from bireal_hw.hls import Design
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array, Fold
from bireal_hw.lowering.compare import Distance
from bireal_hw.lowering.compare import compare as _compare
from bireal_hw.lowering.convert import Images
from bireal_hw.lowering.pixels import of_info
from bireal_hw.lowering.reader import Entry
from bireal_hw.passes.dataflow import Dataflow
from bireal_hw.passes.folding import Folding, verify_folding
from bireal_hw.passes.placement import placed
from bireal_hw.sim.network import simulate_network
from bireal_hw.sim.results import Simulation
from bireal_hw.sim.runner import DEFAULT_BUILDS, FREE, STALLED

__all__ = [
    "BirealError",
    "Compiled",
    "Dataflow",
    "Design",
    "Distance",
    "Fold",
    "Folding",
    "Graph",
    "Simulation",
    "classify",
    "compile",
    "compute",
    "fold",
    "generate_hls",
    "generate_rtl",
    "lower",
    "simulate",
    "stored",
]


def lower(path: str | Path, pixels: str | None = None, calibration: Images | None = None) -> Graph:
    """Read a file of a network into the integer graph.

    Args:
        path: a QONNX file, or an ONNX file with quantizers.
        pixels: what a stored pixel stands for: `0..1`, `-1..1` or any `LOW..HIGH`, `imagenet`, or `stored` for 0..255;
            None to find out (docs/networks.md).
        calibration: images from which the ranges of streams without a quantizer are learnt, 8 or more: (N, C, H, W)
            numbers as the network reads them, or (N, H, W, C) uint8; None for made-up images.

    Raises:
        BirealError: the file cannot be read, or holds a node that is not supported; the text names it.
    """
    return _convert(path, pixels, calibration).graph


def compile(
    module: Any,
    example: Any,
    calibration: Images | None = None,
    board: str = "pynq-z2",
    target_fps: float | str | None = None,
    pixels: str | None = None,
) -> Compiled:
    """Turn a network of stock Brevitas layers into integers, hold it against itself, and fold it for a board.

    Args:
        module: a `torch.nn.Module` in eval mode, of layers that Brevitas exports as QONNX.
        example: a tensor (1, C, H, W) that it reads.
        calibration: as of `lower`.
        board: as of `fold`.
        target_fps: as of `fold`.
        pixels: as of `lower`.

    Raises:
        BirealError: the module is not exported, something in it is not supported, or it does not fit the board.
    """
    from bireal_hw.export.module import export_module

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"{type(module).__name__}.onnx"
        export_module(module, example, path)
        found = _convert(path, pixels, calibration)
    distance = _compare(found, found.images[:COMPARED])
    return Compiled(found.graph, fold(found.graph, board, target_fps), distance, tuple(found.journal))


COMPARED = 32
"""Images on which `compile` holds the integers against the network."""


@dataclass(frozen=True)
class Compiled:
    """A network as integers.

    Attributes:
        graph, folding: for the other functions.
        distance: how far the integers are from the network (`agreement`: share of images with the same class).
        moved: what was moved to the grid, with the most that it moves.
    """

    graph: Graph
    folding: Folding
    distance: Distance
    moved: tuple[Entry, ...]

    def logits(self, x: Images) -> NDArray[np.float64]:
        """Compute the outputs (N, classes) of images (N, C, H, W) as the module reads them, in the module's units."""
        integers = compute(self.graph, stored(self.graph, x))
        return np.asarray(integers * 2.0**-self.graph.output.dtype.frac, np.float64)


def _convert(path: str | Path, pixels: str | None, calibration: Images | None) -> _lowering.Conversion:
    if not isinstance(path, str | Path):
        raise BirealError(f"a file is named by a path, not by a {type(path).__name__}")
    if calibration is not None and not hasattr(calibration, "dtype"):
        raise BirealError(f"images are an array, not a {type(calibration).__name__}")
    images = None if calibration is None else np.asarray(calibration)
    return _lowering.convert(Path(path), _lowering.Options(pixels, images))


def stored(graph: Graph, x: Images) -> NDArray[np.uint8]:
    """Turn images as the network's file reads them into the stored pixels that the hardware reads.

    Args:
        graph: the network; its `info` says what a stored pixel stands for.
        x: (N, C, H, W) numbers.

    Returns:
        (N, H, W, C) uint8, the nearest there are.

    Raises:
        BirealError: the images have another shape.
    """
    height, width, channels = graph.input.shape
    if not isinstance(x, np.ndarray) or x.ndim != 4 or x.shape[1:] != (channels, height, width):
        found = "x".join(map(str, np.shape(x)))
        raise BirealError(f"the images have the shape {found}; the network reads Nx{channels}x{height}x{width}")
    return of_info(graph.info, channels).nearest(np.asarray(x, np.float64))


def fold(
    graph: Graph, board: str = "pynq-z2", target_fps: float | str | None = None, clock_mhz: float | None = None
) -> Folding:
    """Choose how much each layer computes in a cycle: the least resources for a speed on a board.

    Args:
        graph: the network.
        board: name of the board, such as `kv260`.
        target_fps: frames per second; `max` for the most that fits; None for 1,000, or the most that fits if less.
        clock_mhz: clock of the network in MHz; None for the board's own.

    Raises:
        BirealError: there is no such board, the network does not fit it, or the speed is out of reach.
    """
    chosen = boards.board(board)
    speed = float(target_fps) if isinstance(target_fps, int | float) else target_fps
    if speed not in (None, "max") and not (isinstance(speed, float) and 0 < speed < math.inf):
        raise out_of_range("target_fps", target_fps, "a number above 0, 'max' or None")
    _check_clock(clock_mhz)
    width = graph.info.get("width")
    return plan(graph, chosen, float(clock_mhz or chosen.clock_mhz), speed, width).folding


def compute(graph: Graph, images: Array) -> Array:
    """Compute the outputs of images with the golden model.

    Args:
        graph: the network.
        images: (N, H, W, C) uint8, stored pixels 0..255.

    Returns:
        (N, classes) integers, or (N, H*W*C) of a map; the real values are these times 2^-`graph.output.dtype.frac`.

    Raises:
        BirealError: the images have another shape or type than the network reads.
    """
    golden.check_images(graph, images)
    if not len(images):
        raise BirealError("there are no images: give one or more")
    return golden.run(graph, images)


def generate_rtl(graph: Graph, folding: Folding, folder: str | Path) -> Dataflow:
    """Write the SystemVerilog of a network into a folder that appears whole or not at all.

    Args:
        graph: the network.
        folding: of `fold`, or one of your own.
        folder: replaced if it exists; receives `br_top.sv`, `mem/`, `lib/`, `files.f`, `dataflow.json`.
    """
    graph = placed(graph, folding)
    verify_folding(graph, folding)
    with _writing(folder):
        return _rtl.generate(graph, folding, Path(folder))


def generate_hls(
    graph: Graph, folding: Folding, folder: str | Path, board: str = "pynq-z2", clock_mhz: float | None = None
) -> Design:
    """Write the project for Vitis HLS of a network into a folder that appears whole or not at all.

    Args:
        graph: the network.
        folding: of `fold`, or one of your own.
        folder: replaced if it exists.
        board: whose part is synthesised for.
        clock_mhz: None for the board's own.
    """
    chosen = boards.board(board)
    _check_clock(clock_mhz)
    graph = placed(graph, folding)
    verify_folding(graph, folding)
    with _writing(folder):
        return _hls.generate(graph, folding, Path(folder), chosen.part, float(clock_mhz or chosen.clock_mhz), board)


def _check_clock(clock_mhz: float | None) -> None:
    if clock_mhz is not None and not 0 < clock_mhz < math.inf:
        raise out_of_range("clock_mhz", clock_mhz, "a number of MHz above 0, or None")


@contextmanager
def _writing(folder: str | Path) -> Iterator[None]:
    """Turn what the operating system says of a folder into one line."""
    if not str(folder):
        raise BirealError("the folder has no name")
    try:
        yield
    except OSError as error:
        raise BirealError(f"cannot write {folder}: {error.strerror}") from error


def simulate(
    graph: Graph, folding: Folding, images: Array, stalls: bool = True, builds: str | Path = DEFAULT_BUILDS
) -> Simulation:
    """Generate the SystemVerilog of a network, run images through it in Verilator, and compare every output.

    Args:
        graph: the network.
        folding: of `fold`, or one of your own.
        images: (N, H, W, C) uint8; repeated up to four frames.
        stalls: whether to run a second time with both ends of the stream stalling at random.
        builds: folder that keeps built simulators, `build/sim` where nothing is said.

    Raises:
        BirealError: a tool is missing, the images do not fit, or the simulation breaks off.
    """
    modes = (FREE, STALLED) if stalls else (FREE,)
    with tempfile.TemporaryDirectory() as name:
        generate_rtl(graph, folding, Path(name) / "rtl")
        return simulate_network(placed(graph, folding), folding, Path(name) / "rtl", images, modes, Path(builds))
