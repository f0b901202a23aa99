"""The IP's ports against models that are not ours: cocotbext-axi, where it is installed."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.golden import run
from bireal_hw.ir.graph import Graph
from bireal_hw.sim import verilator
from bireal_hw.zynq.ports import interfaces
from tests.conformance import BUILDS
from tests.networks import mixed, random_images, tiny
from tests.zynq.boards import simulated

pytestmark = pytest.mark.rtl
MODELS = Path(__file__).with_name("axi_models.py")


def bench(ports: tuple[object, ...], top: str) -> str:
    """The IP alone, under the name that every simulator here has, its ports within reach of cocotb."""
    lines, names = [], []
    for interface in ports:
        for signal in interface.signals:  # type: ignore[attr-defined]
            width = f"[{signal.width - 1}:0] " if signal.width else ""
            name = interface.port(signal)  # type: ignore[attr-defined]
            names.append(name)
            lines.append(f"  {signal.direction}put wire logic {width}{name} /*verilator public_flat_rw*/")
    joined = ", ".join(f".{name}({name})" for name in names)
    return "module br_bench (\n" + ",\n".join(lines) + f"\n);\n  {top} u_dut ({joined});\nendmodule\n"


@pytest.mark.parametrize("stalled", [False, True], ids=["free", "stalled"])
@pytest.mark.parametrize(
    ("graph", "target", "least"),
    [(tiny(channels=3), 2_000, 4), (mixed(9, 7, 3, 6, seed=35), 3_000, 8)],
    ids=["colour", "189 bytes"],
)
def test_other_models_of_axi_get_the_logits(
    graph: Graph, target: int, least: int, stalled: bool, tmp_path: Path
) -> None:
    if importlib.util.find_spec("cocotbext") is None or importlib.util.find_spec("cocotbext.axi") is None:
        pytest.skip("cocotbext-axi is not installed: pip install cocotbext-axi")
    batches = [1, 3]
    board = simulated(graph, tmp_path, target, sum(batches), least)
    images = random_images(graph, sum(batches)).astype(np.uint8)
    built, _ = verilator.build("axi", bench(interfaces(board.shape), board.top), board.sources, BUILDS)
    with tempfile.TemporaryDirectory(prefix="run-", dir=built) as name:
        folder = Path(name)
        for path in board.memories.glob("*.mem"):
            (folder / path.name).symlink_to(path)
        plan = {"images": images.tobytes().hex(), "batches": batches, "image_bytes": images[0].size, "stalled": stalled}
        found, counters = verilator.play(built, folder, MODELS, plan | {"registers": board.registers})
    got = np.frombuffer(bytes.fromhex("".join(found)), "<i4").reshape(sum(batches), -1)
    np.testing.assert_array_equal(got, run(graph, images).reshape(got.shape))
    assert counters["ERRORS"] == 0
    assert counters["IMAGES_DONE"] == batches[-1]
