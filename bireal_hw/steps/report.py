"""Step `report`: the page about a run."""

from __future__ import annotations

from bireal_hw.report.collect import write_report
from bireal_hw.run.build import FOLDING
from bireal_hw.run.engine import Step

STEP = Step(
    name="report",
    needs=lambda build: "fold",
    reads=("graph.json", f"{{board}}/{FOLDING}"),
    makes=("report.html",),
    settings=lambda build: {},
    work=write_report,
    module=write_report.__module__,
)
