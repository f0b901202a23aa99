"""The command `all`: everything there is to know about a network that is trained here, and one verdict."""

from __future__ import annotations

from bireal_hw.commands.demo import demo
from bireal_hw.commands.report import report
from bireal_hw.commands.verb import OF_FOLDING, conclude, of_run, summary
from bireal_hw.report.collect import judge
from bireal_hw.run.build import Build
from bireal_hw.run.engine import ensure
from bireal_hw.run.network import Start


def _task(build: Build) -> int:
    demo(build)
    if build.board.flow == "vivado":
        ensure(build, "hls")
    ensure(build, "synth")
    report(build)
    summary(build)
    verdicts = judge(build, [build.board.name])
    conclude("the run", [(verdict.claim, verdict.found, verdict.state) for verdict in verdicts])
    return 0


VERB = of_run(
    "all",
    "demo, hls, synth and report in one, then a verdict on every claim",
    (*OF_FOLDING, "images", "waves", "cosim", "whole"),
    _task,
    takes_file=False,
    may_start=Start.ALWAYS,
)
