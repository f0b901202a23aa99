"""Step `synth`: the resources of the SystemVerilog, counted by Yosys, against the board."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bireal_hw.analysis.cost import predict
from bireal_hw.analysis.memories import in_use, memories, record
from bireal_hw.analysis.plan import amounts
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.results.synth import SynthFile
from bireal_hw.run.build import FOLDING, Build, Figures
from bireal_hw.run.engine import Step
from bireal_hw.run.network import BUILD
from bireal_hw.schema import write
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
    counted = report(rows, board)
    for layer in counted.layers:
        for instance in layer.instances:
            instance["predicted"] = asdict(expected[instance["name"]].rounded())
    content: dict[str, Any] = {
        "clock_mhz": build.clock_mhz,
        "cycles_per_frame": flow.cycles,
        "frames_per_second": round(build.clock_mhz * 1e6 / flow.cycles, 1),
        "predicted": predicted,
        "memories": record(held),
    }
    figures = {
        "fits": f"{'yes' if counted.fits else 'no'}, {board.name}",
        "used": amounts(used, board),
        "predicted": f"{amounts(predicted, board)} ({deviation(predicted, used)})",
        "block RAM in use": in_use(held) or "none",
    }
    if build.config.whole if build.config.whole is not None else len(rows) <= WHOLE_UP_TO:
        together = whole(build.path / board.name / "rtl", board.family, CACHE)
        content["whole"] = together
        figures["as one design"] = f"{amounts(together, board)} ({deviation(together, used)})"
    found = SynthFile(**build.marks_of(graph), board=board.name, **counted.values, **content)
    write(folder / board.name / SynthFile.file, found)
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
