"""The command `report`: one page about a run."""

from __future__ import annotations

from dataclasses import replace

from bireal_hw.commands.verb import OF_FOLDING, of_run, summary
from bireal_hw.errors import BirealError
from bireal_hw.report.collect import boards_of
from bireal_hw.run.artifacts import on_board
from bireal_hw.run.build import DEFAULT_BOARD, REQUESTED, Build
from bireal_hw.run.engine import ensure
from bireal_hw.run.network import Start


def report(build: Build) -> None:
    """Write the page; before it make what is out of date of the graph and the folding of every board that has one."""
    names = boards_of(build)
    if names and not any(key in build.config.given() for key in ("board", *REQUESTED)):
        first = DEFAULT_BOARD if DEFAULT_BOARD in names else names[0]  # of all alike the one whose folding is needed
        build.config = replace(build.config, board=first)
    ensure(build, "fold", asked=False)
    for name in names:
        if name != build.board.name:
            other = on_board(build, name)
            try:
                ensure(other, "fold", asked=False)
            except BirealError:
                continue  # its section says that it is out of date, and the command that says why
            build.made += [made for made in other.made if made.seconds is not None]
    ensure(build, "report")


def _task(build: Build) -> int:
    report(build)
    summary(build)
    return 0


VERB = of_run(
    "report",
    "write one page with graph, layers, resources, accuracy and verdicts",
    OF_FOLDING,
    _task,
    may_start=Start.NEVER,
)
