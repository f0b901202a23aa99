"""The page over what the commands really leave: the form of their files is the one that the page reads."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from bireal_hw import cli
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.hls.gpp import QUICK
from bireal_hw.hls.network import simulate_network
from tests.networks import tiny
from tests.report.runs import Document


def states(*commands: str) -> dict[str, str]:
    """Run commands on a tiny network, then the report; return the verdicts on the page."""
    write(tiny(), Path("net.onnx"))
    for command in (*commands, "report"):
        assert cli.run([command, "net.onnx", "run=net"]) == 0
    page = Document(Path("build/net/report.html").read_text())
    return {row[1]: row[0] for row in page.rows("verdicts")}


@pytest.mark.rtl
@pytest.mark.hls
@pytest.mark.slow
@pytest.mark.usefixtures("workdir")
def test_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # no vendor tool
    monkeypatch.setattr("bireal_hw.steps.hls.simulate_network", partial(simulate_network, flags=QUICK))
    assert list(states("sim", "hls").values()) == ["not checked", *["holds"] * 5, "not checked"]


@pytest.mark.synth
@pytest.mark.slow
@pytest.mark.usefixtures("workdir")
def test_synthesis() -> None:
    assert states("synth")["fits the board"] == "holds"
