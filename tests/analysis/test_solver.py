"""The solver against trying everything, and its bounds."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from bireal_hw.analysis.choices import FIXED, Choices
from bireal_hw.analysis.solver import USABLE, Solver
from bireal_hw.boards import Board, board
from bireal_hw.ops import RealConv
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.synth.resources import KINDS, Resources, capacity
from tests.networks import tiny

GRAPH = tiny(channels=3)
CHOICES = Choices(GRAPH)
REAL = [node for node in GRAPH if isinstance(node.op, RealConv)]


def small(**amounts: int) -> Board:
    """A board with little of something."""
    return dataclasses.replace(board("pynq-z2"), **amounts)  # type: ignore[arg-type]


def price(used: Resources, where: Board) -> float:
    return sum(getattr(used, kind) / max(getattr(capacity(where), kind), 1) for kind in KINDS)


@pytest.mark.parametrize("cycles", [600, 1_500, 4_000])
def test_no_folding_is_cheaper(cycles: int) -> None:
    """All combinations of the choices that are fast enough, in a network with few."""
    where, choices = board("pynq-z2"), Choices(tiny(base=2))
    solver = Solver(choices, where)
    found = solver.least(cycles)
    assert found is not None
    candidates = {name: some for name, some in solver.candidates(cycles).items() if name != FIXED}
    combinations = [dict(zip(candidates, one, strict=True)) for one in itertools.product(*candidates.values())]
    assert len(combinations) > 100
    evaluated = [choices.evaluate(one) for one in combinations]
    best = min(price(used, where) for time, used in evaluated if time <= cycles)
    # Amounts are whole numbers in the program: each of some 40 parts may be off by half a LUT and half a flip-flop.
    assert price(found.predicted, where) <= best + 40 * (0.5 / where.lut + 0.5 / where.ff)


@pytest.mark.parametrize("cycles", [576, 1_000, 10_000])
def test_the_folding_is_what_was_promised(cycles: int) -> None:
    found = Solver(CHOICES, board("pynq-z2")).least(cycles)
    assert found is not None
    assert found.cycles == elaborate(GRAPH, found.folding).cycles <= cycles


def test_the_most_that_fits_is_the_most() -> None:
    ample = Solver(CHOICES, board("alveo-u250"))
    fastest = ample.most()
    assert fastest is not None
    assert fastest.cycles == ample.fastest
    lut = int((fastest.predicted.lut + ample.smallest().predicted.lut) / 2 / USABLE["lut"])
    solver = Solver(CHOICES, small(lut=lut))
    found = solver.most()
    assert found is not None
    assert found.predicted.lut <= USABLE["lut"] * lut + 20
    assert solver.fastest < found.cycles < solver.unhurried
    assert solver.least(found.cycles - 1) is None


@pytest.mark.parametrize("kind", ["lut", "ff", "bram36", "dsp"])
def test_every_resource_binds(kind: str) -> None:
    solver = Solver(CHOICES, board("pynq-z2"))
    fast = solver.least(solver.fastest)
    assert fast is not None
    if getattr(fast.predicted, kind):
        little = small(**{kind: int(getattr(fast.predicted, kind)) // 2})
        assert Solver(CHOICES, little).least(solver.fastest) is None
        assert Solver(CHOICES, little).least(solver.fastest, fitting=False) is not None


def test_nothing_is_faster_than_the_fastest() -> None:
    solver = Solver(CHOICES, board("alveo-u250"))
    name, cycles = solver.slowest
    assert solver.least(cycles) is not None
    assert solver.least(cycles - 1, fitting=False) is None
    assert name in CHOICES.convolutions or name == "the input"


def test_the_same_answer_every_time() -> None:
    first, second = (Solver(Choices(GRAPH), board("pynq-z2")).least(1_000) for _ in range(2))
    assert first == second


def test_products_share_a_multiplier_where_the_board_has_wide_ones() -> None:
    packed = Solver(CHOICES, board("pynq-z2")).least(1_000)
    plain = Solver(CHOICES, board("ulx3s-85f")).least(1_000)
    assert packed is not None
    assert plain is not None
    assert all(packed.folding[node.name].pack == min(packed.folding[node.name].pe, 2) for node in REAL)
    assert all(plain.folding[node.name].pack == 1 for node in REAL)
    assert max(packed.folding[node.name].pe for node in REAL) > 1
