"""`fold`: what it says of a folding that a user gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from bireal_hw import cli
from bireal_hw.crosscheck.qonnx import write
from tests.networks import tiny


def test_a_folding_that_the_board_cannot_hold_is_said_not_to_fit(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every product in one cycle takes more multipliers than a small board has; it is built all the same."""
    write(tiny(8, 64, 3, 64), workdir / "net.onnx")
    assert cli.run(["fold", "net.onnx", "board=alveo-u250", "target_fps=max"]) == 0
    assert "does not fit" not in capsys.readouterr().out
    assert cli.run(["fold", "run=net", "board=ulx3s-85f", "folding=build/net/alveo-u250/folding.toml"]) == 0
    said = capsys.readouterr().out
    assert "DSP" in said.split("does not fit")[1]
