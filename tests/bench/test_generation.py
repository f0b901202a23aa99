"""Generation: its work grows as the network does, and its time is that of what it says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bireal_hw import boards
from bireal_hw.bench.generation import PARTS, generate_all
from bireal_hw.crosscheck.qonnx import write
from tests.networks import deep


def lines_run(function: Callable[[], object]) -> int:
    """Count the lines of the program, and of its templates, that a call executes; a loop counts each time around."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "call":
            name = frame.f_code.co_filename
            return trace if "/bireal_hw/" in name or name == "<template>" else None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def test_work_is_linear_in_the_number_of_layers(tmp_path: Path) -> None:
    work = []
    for blocks in (10, 20, 30):
        path = tmp_path / f"{blocks}.onnx"
        write(deep(blocks), path)
        work.append(lines_run(partial(generate_all, path, boards.board("zcu102"), tmp_path / "out")))
    small, middle, large = work
    assert middle - small > 10_000
    assert large - middle == pytest.approx(middle - small, rel=0.0005)


def test_every_step_leaves_its_files_and_is_timed(tmp_path: Path) -> None:
    write(deep(3), tmp_path / "model.onnx")
    seconds = generate_all(tmp_path / "model.onnx", boards.board("pynq-z2"), tmp_path / "out")
    assert tuple(seconds) == PARTS
    assert all(time > 0 for time in seconds.values())
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"graph.json", "graph.svg", "rtl/br_top.sv", "rtl/files.f", "hls/top.cpp", "hls/run_hls.tcl"} <= made
