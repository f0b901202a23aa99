"""Augmentation: pixels stay integers 0..255, draws are repeatable, and each kind does what it says."""

from __future__ import annotations

import pytest
import torch

from bireal_hw.training.augment import Augment
from bireal_hw.training.data import DATASETS

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
