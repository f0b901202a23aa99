"""Step `fold`: how much each layer computes in a cycle, for a board and a speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bireal_hw.analysis.cost import total as predicted_total
from bireal_hw.analysis.memories import in_use, memories
from bireal_hw.analysis.plan import amounts, plan
from bireal_hw.boards import Board
from bireal_hw.errors import BirealError
from bireal_hw.files import content_hash
from bireal_hw.ir.graph import Graph, load
from bireal_hw.passes.dataflow import Dataflow, cycles_beside, elaborate
from bireal_hw.passes.folding import Folding
from bireal_hw.passes.folding_file import folding_text, read_folding
from bireal_hw.passes.placement import begin_of, placed
from bireal_hw.run.build import FOLDING, Build
from bireal_hw.run.engine import Step
from bireal_hw.run.network import show
from bireal_hw.synth.resources import KINDS, capacity
from bireal_hw.toml import read_toml


def _refuse_folding(build: Build) -> None:
    given, file = build.config.given(), build.config.folding
    if "folding" in given and "target_fps" in given:
        raise BirealError(f"{show('target_fps', given['target_fps'])} does not go with folding=: the file decides")
    if file:
        read_toml(Path(file), f"folding={file}")


def _fold_settings(build: Build) -> dict[str, Any]:
    requested = build.requested
    return requested | {"content": content_hash(Path(requested["folding"])) if requested["folding"] else None}


def chosen(build: Build, graph: Graph) -> Folding:
    """Return the user's folding, or the solver's; raises BirealError where there is none."""
    requested = build.requested
    if requested["folding"]:
        return read_folding(Path(requested["folding"]), graph)
    return plan(graph, build.board, build.clock_mhz, requested["target_fps"], build.values.get("width")).folding


def _fold(build: Build, folder: Path) -> dict[str, str]:
    """Leave the folding as a file."""
    graph, board = load(build.path / "graph.json"), build.board
    folding = chosen(build, graph)
    graph = placed(graph, folding)
    target = folder / board.name / FOLDING
    target.parent.mkdir()
    target.write_text(folding_text(graph, folding))
    flow = elaborate(graph, folding)
    moved = board.dram_bytes_per_cycle(build.clock_mhz)
    cycles = cycles_beside(graph, flow, moved) if flow.memory else flow.cycles
    used = predicted_total((one.binding.module, one.binding.parameters) for one in flow.instances).rounded()
    over = [kind for kind in KINDS if getattr(used, kind) > getattr(capacity(board), kind)]  # where a user has chosen
    return {
        "cycles per frame": f"{cycles:,}",
        "frames per second": f"{build.clock_mhz * 1e6 / cycles:,.0f} at {build.clock_mhz:g} MHz",
        "predicted": amounts(used, board),
        **({"does not fit": f"{amounts(used, board, over)} of {board.name}"} if over else {}),
        "block RAM in use": in_use(memories(flow, board.family)) or "none",
    } | _placement(graph, flow, board, build.clock_mhz / cycles)


def _placement(graph: Graph, flow: Dataflow, board: Board, megaframes: float) -> dict[str, str]:
    """Which weights lie in DRAM, and what a frame moves, beside what the board has; nothing without an engine."""
    if not flow.memory:
        return {}
    inside = graph.nodes[-1].op.weight_count
    front = sum(node.op.weight_count for node in graph.nodes[:-1])
    rate = flow.traffic * megaframes  # 10^6 bytes a second
    peak = board.dram_gbytes_per_s * 1e3
    return {
        "engine": f"begins at {begin_of(graph)}: {inside:,} weights in DRAM, with the maps; {front:,} on the chip",
        "DRAM": f"{flow.traffic:,} bytes a frame, {rate:,.0f} MB/s, {rate / peak:.0%} of the board's {peak:,.0f}",
    }


STEP = Step(
    name="fold",
    needs=lambda build: "lower",
    reads=("graph.json",),
    makes=(f"{{board}}/{FOLDING}",),
    settings=_fold_settings,
    refuse=_refuse_folding,
    work=_fold,
    module=__name__,
)
