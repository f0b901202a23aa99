"""Weights of 8 bits, and where the zero of a pixel lies."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.lowering import Options, convert
from bireal_hw.lowering.compare import advice, compare
from bireal_hw.lowering.convert import generated
from bireal_hw.lowering.grid import weight_integers
from tests.lowering.test_foreign import CHANNELS, SIDE, File


@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (4, 6, 5, 5), (7, 40, 1, 1), (3, 2, 1, 1), (4, 1, 3, 3)], ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_weights_of_8_bits_keep_the_sum_of_a_window(shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = np.asarray(rng.normal(size=shape) * rng.uniform(0.01, 10, (shape[0], 1, 1, 1)), np.float64)
    weights[0] = 0
    whole, step = weight_integers(weights)
    away = whole - weights / step.reshape(-1, 1, 1, 1)
    assert np.abs(whole).max() == 127
    assert np.abs(away).max() < 1
    window = shape[2] * shape[3] > 1
    sums = away.sum((2, 3)) if window else away.sum((1, 2, 3))
    assert np.abs(sums).max() <= 0.5 + 1e-9
    nearest = np.abs(away) <= 0.5 + 1e-9
    assert nearest.mean() > 0.7
    # What was moved to the other side is nearer to the middle than all that was not, in its window.
    groups = away.reshape(-1, shape[2] * shape[3]) if window else away.reshape(shape[0], -1)
    for row in groups:
        moved = np.abs(row) > 0.5 + 1e-9
        if moved.any():
            side = np.sign(row[moved][0])
            others = row[~moved & (np.sign(row) == -side)]
            assert (1 - np.abs(row[moved])).min() >= np.abs(others).max(initial=0) - 1e-9


def test_weights_on_the_grid_stay() -> None:
    rng = np.random.default_rng(0)
    exact = rng.integers(-127, 128, (6, 4, 3, 3))
    exact[:, 0, 0, 0] = 127
    whole, step = weight_integers(exact.astype(np.float64) * 0.03)
    np.testing.assert_array_equal(whole, exact)
    np.testing.assert_allclose(step, 0.03)


def _padded(zero: object, scale: float, path: Path, pads: list[int]) -> list[str]:
    """What is said of a first convolution on scale * (p - zero), and that golden is the file."""
    file = File()
    x = file.node("Mul", file.node("Sub", "p", file.constant(zero)), file.constant(scale))
    weights = file.constant(file.rng.integers(-20, 21, (CHANNELS, 3, 3, 3)) * 2.0**-7)
    weights = file.quant(weights, 2.0**-7, 8, "ROUND", narrow=1)
    x = file.node("Conv", x, weights, kernel_shape=[3, 3], pads=pads)
    x = file.node("Add", x, file.constant(0.0007))  # float32 does not have 0 where the sum is 0
    file.finish(file.affine(file.conv(file.bits(x))), path)
    found = convert(path, Options("stored"))
    distance = compare(found, generated((4, SIDE, SIDE, 3)))
    said = [entry.becomes for entry in found.journal if entry.moved]
    if not any("border" in one for one in said):
        assert distance.largest < 1e-5
    return said


@pytest.mark.parametrize(
    "zero",
    [127.5, 0.5, 63.75, 3.125, np.array([[127.5]] * 3)[:, :, None], np.array([127.5, 128, 0.25]).reshape(3, 1, 1)],
    ids=["127.5", "0.5", "63.75", "3.125", "each channel", "unlike channels"],
)
@pytest.mark.parametrize("scale", [1 / 128, 1 / 127.5])
def test_the_border_is_the_zero_of_the_pixels(zero: object, scale: float, tmp_path: Path) -> None:
    """A pixel in halves, quarters and eighths, where a padded convolution reads it."""
    for pads in ([1, 1, 1, 1], [0, 1, 2, 1]):
        assert not any("border" in one for one in _padded(zero, scale, tmp_path / "m.onnx", pads))


def test_a_zero_that_is_no_part_of_a_pixel_is_told(tmp_path: Path) -> None:
    words = "the border is padded with the nearest whole pixel"
    assert words in _padded(123.675, 1 / 58.4, tmp_path / "m.onnx", [1, 1, 1, 1])


@pytest.mark.parametrize("bits", [8, None])
def test_what_would_bring_a_network_nearer_is_said(bits: int | None, tmp_path: Path) -> None:
    """Weights whose rounding turns bits: 1 in each output channel, and 0.004 elsewhere."""
    file = File()
    weights = np.where(np.eye(27)[:CHANNELS].reshape(CHANNELS, 3, 3, 3) > 0, 1.0, 0.0) + file.rng.uniform(
        -0.0039, 0.0039, (CHANNELS, 3, 3, 3)
    )
    node = file.constant(weights)
    node = file.quant(node, 2.0**-7, 8, "ROUND", narrow=1) if bits else node
    x = file.node("Conv", file.node("Sub", "p", file.constant(127.9)), node, kernel_shape=[3, 3], pads=[1] * 4)
    file.finish(file.affine(file.conv(file.bits(x))), tmp_path / "m.onnx")
    found = convert(tmp_path / "m.onnx", Options("stored"))
    near = compare(found, generated((4, SIDE, SIDE, 3)))
    far = dataclasses.replace(near, agreement=0.5)
    assert ("train Conv_1 with weights of 8 bits" in advice(found, far)) == (bits is None)
    assert advice(found, dataclasses.replace(far, saturated=3)).endswith("more images: 3 values were cut off")
    assert advice(found, dataclasses.replace(near, agreement=1.0, rms=0.0)) == ""
