"""The commands that are a step of a run: they make it, say what was made, and judge what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.table import Table

from bireal_hw.analysis.memories import Held, total
from bireal_hw.commands.verb import CONSOLE, OF_FOLDING, OF_NETWORK, Verb, of_run, summary
from bireal_hw.results.bitstream import BitstreamFile
from bireal_hw.results.board import BoardFile, BoardHlsFile, DriverFile
from bireal_hw.results.hls import HlsFile
from bireal_hw.results.lower import LowerFile
from bireal_hw.results.sim import SimFile
from bireal_hw.results.synth import SynthFile
from bireal_hw.run.build import Build
from bireal_hw.run.engine import ensure
from bireal_hw.run.network import Start
from bireal_hw.schema import read
from bireal_hw.synth.resources import KINDS, NAMES, number


def _step(
    name: str,
    help: str,
    takes: tuple[str, ...],
    takes_file: bool = True,
    may_start: Start = Start.NAMED,
    judge: Callable[[Build], None] = lambda build: None,
    step: Callable[[Build], str] | None = None,
) -> Verb:
    def task(build: Build) -> int:
        ensure(build, step(build) if step else name)
        summary(build)
        judge(build)
        return 0

    return of_run(name, help, takes, task, takes_file, may_start)


def _sim(build: Build) -> None:
    if build.origin == "file":
        CONSOLE.print(f"the file itself: {read(build.path / LowerFile.file, LowerFile).found}", soft_wrap=True)
    read(build.path / build.board.name / SimFile.file, SimFile).refuse()


def _hls(build: Build) -> None:
    found = read(build.path / build.board.name / HlsFile.file, HlsFile)
    found.refuse()
    CONSOLE.print(found.synthesis_text(), soft_wrap=True)


def _synth(build: Build) -> None:
    found = read(build.path / build.board.name / SynthFile.file, SynthFile)
    CONSOLE.print(utilisation(found))
    found.refuse_overflow()


def _bitstream(build: Build) -> None:
    read(build.path / build.board.name / BitstreamFile.file, BitstreamFile).refuse_slow()


def _board_step(build: Build) -> str:
    return "board_hls" if build.config.kernel == "hls" else "board"


def _board(build: Build) -> None:
    form: type[DriverFile] = BoardHlsFile if build.config.kernel == "hls" else BoardFile
    found = read(build.path / build.board.name / form.file, form)
    table = Table(title="faults of the simulated board", title_justify="left", show_edge=False)
    for heading in ("fault", "what the driver says"):
        table.add_column(heading, overflow="fold")
    table.add_column("ms", justify="right")
    table.add_column("usable afterwards")
    for one in found.faults:
        table.add_row(one.fault, one.told or "nothing", f"{1e3 * one.seconds:.2f}", "yes" if one.usable else "no")
    CONSOLE.print(table)
    found.refuse()


def utilisation(found: SynthFile) -> Table:
    """Return synth.json as a table: a row a layer, the sum, what the board has, and the share of it."""
    table = Table(title=f"{found.board}, {found.part}", title_justify="left", show_edge=False)
    table.add_column("layer")
    for kind in KINDS:
        table.add_column(NAMES[kind], justify="right")
    table.add_column("block RAM in use", justify="right")
    every, shares = found.memories.each, found.shares.values()
    for layer in found.layers:
        amounts = (number(getattr(layer, kind)) for kind in KINDS)
        table.add_row(layer.name, *amounts, _in_use(one for one in every if one.layer == layer.name))
    table.add_section()
    table.add_row("used", *(number(share.used) for share in shares), _in_use(every))
    table.add_row("predicted", *(number(getattr(found.predicted, kind)) for kind in KINDS))
    table.add_row("available", *(number(share.available) for share in shares))
    table.add_row("share", *(f"{share.used / max(share.available, 1):.0%}" for share in shares))
    return table


def _in_use(memories: Iterable[Held]) -> str:
    """Write which part of their block RAM memories fill; nothing if they take none."""
    bits = total(one for one in memories if one.style == "block")
    return f"{bits.stored_bits / bits.occupied_bits:.0%}" if bits.occupied_bits else ""


TRAIN = _step("train", "train a network and evaluate its deploy model", OF_NETWORK, False, Start.ALWAYS)
EXPORT = _step("export", "write the deploy model as QONNX", OF_NETWORK, False)
LOWER = _step("lower", "turn the QONNX file into the integer graph", OF_NETWORK)
FOLD = _step("fold", "choose how much each layer computes in a cycle, for board= and target_fps=", OF_FOLDING)
RTL = _step("rtl", "write the SystemVerilog of the whole network", OF_FOLDING)
SIM = _step(
    "sim",
    "simulate the whole network and compare every output",
    (*OF_FOLDING, "images", "stalls", "waves"),
    judge=_sim,
)
HLS = _step(
    "hls",
    "write C++ for Vitis HLS, run it and compare every output",
    (*OF_FOLDING, "images", "cosim"),
    judge=_hls,
)
SYNTH = _step("synth", "count the resources of the SystemVerilog with Yosys", (*OF_FOLDING, "whole"), judge=_synth)
BITSTREAM = _step(
    "bitstream",
    "make a bitstream with open tools, and a host script for it",
    (*OF_FOLDING, "images"),
    judge=_bitstream,
)
BOARD = _step(
    "board",
    "make the network an IP for a Zynq, and run driver and IP on a simulated board",
    (*OF_FOLDING, "images", "kernel"),
    judge=_board,
    step=_board_step,
)
