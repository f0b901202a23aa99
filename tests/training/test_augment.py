"""Augmentation: pixels stay integers 0..255, draws are repeatable, and each kind does what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bireal_hw.training.augment import Augment, crop_box, draw_crops
from bireal_hw.training.defaults import DATASETS

pytestmark = pytest.mark.torch


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, height: int = 12, width: int = 20, channels: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, height, width), generator=generator(1), dtype=torch.uint8)


@pytest.mark.parametrize("name", DATASETS)
def test_pixels_stay_integers_in_range(name: str) -> None:
    images = noise(64)
    changed = DATASETS[name].augment(images, generator())
    assert changed.dtype == torch.float32
    assert changed.shape == images.shape
    assert torch.equal(changed, changed.round())
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert not torch.equal(changed, images.float())


def test_the_same_generator_gives_the_same_images() -> None:
    augment = DATASETS["digits"].augment
    assert torch.equal(augment(noise(8), generator(3)), augment(noise(8), generator(3)))
    assert not torch.equal(augment(noise(8), generator(3)), augment(noise(8), generator(4)))


def test_nothing_asked_for_changes_nothing() -> None:
    assert torch.equal(Augment()(noise(4), generator()), noise(4).float())


def test_whole_pixel_crops_and_flips_keep_every_value() -> None:
    """Every result is one of the shifted, perhaps mirrored copies with black borders, and all kinds occur."""
    images = noise(200, 8, 16, 1)
    results = Augment(shift=0.125, flip=True, whole=True)(images, generator())
    seen = set()
    for image, result in zip(images.float(), results, strict=True):
        padded = torch.nn.functional.pad(image, (2, 2, 1, 1))
        copies = {}
        for down in range(3):
            for right in range(5):
                crop = padded[:, down : down + 8, right : right + 16]
                copies[down, right, False], copies[down, right, True] = crop, crop.flip(2)
        matches = [key for key, crop in copies.items() if torch.equal(crop, result)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert {key[0] for key in seen} == {0, 1, 2}
    assert {key[1] for key in seen} == {0, 1, 2, 3, 4}
    assert {key[2] for key in seen} == {False, True}


def test_zoom_shows_a_smaller_or_larger_field() -> None:
    image = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    image[:, :, 4:12, 4:12] = 255
    area = [float(Augment(zoom=(zoom, zoom))(image, generator()).sum()) for zoom in (0.5, 1.0, 2.0)]
    assert area[0] > 3 * area[1] > 9 * area[2] > 0


def test_rotation_keeps_a_centred_disc_on_a_wide_image() -> None:
    """Pixels are square: a disc turns into itself although height and width differ."""
    y, x = torch.meshgrid(torch.arange(24) - 11.5, torch.arange(48) - 23.5, indexing="ij")
    disc = (255 * (x**2 + y**2 < 64)).to(torch.uint8)[None, None]
    turned = Augment(rotate=90.0)(disc.expand(20, -1, -1, -1), generator())
    assert float((turned - disc.float()).abs().mean()) < 255 * 0.02


# ---- crops ----


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (31, 200), (224, 224)])
@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_random_boxes_lie_inside_and_have_the_areas_and_shapes_asked_for(size: tuple[int, int], ratio: float) -> None:
    width, height = size
    draws = draw_crops(4000, generator())
    left, top, right, bottom = crop_box("resized", width, height, ratio, draws)
    assert min(left.min(), top.min()) >= 0
    assert right.max() <= width
    assert bottom.max() <= height
    wide, high = right - left, bottom - top
    area, shape = wide * high / (width * height), wide / high / ratio
    inside = (wide < width - 1e-9) & (high < height - 1e-9)  # others were cut to the image
    assert shape[inside].min() >= 3 / 4 - 1e-9
    assert shape[inside].max() <= 4 / 3 + 1e-9
    assert area.min() >= 0.08 - 1e-9 or not inside.all()
    if size == (224, 224) and ratio == 1:
        assert (area.min(), area.max()) == pytest.approx((0.08, 1), abs=0.02)
        assert float(np.median(area)) == pytest.approx(0.54, abs=0.03)


def test_a_crop_at_a_random_place_is_224_of_256() -> None:
    left, top, right, bottom = crop_box("place", 341, 256, 1.0, draw_crops(1000, generator()))
    np.testing.assert_allclose(right - left, 224)
    np.testing.assert_allclose(bottom - top, 224)
    assert (left.min(), left.max()) == pytest.approx((0, 341 - 224), abs=2)
    assert (top.min(), top.max()) == pytest.approx((0, 32), abs=1)


def test_a_crop_of_pixels_in_memory_shows_its_box() -> None:
    """A ramp in x and y: the corners of the result tell which part of the image it is."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    images = torch.stack([x, y]).mul(4).to(torch.uint8)[None].expand(6, -1, -1, -1)
    shown = Augment(crop="resized")(images, generator(5)) / 4
    rest = generator(5)
    torch.rand(6, 4, generator=rest), torch.rand(6, generator=rest)  # what shift, zoom, angle and flip draw
    left, top, right, bottom = crop_box("resized", 64, 64, 1.0, draw_crops(6, rest))
    for found, want in (
        (shown[:, 0, 32, 1], left + (right - left) * 1.5 / 64 - 0.5),
        (shown[:, 0, 32, -2], right - (right - left) * 1.5 / 64 - 0.5),
        (shown[:, 1, 1, 32], top + (bottom - top) * 1.5 / 64 - 0.5),
        (shown[:, 1, -2, 32], bottom - (bottom - top) * 1.5 / 64 - 0.5),
    ):
        np.testing.assert_allclose(found.numpy(), want, atol=0.3)


@pytest.mark.parametrize("crop", ["", "resized", "place"])
def test_parts_of_a_batch_get_what_the_whole_gets(crop: str) -> None:
    images = noise(12)
    augment = Augment(shift=0.1, rotate=20, flip=True, crop=crop)
    whole = augment(images, generator(2))
    for rank in range(3):
        assert torch.equal(augment(images[rank::3], generator(2), (rank, 3)), whole[rank::3])
