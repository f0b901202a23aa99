"""FIFO depths: a beat less in a shortcut costs cycles or deadlocks, in a pool cycles; the recorded fills are true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bireal_hw import golden
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.types import PIXEL, DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, Center, MaxPool, Merge, RealConv, Sign
from bireal_hw.passes.folding import fold
from bireal_hw.sim.depths import Adjustable
from bireal_hw.sim.runner import SimResult, StallMode
from tests.conformance import BUILDS
from tests.networks import random_images, two_streams

pytestmark = pytest.mark.rtl


def blocks() -> Graph:
    """Two identity blocks of 8 channels, a downsample block, an identity block of 16; 8x16 pixels, 5 classes."""
    rng = np.random.default_rng(3)
    stream = DataType(12, frac=6)
    nodes = [Node("center", Center(np.array([128], np.int32)), (INPUT,))]

    def real(name: str, source: str, cout: int, cin: int, kernel: int) -> None:
        weights = rng.integers(-127, 128, (cout, kernel, kernel, cin)).astype(np.int32)
        bias, shift = rng.integers(-900, 900, cout).astype(np.int32), np.full(cout, 4, np.int32)
        nodes.append(Node(name, RealConv(weights, bias, shift, stream, pads=(kernel // 2,) * 4), (source,)))

    def block(name: str, source: str, shortcut: str, cout: int, cin: int, stride: int = 1) -> None:
        bits = rng.choice(np.array([-1, 1], np.int8), (cout, 3, 3, cin))
        gain, bias = (rng.integers(-200, 201, cout).astype(np.int32) for _ in range(2))
        nodes.append(Node(f"sign{name}", Sign(), (source,)))
        nodes.append(Node(f"conv{name}", BinaryConv(bits, stride), (f"sign{name}",)))
        nodes.append(Node(f"merge{name}", Merge(gain, bias, 4, stream), (shortcut, f"conv{name}")))

    real("stem", "center", 8, 1, 3)
    block("1", "stem", "stem", 8, 8)
    block("2", "merge1", "merge1", 8, 8)
    nodes.append(Node("down", AvgPool((2, 2), 4, DataType(8, frac=4)), ("merge2",)))
    real("down_conv", "down", 16, 8, 1)
    block("3", "merge2", "down_conv", 16, 8, stride=2)
    block("4", "merge3", "merge3", 16, 16)
    nodes.append(Node("pool", AvgPool((4, 8), 6, DataType(8, frac=1)), ("merge4",)))
    real("classifier", "pool", 5, 16, 1)
    return verify(Graph("blocks", TensorType.full(8, 16, 1, PIXEL), tuple(nodes), {"classes": list("abcde")}))


IMAGES = 4
SHORTCUTS = {"merge1_fifo": 18 * 8, "merge2_fifo": 18 * 8, "merge4_fifo": 10 * 16}
"""Beats of the pixels that a 3x3 window waits for, of one channel each."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Adjustable:
    """`blocks` with all convolutions as fast as each other: nothing can be made up for."""
    graph = blocks()
    network = Adjustable(graph, fold(graph, 1_152), tmp_path_factory.mktemp("depths") / "rtl", BUILDS)
    assert {network.flow.costs[name].cycles for name in ("stem", "conv1", "conv2", "conv3", "conv4")} == {1_152}
    return network


def logits(result: SimResult | BirealError) -> np.ndarray:
    assert isinstance(result, SimResult), result
    return result.outputs.reshape(IMAGES, -1)


def test_shortcuts_have_the_least_depth_to_the_beat(network: Adjustable) -> None:
    images = random_images(network.graph, IMAGES)
    (result,) = network.run(images, [StallMode()])
    assert isinstance(result, SimResult)
    assert result.interval == network.flow.cycles
    assert all(1 <= result.fills[name] <= depth for name, depth in network.depths.items())
    least = network.least(images)
    assert {name: least[name] for name in SHORTCUTS} == {name: network.depths[name] for name in SHORTCUTS}
    assert set(least) - set(SHORTCUTS) == {"down_fifo"}
    assert network.depths["down_fifo"] - least["down_fifo"] <= 8  # a pixel


def test_below_the_pixels_of_a_window_a_shortcut_deadlocks_and_the_error_names_the_run(network: Adjustable) -> None:
    runs = [StallMode(depths={name: beats - 2}) for name, beats in SHORTCUTS.items()]  # the fork has one
    for (name, beats), result in zip(
        SHORTCUTS.items(), network.run(random_images(network.graph, IMAGES), runs), strict=True
    ):
        assert isinstance(result, BirealError)
        run = f"br_top, StallMode(source=0.0, sink=0.0, seed=1, depths={{'{name}': {beats - 2}}})"
        assert str(result).startswith(f"{run}: deadlock: no transfer for 29216 cycles, after s_axis ")
        assert name in str(result).split("FIFOs that were full: ")[1].split(", ")


def test_above_nothing_deadlocks_whatever_the_stalls(network: Adjustable) -> None:
    """The least that the argument allows in every FIFO at once: slow, but exact."""
    depths = {name: beats - 1 for name, beats in SHORTCUTS.items()} | {"down_fifo": 1}
    stalls = [(0, 0), (0.4, 0), (0, 0.7), (0.3, 0.4)]
    runs = [StallMode(source, sink, seed, depths) for seed, (source, sink) in enumerate(stalls, 1)]
    images = random_images(network.graph, IMAGES)
    want = golden.run(network.graph, images).reshape(IMAGES, -1)
    results = network.run(images, runs)
    assert not network.keeps_pace(results[0])
    for result in results:
        np.testing.assert_array_equal(logits(result), want)


def test_shortcuts_around_several_convolutions(tmp_path: Path) -> None:
    graph = two_streams(16, 16)
    network = Adjustable(graph, fold(graph, 3_000), tmp_path / "rtl", BUILDS)
    tight = ("merge1_fifo", "merge7_fifo", "merge10_fifo")  # around one, one, two; all convolutions equally slow
    runs = [StallMode(), *(StallMode(depths={name: network.depths[name] - 2}) for name in tight)]
    images = random_images(graph, IMAGES)
    free, *shorter = network.run(images, runs)
    np.testing.assert_array_equal(logits(free), golden.run(graph, images).reshape(IMAGES, -1))
    assert network.keeps_pace(free)
    assert not any(network.keeps_pace(result) for result in shorter)


def pooled(pads: tuple[int, int, int, int]) -> Graph:
    """A max pool from 4x4 to 2x2 pixels, which gives them in bursts, and a block whose window holds all of them."""
    rng = np.random.default_rng(7)
    stream = DataType(12, frac=6)
    weights, few = rng.integers(-127, 128, (8, 3, 3, 1)).astype(np.int32), rng.integers(-127, 128, (5, 1, 1, 8))
    bits, zeros = rng.choice(np.array([-1, 1], np.int8), (8, 3, 3, 8)), np.zeros(8, np.int32)
    nodes = [
        Node("center", Center(np.array([128], np.int32)), (INPUT,)),
        Node("stem", RealConv(weights, zeros, zeros + 4, stream, pads=(1, 1, 1, 1)), ("center",)),
        Node("pool", MaxPool(pads=pads), ("stem",)),
        Node("sign", Sign(), ("pool",)),
        Node("conv", BinaryConv(bits), ("sign",)),
        Node("merge", Merge(zeros + 100, zeros, 4, stream), ("pool", "conv")),
        Node("mean", AvgPool((2, 2), 6, DataType(8, frac=1)), ("merge",)),
        Node("classifier", RealConv(few.astype(np.int32), zeros[:5], zeros[:5], stream), ("mean",)),
    ]
    return verify(Graph("pooled", TensorType.full(4, 4, 1, PIXEL), tuple(nodes), {"classes": list("abcde")}))


@pytest.mark.parametrize("pads", [(0, 0, 1, 1), (1, 1, 0, 0), (0, 1, 1, 0)])
def test_a_shortcut_behind_a_pool_that_gives_pixels_in_bursts(pads: tuple[int, int, int, int], tmp_path: Path) -> None:
    graph = pooled(pads)
    network = Adjustable(graph, fold(graph, 144), tmp_path / "rtl", BUILDS)
    assert {network.flow.costs[name].cycles for name in ("stem", "conv")} == {144}
    images = random_images(graph, IMAGES)
    all_pixels = 4 * 8  # what waits when the first one leaves; of the pixel before, some beats are still there then
    free, shorter = network.run(images, [StallMode(), StallMode(depths={"merge_fifo": all_pixels})])
    np.testing.assert_array_equal(logits(free), golden.run(graph, images).reshape(IMAGES, -1))
    assert isinstance(free, SimResult)
    assert isinstance(shorter, SimResult)
    assert free.interval == 144 < shorter.interval
    assert 0 <= network.depths["merge_fifo"] - network.least(images)["merge_fifo"] <= 1
