"""What the user is told: the folding for a speed, or why there is none and what would fit."""

from __future__ import annotations

import dataclasses

import pytest

from bireal_hw.analysis import plan as planning
from bireal_hw.analysis.plan import cycles_of, plan
from bireal_hw.analysis.scale import scaled, smaller_images
from bireal_hw.boards import Board, board
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import INPUT
from tests.networks import tiny

GRAPH = tiny(16, 16, channels=3, base=16)


def pynq(**amounts: int) -> Board:
    return dataclasses.replace(board("pynq-z2"), **amounts)  # type: ignore[arg-type]


def test_a_speed_is_reached_with_no_more_than_it_takes() -> None:
    slow = plan(GRAPH, pynq(), 100, 1_000.0, None)
    fast = plan(GRAPH, pynq(), 100, 40_000.0, None)
    assert slow.cycles <= cycles_of(100, 1_000)
    assert fast.cycles <= cycles_of(100, 40_000)
    assert slow.predicted.lut < fast.predicted.lut


def test_a_thousand_frames_unless_less_fits() -> None:
    assert plan(GRAPH, pynq(), 100, None, None) == plan(GRAPH, pynq(), 100, 1_000.0, None)
    slow_clock = plan(GRAPH, pynq(), 0.05, None, None)
    assert slow_clock == plan(GRAPH, pynq(), 0.05, "max", None)
    assert slow_clock.cycles > cycles_of(0.05, 1_000)


def test_a_speed_beyond_every_folding() -> None:
    with pytest.raises(BirealError) as error:
        plan(GRAPH, pynq(), 100, 1e6, None)
    text = str(error.value)
    assert text.startswith("target_fps=1e+06 is out of reach on pynq-z2 at 100 MHz: at most ")
    assert text.endswith("cycles when it is unfolded as far as it goes")
    assert "\n" not in text


def test_a_speed_beyond_the_board_names_what_binds() -> None:
    little = pynq(dsp=20)
    with pytest.raises(BirealError) as error:
        plan(GRAPH, little, 100, 40_000.0, None)
    text = str(error.value)
    assert "target_fps=40000 is out of reach on pynq-z2" in text
    assert " would need DSP " in text
    assert " of 20, and a network may take 100% of the DSP" in text


def test_a_network_too_large_says_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    smallest = plan(GRAPH, pynq(), 100, 1.0, None).predicted.lut
    with pytest.raises(BirealError) as error:
        plan(GRAPH, pynq(lut=int(0.9 * smallest)), 100, None, 0.5)
    text = str(error.value)
    assert text.startswith("tiny at 16x16 does not fit pynq-z2 at any speed: it needs at least LUT ")
    assert "board=ultra96-v2" in text
    assert "board=alveo-u250" in text
    assert "width=0." in text
    assert "\n" not in text


def test_a_scaled_network_keeps_its_layers() -> None:
    half = scaled(GRAPH, 0.5, (8, 16))
    assert [node.op.kind for node in half] == [node.op.kind for node in GRAPH]
    assert half.types[INPUT].shape == (8, 16, 3)
    assert half.types["stem"].channels == 8
    assert half.output.shape == GRAPH.output.shape
    assert scaled(GRAPH) == GRAPH


def test_smaller_images_suit_the_layers() -> None:
    graph = tiny(128, 96, 3, 8, max_pool=True)
    assert smaller_images(graph) == [(96, 64)]
    for size in smaller_images(graph):
        scaled(graph, image=size)
    assert smaller_images(tiny(16, 32)) == [(16, 24), (8, 16), (8, 8)]


def test_numbers() -> None:
    assert planning.number(12.0) == "12"
