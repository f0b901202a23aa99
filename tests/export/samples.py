"""Networks for the export tests: random weights, calibrated, small enough to export in seconds."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from bireal_hw.models.bireal import BiReal, build_model
from bireal_hw.models.randomise import randomise
from bireal_hw.models.spec import ModelSpec

SPECS = {
    "small": ModelSpec("bireal18", 0.125, (16, 16), 1, 10),
    "pooled": ModelSpec("bireal18", 0.125, (96, 64), 3, 5),
    "deep": ModelSpec("bireal34", 0.125, (8, 24), 3, 3, shortcut_bits=8),
    "means": ModelSpec("bireal18", 0.125, (64, 64), 3, 4, shortcut_bits=12),
    "bottleneck": ModelSpec("bireal50", 0.125, (16, 16), 3, 5),
    "react": ModelSpec("react18", 0.125, (8, 24), 3, 5, shortcut_bits=9),
    "react a": ModelSpec("reactneta", 0.125, (24, 16), 3, 5),
    "react a pooled": ModelSpec("reactneta", 0.125, (96, 64), 1, 4, shortcut_bits=12),
    "xnor": ModelSpec("xnor18", 0.125, (16, 16), 1, 4),
    "plain": ModelSpec("plain18", 0.125, (16, 16), 3, 4, shortcut_bits=12),
}
"""Both stems, grey and RGB, square and not, every kind of block, four stream widths; "means" has 9-bit pixels."""
LONG = ("pooled", "deep", "means", "react a", "react a pooled")
"""Those of them that `make test-all` alone runs where each takes many seconds."""
SAMPLES = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in SPECS]
"""Their names, for a test of each."""


@cache
def network(name: str) -> BiReal:
    """Return the network of a name in SPECS; a test that changes it works on a copy."""
    torch.manual_seed(5)
    model = build_model(SPECS[name])
    if name == "means":
        model.mean.copy_(torch.tensor([104.0, 117.0, 123.0]))
    return randomise(model, SPECS[name], seed=5)
