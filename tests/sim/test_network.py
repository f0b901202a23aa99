"""Whole networks in the simulator: exact under stalls, in the predicted cycles, and a fault is traced to its layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.golden import run
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import Folding, fold
from bireal_hw.rtl import generate
from bireal_hw.sim.network import MANY_FRAMES, fifo_depths, simulate_network
from bireal_hw.sim.results import FifoFill, Simulation
from bireal_hw.sim.runner import FREE, SimResult, StallMode
from tests.conformance import BUILDS
from tests.networks import crossing, dense, flat, mixed, random_images, tiny, two_streams

pytestmark = pytest.mark.rtl

STALLS = (FREE, StallMode(source=0.3, sink=0.4, seed=21), StallMode(source=0.8, seed=22), StallMode(sink=0.9, seed=23))


def built(graph: Graph, target: int, folder: Path) -> tuple[Folding, Path]:
    folding = fold(graph, target)
    generate(graph, folding, folder / "rtl")
    return folding, folder / "rtl"


@pytest.mark.parametrize(
    ("graph", "target"),
    [
        (tiny(), 2_000),
        (tiny(16, 8, 3, 6, seed=1), 700),
        (tiny(64, 32, 3, 8, max_pool=True, seed=2), 20_000),
        (two_streams(), 1_000),
        (two_streams(16, 8, seed=1), 4_000),
        (crossing(8, 12, "concat"), 600),
        (crossing(8, 8, "concat", seed=1), 3_000),
        (dense(8, 12), 900),
        (dense(8, 8, seed=1), 3_000),
        (mixed(9, 7, 3, 6, seed=35), 500),
        (mixed(9, 7, 3, 6, seed=30), 9_000),
    ],
    ids=[
        "gray",
        "not square, six channels",
        "max pool",
        "two streams",
        "two streams, not square, folded",
        "two streams as one",
        "two streams as one, folded",
        "map",
        "map, folded",
        "all kinds, dense layers of bits",
        "all kinds, folded",
    ],
)
def test_logits_and_cycles_are_exact_under_any_stall(graph: Graph, target: int, tmp_path: Path) -> None:
    folding, rtl = built(graph, target, tmp_path)
    result = simulate_network(graph, folding, rtl, random_images(graph, 5), STALLS, BUILDS)
    assert result.mismatches == 0
    assert result.first_mismatch is None
    assert result.outputs_compared == len(STALLS) * 5 * graph.output.size
    assert result.cycles_per_frame == result.cycles_predicted
    assert result.fifos is not None
    assert {fifo.name: fifo.depth for fifo in result.fifos} == fifo_depths(elaborate(graph, folding))
    for fifo in result.fifos:
        assert fifo.highest_fill
        assert fifo.highest_fill_stalled
        assert 1 <= fifo.highest_fill <= fifo.depth
        assert 1 <= fifo.highest_fill_stalled <= fifo.depth


@pytest.mark.parametrize(("pool", "target"), [(False, 300), (True, 3_000)])
def test_a_shortcut_behind_a_flatten_waits_for_the_whole_image(pool: bool, target: int, tmp_path: Path) -> None:
    """The beats pass one by one, as channels of one pixel: the FIFO holds the image, and no beat of it is idle."""
    graph = flat(pool)
    folding, rtl = built(graph, target, tmp_path)
    result = simulate_network(graph, folding, rtl, random_images(graph, 8), (FREE,), BUILDS, min_frames=8)
    assert result.mismatches == 0
    assert result.cycles_per_frame == result.cycles_predicted
    assert result.fifos is not None
    (shortcut,) = (fifo for fifo in result.fifos if fifo.name == "sum_fifo")
    assert shortcut.highest_fill == shortcut.depth >= (16 if pool else 64)


def test_the_fullest_fifo_is_the_one_closest_to_its_depth() -> None:
    fifos = [
        FifoFill(name="a", depth=1_000, highest_fill=900, highest_fill_stalled=10),
        FifoFill(name="b", depth=20, highest_fill=10, highest_fill_stalled=19),
        FifoFill(name="c", depth=20, highest_fill=18, highest_fill_stalled=None),
    ]
    assert Simulation.model_construct(fifos=fifos).fullest == "b: 19 of 20 beats"
    assert Simulation.model_construct(fifos=[]).fullest == "there is none"


def test_wrong_weights_are_traced_to_their_layer(tmp_path: Path) -> None:
    graph = tiny()
    folding, rtl = built(graph, 2_000, tmp_path)
    (memory,) = (rtl / "mem").glob("conv2_weight_*.mem")
    memory.write_text("".join(f"{int(word, 16) ^ 1:x}\n" for word in memory.read_text().split()))
    result = simulate_network(graph, folding, rtl, random_images(graph, 2), (FREE,), BUILDS, dump=tmp_path / "dump")
    assert result.mismatches > 0
    first = result.first_mismatch
    assert first is not None
    assert first.layer == "conv2"
    want = np.load(tmp_path / "dump" / "conv2_want.npy")
    got = np.load(tmp_path / "dump" / "conv2_got.npy").reshape(want.shape)
    index = tuple(first.index)
    assert (int(want[index]), int(got[index])) == (first.want, first.got)
    assert first.want != first.got
    np.testing.assert_array_equal(
        got.reshape(-1)[: np.ravel_multi_index(index, want.shape)],
        want.reshape(-1)[: np.ravel_multi_index(index, want.shape)],
    )


def test_a_shortcut_fifo_that_is_too_small_is_caught(tmp_path: Path) -> None:
    graph = tiny()
    folding, rtl = built(graph, 2_000, tmp_path)
    top = rtl / "br_top.sv"
    text = top.read_text()
    at = text.index("br_fifo #(", text.index("conv1_tready"))
    depth = text.index(".Depth(", at)
    top.write_text(text[:depth] + ".Depth(4)" + text[text.index(")", depth) + 1 :])
    with pytest.raises(BirealError, match=r"br_top, StallMode.*: deadlock: no transfer for"):
        simulate_network(graph, folding, rtl, random_images(graph, 1), (FREE,), BUILDS)


def test_bad_requests_are_one_line(tmp_path: Path) -> None:
    graph = tiny()
    folding = fold(graph, 2_000)
    with pytest.raises(BirealError) as error:
        simulate_network(graph, folding, tmp_path / "none", random_images(graph, 1), builds=BUILDS)
    assert str(error.value) == f"{tmp_path / 'none'} holds no generated network: No such file or directory"
    with pytest.raises(BirealError) as error:
        simulate_network(graph, folding, tmp_path, random_images(graph, 0), builds=BUILDS)
    assert str(error.value) == "images=0 is out of range: simulate 1 or more"


@pytest.mark.parametrize(("early", "late", "measured"), [(4, 0, 0), (0, 1, 1)])
def test_frames_that_end_by_turns_are_measured_on_more_of_them(
    early: int, late: int, measured: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pattern of three, whose mean is the predicted cycles or more; four frames do not show it."""
    graph = tiny()
    folding, rtl = built(graph, 2_000, tmp_path)
    cycles = elaborate(graph, folding).cycles
    driven: list[int] = []

    def played(dut: object, frames: Array, **_: object) -> list[SimResult]:
        driven.append(len(frames))
        apart = [cycles + late + part for part in (-early, 1, early - 1)] * len(frames)
        ends = tuple(int(end) for end in np.cumsum([5_000, *apart])[: len(frames)])
        fills = dict.fromkeys(fifo_depths(elaborate(graph, folding)), 1)
        return [SimResult(run(graph, frames).astype(np.int64), 0, 10, ends, ends[-1], fills, 0.0, 0.0)]

    monkeypatch.setattr("bireal_hw.sim.network.simulate", played)
    found = simulate_network(graph, folding, rtl, random_images(graph, 4), (FREE,), BUILDS)
    assert driven == [4, MANY_FRAMES]
    assert found.cycles_per_frame == cycles + measured
    assert found.exact is not bool(measured)
