"""Step `synth`: the resources of the SystemVerilog, counted by Yosys, against the board."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bireal_hw.analysis.cost import predict
from bireal_hw.analysis.memories import in_use, memories, record
from bireal_hw.analysis.plan import amounts, number
from bireal_hw.errors import VerdictError
from bireal_hw.flows.build import FOLDING, Build, Figures
from bireal_hw.flows.engine import Step
from bireal_hw.flows.network import BUILD
from bireal_hw.flows.rundir import write_json
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.synth import yosys
from bireal_hw.synth.network import by_instance, report, total, whole
from bireal_hw.synth.resources import KINDS, NAMES, Resources

CACHE = BUILD / "synth-cache"
WHOLE_UP_TO = 200
"""Instances up to which a network is also synthesised as one design unless `whole=` says otherwise."""


def _synth(build: Build, folder: Path) -> Figures:
    """Leave synth.json: what each layer and the network take, counted by Yosys, against the board."""
    graph, folding = build.folded()
    flow, board = elaborate(graph, folding), build.board
    yosys.version()  # before anything is done
    with progress() as advance:
        rows = by_instance(flow, board.family, CACHE, advance)
    used = total(rows)
    expected = {one.name: predict(one.binding.module, one.binding.parameters) for one in flow.instances}
    predicted = sum(expected.values(), Resources()).rounded()
    held = memories(flow, board.family)
    content: dict[str, Any] = report(rows, board) | {
        "clock_mhz": build.clock_mhz,
        "cycles_per_frame": flow.cycles,
        "frames_per_second": round(build.clock_mhz * 1e6 / flow.cycles, 1),
        "predicted": asdict(predicted),
        "memories": record(held),
    }
    for layer in content["layers"]:
        for instance in layer["instances"]:
            instance["predicted"] = asdict(expected[instance["name"]].rounded())
    figures = {
        "fits": f"{'yes' if content['fits'] else 'no'}, {board.name}",
        "used": amounts(used, board),
        "predicted": f"{amounts(predicted, board)} ({deviation(predicted, used)})",
        "block RAM in use": in_use(held) or "none",
    }
    if build.config.whole if build.config.whole is not None else len(rows) <= WHOLE_UP_TO:
        together = whole(build.path / board.name / "rtl", board.family, CACHE)
        content["whole"] = asdict(together)
        figures["as one design"] = f"{amounts(together, board)} ({deviation(together, used)})"
    write_json(folder / board.name / "synth.json", content | build.marks_of(graph))
    return figures


def deviation(found: Resources, used: Resources) -> str:
    """Write by how much amounts differ from those that are used.

    >>> deviation(Resources(lut=102, ff=99, dsp=4), Resources(lut=100, ff=100, dsp=4))
    'LUT +2.0 %, FF -1.0 %, DSP +0.0 %'
    """
    shares = {kind: getattr(found, kind) / getattr(used, kind) - 1 for kind in KINDS if getattr(used, kind)}
    return ", ".join(f"{NAMES[kind]} {100 * share:+.1f} %" for kind, share in shares.items())


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """Show how many of the different instances are done: a bar, or a line for each tenth where there is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, said = bar.add_task("synthesis", total=None), -1

        def advance(done: int, total: int) -> None:
            nonlocal said
            bar.update(task, completed=done, total=total)
            if not console.is_terminal and total and 10 * done // total > said:
                said = 10 * done // total
                console.print(f"synthesis: {done} of {total} different instances done", highlight=False)

        yield advance


def utilisation(report: dict[str, Any]) -> Table:
    """Return synth.json as a table: a row a layer, the sum, what the board has, and the share of it."""
    table = Table(title=f"{report['board']}, {report['part']}", title_justify="left", show_edge=False)
    table.add_column("layer")
    for kind in KINDS:
        table.add_column(NAMES[kind], justify="right")
    table.add_column("block RAM in use", justify="right")
    for layer in report["layers"]:
        own = [one for one in report["memories"]["each"] if one["layer"] == layer["name"]]
        table.add_row(layer["name"], *(number(layer[kind]) for kind in KINDS), _share(own))
    table.add_section()
    table.add_row("used", *(number(report[kind]["used"]) for kind in KINDS), _share(report["memories"]["each"]))
    table.add_row("predicted", *(number(report["predicted"][kind]) for kind in KINDS))
    table.add_row("available", *(number(report[kind]["available"]) for kind in KINDS))
    shares = (report[kind]["used"] / max(report[kind]["available"], 1) for kind in KINDS)
    table.add_row("share", *(f"{share:.0%}" for share in shares))
    return table


def _share(memories: list[dict[str, Any]]) -> str:
    """Write which part of their block RAM memories of synth.json fill; nothing if they are none."""
    stored, occupied = (
        sum(one[kind] for one in memories if one["style"] == "block") for kind in ("stored_bits", "occupied_bits")
    )
    return f"{stored / occupied:.0%}" if occupied else ""


def refuse_overflow(report: dict[str, Any]) -> None:
    """Raise BirealError if a network in synth.json is larger than its board."""
    over = [kind for kind in KINDS if report[kind]["used"] > report[kind]["available"]]
    if over:
        amounts = ", ".join(f"{kind} {report[kind]['used']:,} of {report[kind]['available']:,}" for kind in over)
        raise VerdictError(f"the network does not fit {report['board']}: {amounts}; ask for a lower target_fps=")


STEP = Step(
    name="synth",
    needs=lambda build: "rtl",
    reads=("graph.json", f"{{board}}/{FOLDING}", "{board}/rtl"),
    makes=("{board}/synth.json",),
    settings=lambda build: {"clock": build.clock_mhz, "whole": build.config.whole},
    refuse=lambda build: yosys.version(),
    work=_synth,
    module=__name__,
)
