"""Cycles measured = predicted, for networks, images, foldings and boards drawn at random; and not with less depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

from bireal_hw import boards, golden
from bireal_hw.analysis.plan import plan
from bireal_hw.rtl import generate
from bireal_hw.sim.depths import Adjustable
from bireal_hw.sim.network import simulate_network
from bireal_hw.sim.runner import FREE, SimResult, StallMode
from tests.conformance import BUILDS
from tests.networks import random_images
from tests.random_networks import MODELS, draw, graph_of

pytestmark = [pytest.mark.rtl, pytest.mark.torch]

FRAMES = 8
FEW = (3, 4, 6)
"""Seeds of `make test`: a network with thresholds, one with shortcuts around two convolutions, layers of all kinds."""


@pytest.mark.parametrize(
    "seed", [seed if seed in FEW else pytest.param(seed, marks=pytest.mark.slow) for seed in range(60)]
)
def test_the_cycles_are_the_predicted_ones(seed: int, tmp_path: Path) -> None:
    what, graph, folding = draw(seed)
    generate(graph, folding, tmp_path / "rtl")
    found = simulate_network(
        graph, folding, tmp_path / "rtl", random_images(graph, FRAMES), (FREE,), tmp_path / "sim", min_frames=FRAMES
    )
    assert found.mismatches == 0, what
    assert found.cycles_per_frame == found.cycles_predicted, f"{what}: {found.fifos}"


@pytest.mark.parametrize("model", ["react18", pytest.param("xnor18", marks=pytest.mark.slow)])
def test_a_beat_less_in_the_shortcuts_is_too_little(model: str, tmp_path: Path) -> None:
    """A threshold's cycle that is not counted is one beat here, a first convolution's first sums are several."""
    graph = graph_of(model, (8, 8), 1)
    folding = plan(graph, boards.board("alveo-u250"), 100, "max", None).folding
    network = Adjustable(graph, folding, tmp_path / "rtl", BUILDS)
    shortcuts = {name: depth - 1 for name, depth in network.depths.items() if name.startswith("layer1")}
    assert shortcuts
    images = random_images(graph, FRAMES)
    free, shorter = network.run(images, [StallMode(), StallMode(depths=shortcuts)])
    assert isinstance(free, SimResult)
    np.testing.assert_array_equal(free.outputs.reshape(FRAMES, -1), golden.run(graph, images).reshape(FRAMES, -1))
    assert free.interval == network.flow.cycles == 576
    assert isinstance(shorter, SimResult)
    assert shorter.interval > 576


def test_every_model_is_drawn() -> None:
    assert {MODELS[seed % len(MODELS)] for seed in range(len(MODELS))} == set(MODELS)
