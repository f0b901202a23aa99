"""A run to report on, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bireal_hw.crosscheck.qonnx import write
from tests.networks import tiny
from tests.report.runs import Run


@pytest.fixture
def run(workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Commands over a network that comes as net.onnx; nothing is trained, simulated or synthesised."""
    write(tiny(), workdir / "net.onnx")
    return Run(capsys, monkeypatch)
