"""The placers that are tried one after another; what nextpnr's log says of them."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.synth import nextpnr
from bireal_hw.synth.ecp5 import Device

PART = Device("25k", "CABGA256", 6)
PLAYED = """
import json, sys, time
time.sleep(0.2)  # nextpnr does not begin its log at once either
with open({log!r}, "w") as log:
    for number in range(300 if {ends} else 2000):
        log.write(f"Info: iter={{number}} steplen=1.0\\n")
if not {ends}:
    time.sleep(60)
path = [{{"type": "logic", "delay": 4.0, "from": {{"cell": "a"}}, "to": {{"cell": "b"}}}}]
report = {{
    "utilization": {{cell: {{"used": 0, "available": 1}} for cell in {cells!r}}},
    "critical_paths": [{{"from": "posedge clk", "to": "posedge clk", "path": path}}],
    "fmax": {{"clk": {{"constraint": 100.0, "achieved": {mhz}}}}},
}}
json.dump(report, open({report!r}, "w"))
"""


def played(monkeypatch: pytest.MonkeyPatch, ends: Sequence[bool]) -> list[str]:
    """Put programs that go on for ever, or end, in nextpnr's place; return the placers and seeds asked for."""
    asked: list[str] = []

    def command(tool: str, options: Sequence[str]) -> list[str]:
        values = dict(itertools.pairwise(options))
        text = PLAYED.format(
            log=nextpnr.LOG,
            report=nextpnr.REPORT,
            cells=list(nextpnr.RESOURCES),
            ends=ends[len(asked)],
            mhz=100 + len(asked),
        )
        asked.append(f"{values['--placer']} {values['--seed']}")
        return [sys.executable, "-c", text]

    monkeypatch.setattr(nextpnr, "_command", command)
    monkeypatch.setattr(nextpnr, "POLL_SECONDS", 0.05)
    return asked


@pytest.mark.parametrize(
    ("ends", "asked"),
    [
        ([True], ["static 7"]),
        ([False, True], ["static 7", "static 8"]),
        ([False, False, True], ["static 7", "static 8", "heap 7"]),
    ],
)
def test_a_placer_that_goes_on_for_ever_gives_way_to_the_next(
    ends: list[bool], asked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = played(monkeypatch, ends)
    found = nextpnr.place_and_route(tmp_path, PART, None, 100, seed=7)
    assert told == asked
    assert found.slowest.reached == 99 + len(told)
    assert json.loads((tmp_path / nextpnr.REPORT).read_text())


def test_no_placer_that_ends_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    played(monkeypatch, [False] * 3)
    with pytest.raises(BirealError, match=r"nextpnr stopped: no placer came to an end; see .*nextpnr\.log"):
        nextpnr.place_and_route(tmp_path, PART, None, 100)


def test_the_last_iteration_is_read_from_the_end_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert nextpnr.iterations(log) == 0
    log.write_text("Info: Packing\n")
    assert nextpnr.iterations(log) == 0
    log.write_text("".join(f"Info: iter={number} steplen=1\n" for number in range(2001)) + "Info: overlap\n")
    assert nextpnr.iterations(log) == 2000
