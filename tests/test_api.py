"""The functions for Python users: the page's own example, the names that are given out, and what goes wrong."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bireal_hw
from bireal_hw import api
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.ir.op import Fold
from bireal_hw.passes.folding import fold
from tests.conformance import BUILDS
from tests.networks import random_images, tiny

ROOT = Path(__file__).parents[1]


def test_what_is_given_out_is_the_api() -> None:
    assert sorted(bireal_hw.API) == sorted(api.__all__)
    assert set(api.__all__) <= set(dir(bireal_hw))
    assert bireal_hw.lower is api.lower
    with pytest.raises(AttributeError, match=r"^module 'bireal_hw' has no attribute 'nothing'$"):
        _ = bireal_hw.nothing


def test_importing_the_package_is_quick() -> None:
    """Neither numpy nor torch comes with the name: the command line imports it first of all."""
    code = "import sys, bireal_hw; sys.exit(bool({'numpy', 'torch', 'onnx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def examples() -> list[str]:
    found = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    assert len(found) == 2
    return found


@pytest.mark.rtl
@pytest.mark.slow
def test_the_example_of_a_network_in_stock_brevitas_runs(workdir: Path) -> None:
    import torch

    from tests.lowering.stock import network

    images = np.random.default_rng(0).normal(size=(8, 3, 32, 32)).astype(np.float32)
    given: dict[str, Any] = {"module": network(2), "torch": torch, "images": images}
    exec(compile(examples()[1], "docs/api.md", "exec"), given)
    assert given["found"].distance.agreement >= 0.8


@pytest.mark.rtl
def test_the_example_of_the_page_runs(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = examples()[0]
    write(tiny(8, 8, 3, 8), workdir / "model.onnx")
    monkeypatch.setattr(api.simulate, "__defaults__", (True, BUILDS))  # simulators that other tests have built
    exec(compile(code, "docs/api.md", "exec"), {})
    assert (workdir / "rtl" / "br_top.sv").exists()
    assert (workdir / "hls" / "top.cpp").exists()


def test_compute_is_the_golden_model() -> None:
    graph = tiny()
    images = random_images(graph, 5)
    outputs = bireal_hw.compute(graph, images)
    assert outputs.shape == (5, 5)
    np.testing.assert_array_equal(bireal_hw.classify(outputs), outputs.argmax(axis=1))


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    graph = tiny(64, 64, 3, 16)
    folding = fold(graph)
    (tmp_path / "file").write_text("")
    for wrong in (
        lambda: bireal_hw.lower("nowhere.onnx"),
        lambda: bireal_hw.fold(graph, board="pynqz2"),
        lambda: bireal_hw.fold(graph, target_fps=1_000_000),
        lambda: bireal_hw.compute(graph, np.zeros((1, 8, 8, 3), np.uint8)),
        lambda: bireal_hw.compute(graph, np.zeros((1, 64, 64, 3), np.float32)),
        lambda: bireal_hw.compute(graph, np.zeros((0, 64, 64, 3), np.uint8)),
        lambda: bireal_hw.compute(graph, [1, 2]),
        lambda: bireal_hw.lower(None),
        lambda: bireal_hw.fold(graph, target_fps=math.nan),
        lambda: bireal_hw.fold(graph, target_fps="fast"),
        lambda: bireal_hw.fold(graph, target_fps=-1),
        lambda: bireal_hw.fold(graph, clock_mhz=0),
        lambda: bireal_hw.generate_rtl(graph, {}, tmp_path / "rtl"),
        lambda: bireal_hw.generate_rtl(graph, folding | {"other": Fold()}, tmp_path / "rtl"),
        lambda: bireal_hw.generate_rtl(graph, folding | {"conv1": Fold(3, 5)}, tmp_path / "rtl"),
        lambda: bireal_hw.generate_rtl(graph, folding | {"conv1": Fold(0, 0)}, tmp_path / "rtl"),
        lambda: bireal_hw.generate_rtl(graph, folding | {"sign1": Fold(lanes=7)}, tmp_path / "rtl"),
        lambda: bireal_hw.generate_rtl(graph, folding, ""),
        lambda: bireal_hw.generate_rtl(graph, folding, tmp_path / "file" / "rtl"),
        lambda: bireal_hw.generate_hls(graph, folding, tmp_path / "hls", clock_mhz=-1),
    ):
        with pytest.raises(bireal_hw.BirealError) as error:
            wrong()
        assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
