"""Whole networks in C simulation: exact, in the cycles of the SystemVerilog, clean under sanitizers, never stale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.golden import run
from bireal_hw.hls import generate
from bireal_hw.hls.gpp import QUICK
from bireal_hw.hls.network import simulate_network
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.folding import Folding, fold
from tests.conformance import BUILDS
from tests.networks import dense, mixed, random_images, tiny, two_streams

pytestmark = pytest.mark.hls

SANITIZED = (*QUICK, "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-sanitize=shift-base")
"""Without the check of a left shift of a negative number, which the ap_int headers do for every signed number."""


def built(graph: Graph, target: int, folder: Path) -> tuple[Folding, Path]:
    folding = fold(graph, target)
    generate(graph, folding, folder / "hls", "xc7z020clg400-1", 100)
    return folding, folder / "hls"


@pytest.mark.parametrize(
    ("graph", "target", "images"),
    [
        (tiny(16, 8, 3, 6, seed=1), 700, 21),
        (tiny(32, 64, 1, 4, max_pool=True, seed=2), 3_000, 3),
        (two_streams(), 1_000, 21),
        (dense(6, 4), 600, 21),
        (mixed(9, 7, 3, 6, seed=35), 500, 5),
        (mixed(9, 7, 3, 6, seed=30), 9_000, 3),
    ],
    ids=[
        "not square, six channels",
        "max pool",
        "two streams",
        "map",
        "all kinds, dense layers of bits",
        "all kinds, folded",
    ],
)
def test_logits_are_exact_in_the_cycles_foretold(graph: Graph, target: int, images: int, tmp_path: Path) -> None:
    folding, project = built(graph, target, tmp_path)
    result = simulate_network(graph, folding, project, random_images(graph, images), BUILDS, flags=QUICK)
    assert result.mismatches == 0
    assert result.first_mismatch is None
    assert (result.images, result.outputs_compared) == (images, graph.output.size * images)
    assert result.cycles_per_frame == result.cycles_predicted
    costs = {node.name: node.op.cost(folding[node.name], *graph.inputs_of(node)).cycles for node in graph}
    assert {name: result.cycles[name] for name in costs} == costs


@pytest.mark.parametrize(
    "graph", [tiny(32, 64, 1, 4, max_pool=True, seed=2), mixed(9, 7, 3, 6, seed=35)], ids=["max pool", "all kinds"]
)
def test_counters_are_wide_enough_in_hardware(graph: Graph, tmp_path: Path) -> None:
    """What only synthesis compiles, counters of a few bits among it, in a whole network: exact, in the same cycles."""
    folding, project = built(graph, 3_000, tmp_path)
    flags = (*QUICK, "-DBIREAL_AS_SYNTHESISED")
    result = simulate_network(graph, folding, project, random_images(graph, 3), BUILDS, flags=flags)
    assert result.mismatches == 0
    assert result.cycles_per_frame == result.cycles_predicted


def test_a_network_is_clean_under_the_sanitizers(tmp_path: Path) -> None:
    graph = tiny()
    folding, project = built(graph, 2_000, tmp_path)
    images = random_images(graph, 4)
    assert simulate_network(graph, folding, project, images, BUILDS, flags=SANITIZED).mismatches == 0


def test_wrong_weights_are_traced_to_their_layer(tmp_path: Path) -> None:
    graph = tiny()
    folding, project = built(graph, 2_000, tmp_path)
    path = project / "weights" / "conv2_weight.hpp"
    text = path.read_text()
    path.write_text(text.replace("{0x", "{0xf^0x"))
    result = simulate_network(
        graph, folding, project, random_images(graph, 2), BUILDS, flags=QUICK, dump=tmp_path / "dump"
    )
    assert result.mismatches > 0
    first = result.first_mismatch
    assert first is not None
    assert first.layer == "conv2"
    want, got = (np.load(tmp_path / "dump" / f"conv2_{name}.npy") for name in ("want", "got"))
    index = (0, *first.index[1:])
    assert (int(want[index]), int(got[index])) == (first.want, first.got)
    assert first.want != first.got


def test_the_test_bench_keeps_real_vectors(tmp_path: Path) -> None:
    graph = tiny()
    folding, project = built(graph, 2_000, tmp_path)
    images = random_images(graph, 5)
    simulate_network(graph, folding, project, images, BUILDS, flags=QUICK)
    assert (project / "vectors" / "images.bin").read_bytes() == images.tobytes()
    np.testing.assert_array_equal(np.loadtxt(project / "vectors" / "logits.txt", int), run(graph, images))


def test_time_bounds_the_images_but_one_is_always_computed(tmp_path: Path) -> None:
    graph = tiny()
    folding, project = built(graph, 2_000, tmp_path)
    result = simulate_network(graph, folding, project, random_images(graph, 50), BUILDS, seconds=0, flags=QUICK)
    assert (result.images, result.outputs_compared, result.mismatches) == (1, 5, 0)
    assert result.cycles_per_frame is None
    assert len(np.loadtxt(project / "vectors" / "logits.txt", int, ndmin=2)) == 1


def test_a_stale_project_is_refused(tmp_path: Path) -> None:
    graph, other = tiny(), tiny(seed=1)
    folding, project = built(graph, 2_000, tmp_path)
    images = random_images(graph, 1)
    for network, folds in ((other, fold(other, 2_000)), (graph, fold(graph, 400))):
        with pytest.raises(BirealError, match=r"hls was generated from another network or folding \(\w+, not \w+\)"):
            simulate_network(network, folds, project, images, BUILDS)
    with pytest.raises(BirealError) as error:
        simulate_network(graph, folding, tmp_path, images, BUILDS)
    assert str(error.value) == f"{tmp_path} holds no generated project: generate it first"
    with pytest.raises(BirealError) as error:
        simulate_network(graph, folding, project, images[:0], BUILDS)
    assert str(error.value) == "images=0 is out of range: simulate 1 or more"
