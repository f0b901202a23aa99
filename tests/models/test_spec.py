"""The description of a network: what it derives, what it refuses and with which words."""

from __future__ import annotations

from typing import Any

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.models.spec import ModelSpec

REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"model": "birael34"},
        "unknown model 'birael34': did you mean 'bireal34'? choose from bireal18, bireal34, bireal50, bireal101,"
        " bireal152, react18, reactneta, xnor18, plain18",
    ),
    ({"width": 0.12}, "width=0.12 is out of range: choose from 0.125 to 1"),
    ({"width": 1.5}, "width=1.5 is out of range: choose from 0.125 to 1"),
    ({"width": float("nan")}, "width=nan is out of range: choose from 0.125 to 1"),
    ({"width": "wide"}, "width=wide is out of range: a number is needed"),
    ({"image": (30, 32)}, "image=30x32 is out of range: sides are multiples of 8; nearest is 32"),
    ({"image": (0, 32)}, "image=0x32 is out of range: sides are multiples of 8; nearest is 8"),
    (
        {"image": (72, 64)},
        "image=72x64 is out of range: sides are multiples of 32, as one side exceeds 64; nearest is 64",
    ),
    (
        {"image": (96, 40)},
        "image=96x40 is out of range: sides are multiples of 32, as one side exceeds 64; nearest is 32",
    ),
    ({"image": (32, 2080)}, "image=32x2080 is out of range: sides are at most 2048 pixels"),
    ({"image": (100_000, 100_000)}, "image=100000x100000 is out of range: sides are at most 2048 pixels"),
    ({"image": (32,)}, "image=(32,) is out of range: two sides are needed, height and width in pixels"),
    ({"image": (32, 32.0)}, "image=32.0 is out of range: a whole number is needed"),
    ({"channels": 2}, "channels=2 is out of range: choose 1 (grey) or 3 (RGB)"),
    ({"channels": True}, "channels=True is out of range: a whole number is needed"),
    ({"classes": 1}, "classes=1 is out of range: at least 2"),
    ({"shortcut_bits": 7}, "shortcut_bits=7 is out of range: choose from 8 to 16"),
    ({"shortcut_bits": 17}, "shortcut_bits=17 is out of range: choose from 8 to 16"),
]


@pytest.mark.parametrize(("values", "text"), REFUSED)
def test_impossible_values_stop_with_one_line(values: dict[str, Any], text: str) -> None:
    with pytest.raises(BirealError) as caught:
        ModelSpec(**values)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("width", "channels"),
    [(1.0, (64, 128, 256, 512)), (0.25, (16, 32, 64, 128)), (0.125, (8, 16, 32, 64)), (0.3, (16, 32, 64, 128))],
)
def test_channels_are_multiples_of_eight(width: float, channels: tuple[int, ...]) -> None:
    assert ModelSpec(width=width).stage_channels == channels


@pytest.mark.parametrize(
    ("image", "small", "pixels"),
    [((64, 64), True, 64), ((8, 16), True, 2), ((96, 64), False, 6), ((224, 224), False, 49)],
)
def test_stem_follows_the_larger_side(image: tuple[int, int], small: bool, pixels: int) -> None:
    spec = ModelSpec(image=image)
    assert (spec.small, spec.pixels) == (small, pixels)


def test_counts_are_those_of_the_paper() -> None:
    assert ModelSpec("bireal18", image=(224, 224), classes=1000).parameters() == (10_985_472, 704_040)
    assert ModelSpec("bireal34", image=(224, 224), classes=1000).parameters() == (21_086_208, 711_464)


def test_json_returns_the_same_spec() -> None:
    spec = ModelSpec("bireal34", 0.5, (96, 64), 1, 7, 12)
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_json_refuses_what_it_does_not_know() -> None:
    with pytest.raises(BirealError) as caught:
        ModelSpec.from_json({"model": "bireal18", "clases": 3})
    assert str(caught.value) == (
        "unknown model spec key 'clases': did you mean 'classes'?"
        " choose from model, width, image, channels, classes, shortcut_bits"
    )
    with pytest.raises(BirealError) as caught:
        ModelSpec.from_json([1, 2])  # type: ignore[arg-type]
    assert str(caught.value) == "model spec is a list: an object with keys is needed"
