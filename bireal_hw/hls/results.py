"""What is found of a network as C++: by C simulation, and by the vendor's tools."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from bireal_hw.errors import VerdictError
from bireal_hw.schema import Number, Schema
from bireal_hw.sim.results import Comparison

STAGES = {"synthesis": "C synthesis with IP export", "cosimulation": "co-simulation", "bitstream": "bitstream"}
"""What the vendor's tools do, by the keys of `VendorStages`."""


class VendorStage(Schema):
    """What a vendor's tool did: its reports (docs/hls.md), or why it did not.

    Attributes:
        tool: that was at work; its words are in the file `log`.
        skipped: why the stage was left out; `command` runs it later.
        failed: how it went wrong.
        passed: whether co-simulation gave the same logits.
        setup_slack_ns, hold_slack_ns: the worst; negative where the clock is not met.
    """

    tool: str | None = None
    log: str | None = None
    skipped: str | None = None
    command: str | None = None
    failed: str | None = None
    passed: bool | None = None
    setup_slack_ns: Number | None = None
    hold_slack_ns: Number | None = None

    @property
    def slacks(self) -> dict[str, float]:
        """The worst slacks in ns by the edge, of a stage that has some."""
        found = {"setup": self.setup_slack_ns, "hold": self.hold_slack_ns}
        return {edge: slack for edge, slack in found.items() if slack is not None}

    @property
    def figures(self) -> str:
        """What the tool found, in words."""
        found: dict[str, Any] = self.values
        words = [
            f"{key} {value['used']:,} of {value['available']:,}"
            for key, value in found.items()
            if isinstance(value, dict) and "used" in value
        ]
        if "estimated_clock_ns" in found:
            words.append(f"clock {found['estimated_clock_ns']} of {found['clock_ns']} ns")
        if "loops" in found:
            slower = f"all but {', '.join(found['slower_loops'])}" if found["slower_loops"] else "all"
            words.append(f"{found['loops']} loops, {slower} with an initiation interval of 1")
        if "passed" in found:
            cycles = found["latency_cycles"]
            words.append("the same logits" + (f" after {cycles:,} cycles" if cycles is not None else ""))
        if "setup_slack_ns" in found:
            words.append(f"slack {found['setup_slack_ns']} ns at {found['clock_mhz']:g} MHz; {found['files'][0]}")
        return ", ".join(words)


class VendorStages(Schema):
    """The stages of the vendor's tools; None for what was not asked for, or never came to it."""

    synthesis: VendorStage | None = None
    cosimulation: VendorStage | None = None
    bitstream: VendorStage | None = None

    @property
    def stages(self) -> dict[str, VendorStage]:
        """Those that there are, by their keys."""
        found = {stage: getattr(self, stage) for stage in STAGES}
        return {stage: one for stage, one in found.items() if one is not None}

    def synthesis_text(self) -> str:
        """Say what the vendor's tools found: a line for what was done, a line for what was left out.

        Raises:
            VerdictError: a tool failed, or the design does not meet its clock.
        """
        for stage, found in self.stages.items():
            if found.failed is not None:
                raise VerdictError(f"{STAGES[stage]} by {found.tool}: {found.failed} (log: {found.log})")
        left_out: dict[str, list[str]] = {}
        lines = []
        for stage, found in self.stages.items():
            if found.skipped is not None:
                later = f"; to run it later: {found.command}" if found.command else ""
                left_out.setdefault(found.skipped + later, []).append(STAGES[stage])
            else:
                lines.append(f"{STAGES[stage]} by {found.tool}: {found.figures}")
        lines += [f"{' and '.join(what)} skipped: {why}" for why, what in left_out.items()]
        bitstream = self.bitstream or VendorStage()
        if (slack := min(bitstream.slacks.values(), default=0)) < 0:
            where = f"{bitstream.values['clock_mhz']:g} MHz"
            raise VerdictError(f"timing is not met at {where}: the worst slack is {slack} ns; ask for less with clock=")
        return "\n".join(lines)


class CppSimulation(Comparison):
    """The C++ of a network, run by g++; `cycles` of each kernel for one frame more, by its loops."""

    cycles: dict[str, int] = Field(default_factory=dict)
