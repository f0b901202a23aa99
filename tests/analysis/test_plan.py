"""What the user is told: the folding for a speed, or why there is none and what would fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bireal_hw.analysis.choices import Choices
from bireal_hw.analysis.plan import cycles_of, plan
from bireal_hw.analysis.scale import scaled, smaller_images
from bireal_hw.analysis.solver import Solution, Solver
from bireal_hw.boards import Board, board
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.types import PIXEL, DataType, TensorType
from bireal_hw.ops import AvgPool, Center
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.synth.memory import map_rom
from bireal_hw.synth.resources import number
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


def refusal(board: Board, fps: float | None, width: float | None = None) -> str:
    with pytest.raises(BirealError) as error:
        plan(GRAPH, board, 100, fps, width)
    return str(error.value)


def out_of_reach(fps: str, most: Solution | None) -> str:
    assert most
    return (
        f"target_fps={fps} is out of reach on pynq-z2 at 100 MHz: at most {1e8 / most.cycles:,.0f} frames per second "
        f"({most.cycles:,} cycles) can be reached; "
    )


def test_a_speed_beyond_every_folding() -> None:
    solver = Solver(Choices(GRAPH), pynq())
    name, cycles = solver.slowest
    reason = f"{name} takes {cycles:,} cycles when it is unfolded as far as it goes"
    assert refusal(pynq(), 1e6) == out_of_reach("1000000", solver.most()) + reason


def test_a_speed_beyond_the_board_names_what_binds() -> None:
    solver = Solver(Choices(GRAPH), pynq(dsp=20))
    needed = solver.least(cycles_of(100, 40_000), fitting=False)
    assert needed
    reason = f"40000 would need DSP {needed.predicted.dsp} of 20, and a network may take 100% of the DSP"
    assert refusal(pynq(dsp=20), 40_000.0) == out_of_reach("40000", solver.most()) + reason


def test_a_network_too_large_says_what_fits() -> None:
    little = pynq(lut=int(plan(GRAPH, pynq(), 100, 1.0, None).predicted.lut))
    smallest = Solver(Choices(GRAPH), little).smallest().predicted.lut
    assert refusal(little, None, width=0.5) == (
        f"tiny at 16x16 does not fit pynq-z2 at any speed: its smallest folding takes "
        f"LUT {smallest:,.0f} of {little.lut:,}; what fits: board=pynq-z1, board=ultra96-v2, board=ulx3s-85f, "
        f"board=kv260, board=zcu104, board=zcu102, board=alveo-u250, width=0.25; no smaller image does"
    )


def test_weights_too_large_for_a_board_are_counted() -> None:
    graph, board = tiny(8, 8, base=128), pynq(bram36=8, lut=7_000)
    smallest = Solver(Choices(graph), board).smallest()
    memories = [one.binding.memories.values() for one in elaborate(graph, smallest.folding).instances]
    weights = sum(map_rom(len(rom.words), rom.width).bram36 for some in memories for rom in some)
    assert weights > 4  # 9 * 128 * 128 + 9 * 128 * 256 bits
    with pytest.raises(BirealError) as error:
        plan(graph, board, 100, None, None)
    assert str(error.value).startswith(
        f"tiny at 8x8 does not fit pynq-z2 at any speed: its smallest folding takes BRAM36 "
        f"{number(smallest.predicted.bram36)} of 8 ({number(weights)} of them for weights); "
        f"what fits: board=pynq-z1, "
    )


def test_a_scaled_network_keeps_its_layers() -> None:
    half = scaled(GRAPH, 0.5, (8, 16))
    assert [node.op.kind for node in half] == [node.op.kind for node in GRAPH]
    assert half.types[INPUT].shape == (8, 16, 3)
    assert half.types["stem"].channels == 8
    assert half.output.shape == GRAPH.output.shape
    assert scaled(GRAPH) == GRAPH


def test_smaller_images_suit_the_layers() -> None:
    graph = tiny(128, 96, 3, 8, max_pool=True)  # shrinks an image by 8
    found = smaller_images(graph)
    assert found[:2] == [(120, 88), (112, 80)]
    assert found[-1] == (8, 8)
    for size in found:
        scaled(graph, image=size)
    assert smaller_images(tiny(16, 32)) == [(16, 24), (8, 16), (8, 8)]


def test_a_network_for_large_images_is_not_offered_small_ones() -> None:
    def pool(side: int) -> AvgPool:
        return AvgPool((side, side), 4, DataType(12, frac=6))

    nodes = [Node("center", Center(np.full(3, 128, np.int32)), (INPUT,)), Node("first", pool(4), ("center",))]
    nodes += [Node("second", pool(4), ("first",)), Node("global_pool", pool(12), ("second",))]
    graph = verify(Graph("pools", TensorType.full(192, 192, 3, PIXEL), tuple(nodes)))  # shrinks an image by 16
    assert smaller_images(graph) == [(side, side) for side in (176, 160, 144, 128, 112, 96, 80)]


def test_numbers() -> None:
    assert number(12.0) == "12"
