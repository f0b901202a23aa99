"""A sign behind what a ReLU, a PReLU or a hardtanh leaves and a BatchNorm moves: a comparison of what is under it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.lowering import convert
from bireal_hw.lowering.compare import Distance, compare
from bireal_hw.lowering.convert import generated
from bireal_hw.lowering.values import Bent, Expression, Scaled, Source
from tests.lowering.test_foreign import CHANNELS, SIDE, File, Floats

GAINS = {
    "positive": [1.0, 0.5, 2, 0.25, 1, 0.5, 2, 4],
    "negative": [-1.0, -0.5, -2, -0.25, -1, -0.5, -2, -4],
    "both": [1.0, -1, 0.5, -0.5, 2, -2, 0.25, -0.25],
    "some 0": [0.0, 1, 0, -1, 0, 0.5, 0, -0.5],
}
LEVELS = {
    "0": [0.0] * 8,
    "on the grid": np.array([-64, -2, 0, 1, 16, 64, 256, -256]) * 2.0**-6,
    "between": np.array([-0.713, -0.0013, 0.0017, 0.0119, 0.3301, 0.9999, 3.77, -3.3]),
    "ends": [-1.0, 0, 1, 6, -1, 0, 1, 6],
}
"""Values of a bend at which the sign behind it turns."""
SLOPES = np.array([0.25, 0.5, 0.0, 2, 0.125, 0.0, 1, 0.25])
BENDS: dict[str, Callable[[File, str], str]] = {
    "ReLU": lambda file, x: file.node("Relu", x),
    "PReLU": lambda file, x: file.node("PRelu", x, file.channels(SLOPES)),
    "leaky ReLU": lambda file, x: file.node("LeakyRelu", x, alpha=0.25),
    "hardtanh": lambda file, x: file.node("Clip", x, file.constant(-1.0), file.constant(1.0)),
    "ReLU6": lambda file, x: file.node("Clip", x, file.constant(0.0), file.constant(6.0)),
    "ReLU behind a hardtanh": lambda file, x: file.node("Relu", BENDS["hardtanh"](file, x)),
}


def _dot(file: File, x: str) -> str:
    steps = np.exp2(file.rng.integers(-6, -2, CHANNELS)) * file.rng.choice([-1.0, 1.0], CHANNELS)
    moved = file.channels(file.rng.integers(-8, 9, CHANNELS) * 2.0**-6)
    return file.node("Add", file.node("Mul", file.conv(file.bits(x)), file.channels(steps)), moved)


UNDER: dict[str, Callable[[File, str], str]] = {
    "products": _dot,
    "a stream": lambda file, x: x,
    "a merge": lambda file, x: file.merge(x, file.affine(file.conv(file.bits(x)))),
    "a pool": lambda file, x: file.node("Resize", file.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]),
                                        "", file.constant([1.0, 1, 2, 2]), mode="nearest", nearest_mode="floor",
                                        coordinate_transformation_mode="asymmetric"),
}  # fmt: skip


def _written(file: File, x: str, path: Path, shortcut: str | None = None) -> Distance:
    """A sign, a binary convolution on the grid, and what else reads the bend."""
    y = file.affine(file.conv(file.bits(x)))
    if shortcut:
        y = file.node("Add", y, shortcut)
    file.finish(y if shortcut else file.quant(y, 2.0**-8, 16), path)
    found = convert(path)
    return compare(found, generated((6, SIDE, SIDE, 3)))


def _moved(file: File, x: str, gain: Floats, level: Floats) -> str:
    """gain * (x - level): with these gains float32 rounds nothing that decides a sign."""
    return file.node("Mul", file.node("Sub", x, file.channels(level)), file.channels(gain))


ALL = list(product(GAINS, LEVELS, BENDS, UNDER))
FEW = 7
"""Every so many of all combinations belong to `make test`; it divides none of the four numbers of values."""


@pytest.mark.parametrize(
    ("gain", "level", "bend", "under"),
    [one if index % FEW == 0 else pytest.param(*one, marks=pytest.mark.slow) for index, one in enumerate(ALL)],
)
def test_a_sign_behind_a_bend_is_the_files(gain: str, level: str, bend: str, under: str, tmp_path: Path) -> None:
    """Nothing is rounded on the way to the bits, so that the logits are the file's to the last digit."""
    file = File()
    x = BENDS[bend](file, UNDER[under](file, file.start()))
    x = _moved(file, x, np.asarray(GAINS[gain]), np.asarray(LEVELS[level]))
    assert _written(file, x, tmp_path / "m.onnx").largest == 0


@pytest.mark.parametrize("kind", ["ReLU", "PReLU", "hardtanh"])
@pytest.mark.parametrize("level", ["0", "between"])
@pytest.mark.parametrize("gain", [0.73, -0.73])
def test_a_sign_and_a_shortcut_behind_a_bend(gain: float, level: str, kind: str, tmp_path: Path) -> None:
    """What two read is rounded, and what is 0 stays 0 however the gains under the bend are rounded."""
    file = File()
    dot = file.conv(file.bits(file.start()))
    scaled = file.node("Mul", dot, file.channels(file.rng.uniform(0.01, 0.02, CHANNELS)))
    away = np.linspace(-1e-4, 1e-4, CHANNELS)  # nearer to 0 than a step: the sums that are 0 are on one side
    x = BENDS[kind](file, file.node("Add", scaled, file.channels(away)))
    y = _moved(file, x, np.full(CHANNELS, gain), np.asarray(LEVELS[level]))
    distance = _written(file, y, tmp_path / "m.onnx", x)
    assert distance.rms < 0.002 * distance.spread


def test_a_bend_that_is_not_monotone_is_rounded(tmp_path: Path) -> None:
    file = File()
    x = file.node("PRelu", UNDER["products"](file, file.start()), file.channels(-SLOPES))
    distance = _written(file, _moved(file, x, np.ones(CHANNELS), np.full(CHANNELS, 0.1)), tmp_path / "m.onnx")
    assert distance.rms < 0.01 * distance.spread


@pytest.mark.parametrize("seed", range(20))
def test_the_comparison_under_a_bend(seed: int) -> None:
    """Against a loop over the integers, for random slopes, limits, gains and levels."""
    rng = np.random.default_rng(seed)
    count = 40
    ends = np.sort(rng.choice([-np.inf, -2.0, -1, 0, 1, 2.5, np.inf], 2, replace=False))
    slope = rng.choice([0.0, 0.25, 1.0, 3.0], count) if rng.random() < 0.5 else None
    gain, outer = (rng.choice([-2.0, -0.5, 0.0, 0.5, 1.0], count) for _ in range(2))
    add, level = rng.integers(-6, 7, (2, count)) / 4
    inner = Expression(Source("value", "x"), gain, add)
    moved = Scaled(Bent(inner, slope, float(ends[0]), float(ends[1])), "y", outer, -outer * level)
    found = moved.compared()
    assert found is not None
    for x in range(-12, 13):
        under = gain * x + add
        bent = np.clip(np.where(under < 0, under * (1.0 if slope is None else slope), under), *ends)
        np.testing.assert_array_equal(found.gain * x + found.add >= 0, outer * bent - outer * level >= 0)
