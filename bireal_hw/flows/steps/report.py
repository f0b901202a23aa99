"""Step `report`: the page about a run."""

from __future__ import annotations

from bireal_hw.flows.build import FOLDING
from bireal_hw.flows.engine import Step
from bireal_hw.flows.report import write_report

STEP = Step(
    name="report",
    needs=lambda build: "fold",
    reads=("graph.json", f"{{board}}/{FOLDING}"),
    makes=("report.html",),
    settings=lambda build: {},
    work=write_report,
    module=write_report.__module__,
)
