"""Chooses the folding for a board and a speed, and where there is none says what is reachable and what would fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from bireal_hw import boards
from bireal_hw.analysis.choices import Choices
from bireal_hw.analysis.cost import anatomy_of, block_ram
from bireal_hw.analysis.scale import scaled, smaller_images
from bireal_hw.analysis.solver import USABLE, Solution, Solver
from bireal_hw.boards import Board
from bireal_hw.errors import BirealError
from bireal_hw.ir.anatomy import Anatomy, Rom
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.placement import ENGINE, begin_of, candidates, place, placed
from bireal_hw.synth.resources import KINDS, NAMES, Resources, capacity, number

DEFAULT_FPS = 1_000
NARROWER = (0.75, 0.5, 0.375, 0.25, 0.125)
"""Factors on the channels that are tried where a network does not fit."""

T = TypeVar("T")


def plan(graph: Graph, board: Board, clock_mhz: float, target_fps: float | str | None, width: float | None) -> Solution:
    """Choose the folding.

    Args:
        graph: the network.
        board: to be built for.
        clock_mhz: of the network.
        target_fps: frames per second; `max` for the most that fits; None for 1,000, or the most that fits if less.
        width: multiplier of the network's channels, for the suggestions; None if it is not known.

    Raises:
        BirealError: the network does not fit, or the speed cannot be reached.
    """
    solver = Solver(Choices(graph), board)
    if target_fps == "max":
        found = solver.most()
    else:
        found = solver.least(cycles_of(clock_mhz, float(target_fps or DEFAULT_FPS)))
        found = found or solver.most()
    if not found:
        found = _with_engine(graph, board, clock_mhz, target_fps)
    if not found:
        raise _too_large(solver, width)
    if isinstance(target_fps, float) and found.cycles > cycles_of(clock_mhz, target_fps):
        if ENGINE in found.folding:
            raise _engine_too_slow(graph, found, board, clock_mhz, target_fps)
        raise _too_slow(solver, found, clock_mhz, target_fps)
    return found


def _with_engine(graph: Graph, board: Board, clock_mhz: float, target_fps: float | str | None) -> Solution | None:
    """Choose the folding of a network larger than the board: its last layers on the engine, from DRAM.

    Where the engine begins is where the network is fastest, or reaches the speed; the latest layer among equals.
    """
    moved = board.dram_bytes_per_cycle(clock_mhz)
    if not moved:
        return None
    requested = 1 if target_fps == "max" else cycles_of(clock_mhz, float(target_fps or DEFAULT_FPS))
    best: Solution | None = None
    for begin in candidates(graph):
        solver = Solver(Choices(place(graph, begin), moved), board)
        found = solver.least(requested) or solver.most()
        if found and (best is None or found.cycles < best.cycles):
            best = found
        if best and best.cycles <= requested:
            break
    return best


def cycles_of(clock_mhz: float, fps: float) -> int:
    """Return the cycles that a frame may take.

    >>> cycles_of(100, 3000)
    33333
    """
    return int(clock_mhz * 1e6 / fps)


def amounts(used: Resources, board: Board, kinds: Iterable[str] = KINDS) -> str:
    """Write what is needed of what is there, in the order of the kinds.

    >>> amounts(Resources(lut=60_000, bram36=70.5), boards.board("pynq-z2"))
    'LUT 60,000 of 53,200, BRAM36 70.5 of 140'
    """
    have = capacity(board)
    return ", ".join(
        f"{NAMES[kind]} {number(getattr(used, kind))} of {number(getattr(have, kind))}"
        for kind in kinds
        if getattr(used, kind)
    )


def binding(used: Resources, board: Board) -> list[str]:
    """Return the kinds of which a network needs more than it may take of a board, the scarcest first.

    The solver counts whole LUTs a layer: where it says no by a hair, that is the scarcest kind alone.
    """
    have = capacity(board)
    load = {kind: getattr(used, kind) / max(USABLE[kind] * getattr(have, kind), 0.5) for kind in KINDS}
    scarce = sorted(KINDS, key=lambda kind: -load[kind])
    return [kind for kind in scarce if load[kind] > 1] or scarce[:1]


def _too_slow(solver: Solver, best: Solution, clock_mhz: float, fps: float) -> BirealError:
    board, requested = solver.board, cycles_of(clock_mhz, fps)
    reached = f"at most {clock_mhz * 1e6 / best.cycles:,.0f} frames per second ({best.cycles:,} cycles) can be reached"
    start = f"target_fps={fps:.12g} is out of reach on {board.name} at {clock_mhz:g} MHz: {reached}"
    if requested < solver.fastest:
        name, cycles = solver.slowest
        return BirealError(f"{start}; {name} takes {cycles:,} cycles when it is unfolded as far as it goes")
    needed = solver.least(requested, fitting=False)
    assert needed
    used = needed.predicted.rounded()
    over = binding(used, board)
    limits = " and ".join(f"{USABLE[kind]:.0%} of the {NAMES[kind]}" for kind in over)
    return BirealError(f"{start}; {fps:.12g} would need {amounts(used, board, over)}, and a network may take {limits}")


def _engine_too_slow(graph: Graph, best: Solution, board: Board, clock_mhz: float, fps: float) -> BirealError:
    """Say what can be reached with an engine, and whether it is the memory that limits it."""
    built = placed(graph, best.folding)
    flow = elaborate(built, best.folding)
    reached = f"at most {clock_mhz * 1e6 / best.cycles:,.0f} frames per second ({best.cycles:,} cycles) can be reached"
    limit = f"the slowest part is {flow.bottleneck}"
    if flow.traffic / board.dram_bytes_per_cycle(clock_mhz) > flow.cycles:
        limit = (
            f"a frame moves {flow.traffic:,} bytes, and a network may take {board.dram_share:.0%} of the memory's"
            f" {board.dram_gbytes_per_s:g} GB/s (dram_share)"
        )
    return BirealError(
        f"target_fps={fps:.12g} is out of reach on {board.name} at {clock_mhz:g} MHz: {reached}, with the layers from"
        f" {begin_of(built)} on from DRAM; {limit}"
    )


def _too_large(solver: Solver, width: float | None) -> BirealError:
    graph, board = solver.choices.graph, solver.board
    least = solver.smallest()
    used = least.predicted.rounded()
    over = binding(used, board)
    start = (
        f"{graph.info.get('model', graph.name)} at {graph.input.height}x{graph.input.width} does not fit {board.name}"
    )
    needs = f"its smallest folding takes {amounts(used, board, over)}"
    if "bram36" in over:
        needs += f" ({number(_weights(graph, least))} of them for weights)"
    fitting = [f"board={name}" for name in _boards_that_fit(solver)]
    narrow = _first(NARROWER, lambda factor: scaled(graph, channels=factor), board)
    if narrow:
        fitting.append(f"width={width * narrow:g}" if width else f"{narrow:g} times the channels")
    image = _first(smaller_images(graph), lambda size: scaled(graph, image=size), board)
    if image:
        fitting.append(f"image={image[0]}x{image[1]}")
    what = f"what fits: {', '.join(fitting)}" if fitting else "no board fits and no smaller width"
    return BirealError(f"{start} at any speed: {needs}; {what}{'' if image else '; no smaller image does'}")


def _weights(graph: Graph, solution: Solution) -> float:
    """Block RAM of the memories that are only read."""
    instances = elaborate(graph, solution.folding).instances
    held = [memory for one in instances for memory in anatomy_of(one.binding.module, one.binding.parameters).memories]
    return block_ram(Anatomy({}, [memory for memory in held if isinstance(memory, Rom)]))


def _boards_that_fit(solver: Solver) -> list[str]:
    others = [boards.board(name) for name in boards.names() if name != solver.board.name]
    others = [board for board in others if Solver(solver.choices, board).fits() or _fits_with_engine(solver, board)]
    return [board.name for board in sorted(others, key=lambda board: board.lut)]


def _fits_with_engine(solver: Solver, board: Board) -> bool:
    moved, graph = board.dram_bytes_per_cycle(board.clock_mhz), solver.choices.graph
    return bool(moved) and any(Solver(Choices(place(graph, begin), moved), board).fits() for begin in candidates(graph))


def _first(sizes: Iterable[T], build: Callable[[T], Graph], board: Board) -> T | None:
    """Return the first size at which the network fits a board."""
    return next((size for size in sizes if Solver(Choices(build(size)), board).fits()), None)
