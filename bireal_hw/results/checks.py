"""What is claimed of a network that was trained here, and whether figures bear it out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bireal_hw.results.accuracy import DEPLOY, TRAINED
from bireal_hw.sim.results import Simulation

ACCURACY = 95.0
"""Percent of the test images that both models classify right, at least."""
LOST, LOST_SHARE = 3, 0.002
"""Test images by which the deploy model may be worse, or the share of them where that is more."""
SIMULATED = 4
"""Images that the simulated hardware computes, at least."""


@dataclass(frozen=True)
class Check:
    """One line of the verdict: a claim, what was found, and whether it holds."""

    claim: str
    found: str
    holds: bool


def check_accuracy(top1_trained: float, right: int, total: int) -> list[Check]:
    """Check the trained accuracy (percent), the deploy accuracy (`right` of `total` answers), and what is lost.

    `right` may be counted on the golden model: that it and the deploy model agree is checked beside it.
    """
    lost = round(top1_trained * total / 100) - right
    allowed = max(LOST, int(LOST_SHARE * total))
    found = {TRAINED: top1_trained, DEPLOY: 100 * right / total}
    return [
        *(
            Check(f"{one.title} >= {ACCURACY:g} %", f"{top1:.2f} % of {total:,}", top1 >= ACCURACY)
            for one, top1 in found.items()
        ),
        Check(f"at most {allowed} images lost", f"{lost} of {total:,}", lost <= allowed),
    ]


def check_same(name: str, logits: NDArray[np.int64], golden: NDArray[np.integer]) -> Check:
    """Check that the integer logits (N, classes) of a model equal the golden model's."""
    wrong = int((logits != golden).any(axis=1).sum())
    return Check(f"{name} = G on every test image", f"{wrong:,} of {len(golden):,} differ", wrong == 0)


def check_hardware(found: Simulation) -> list[Check]:
    """Check R = G and the cycles of a simulation."""
    wrong, total, count = found.mismatches, found.outputs_compared, found.images
    measured, predicted = found.cycles_per_frame, found.cycles_predicted
    return [
        Check(
            f"R = G on at least {SIMULATED} images, stalled and not",
            f"{wrong:,} of {total:,} outputs differ, {count} images",
            wrong == 0 and count >= SIMULATED and total > 0 and found.runs == 2,
        ),
        Check("cycles per frame measured = predicted", f"{measured:,} and {predicted:,}", measured == predicted),
    ]
