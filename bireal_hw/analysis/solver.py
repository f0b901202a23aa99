"""Finds the folding: the least hardware for a number of cycles per frame, or the fewest cycles that fit a board.

One integer program (OR-tools CP-SAT) holds a network: every convolution takes one of its choices, every link between
two layers costs what the lanes on both sides demand, every resource of the board is a bound. The answer is the best
one under the cost model, or the proof that there is none.
"""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from typing import Any

from bireal_hw.analysis.choices import FIXED, Choice, Choices, Link
from bireal_hw.boards import Board
from bireal_hw.errors import BirealError
from bireal_hw.passes.folding import Folding, complete
from bireal_hw.synth.resources import KINDS, Resources, capacity

USABLE = {"lut": 0.9, "ff": 0.9, "bram36": 0.95, "uram": 1.0, "dsp": 1.0}
"""Share of a board that a network may take; placement, routing and the DMA beside it need the rest."""
PACK = {"7series": 2, "ultrascale+": 2, "ecp5": 1}
"""Products by weights of 8 bits that a multiplier of the family gives at once: two take 23 bits on one side."""
SECONDS = 60
"""Limit for one question to the solver, never reached in practice."""


@dataclass(frozen=True)
class Solution:
    """A folding and what it is expected to be.

    Attributes:
        folding: a fold for every node.
        cycles: per frame.
        predicted: resources under the cost model.
    """

    folding: Folding
    cycles: int
    predicted: Resources


class Solver:
    """Folds a network for a board."""

    def __init__(self, choices: Choices, board: Board) -> None:
        self.choices, self.board = choices, board

    @property
    def slowest(self) -> tuple[str, int]:
        """The layer that takes longest when all are unfolded as far as they go, and its cycles per frame."""
        least = {name: min(choice.cycles for choice in some) for name, some in self.choices.convolutions.items()}
        least["the input"] = self.choices.fixed.cycles
        name = max(least, key=lambda one: least[one])
        return name, least[name]

    @property
    def fastest(self) -> int:
        """Cycles per frame that no folding can be below, whatever the board."""
        return self.slowest[1]

    @property
    def unhurried(self) -> int:
        """Cycles per frame that every folding is within."""
        every = [choice.cycles for some in self.choices.convolutions.values() for choice in some]
        return max(self.choices.fixed.cycles, *every)

    def fits(self) -> bool:
        """Tell whether the network fits the board at any speed."""
        return not self._hopeless and self._solve(self.unhurried, fitting=True, best=False) is not None

    @property
    def _hopeless(self) -> bool:
        """Whether the layers' least shares of LUT and block RAM together add up to more than all of both: no search."""
        have = capacity(self.board)

        def share(choice: Choice) -> float:
            return sum(
                getattr(choice.resources, kind) / (USABLE[kind] * getattr(have, kind)) for kind in ("lut", "bram36")
            )

        every = [[self.choices.fixed], *self.choices.convolutions.values()]
        return sum(min(map(share, some)) for some in every) > 2

    def smallest(self) -> Solution:
        """Return the folding of least resources at any speed, whether or not they fit."""
        found = self.least(self.unhurried, fitting=False)
        assert found
        return found

    def least(self, cycles: int, fitting: bool = True) -> Solution | None:
        """Return the folding of least resources with at most so many cycles per frame; None if there is none.

        Least is the sum of the shares of the board's LUTs, flip-flops, block RAMs and DSPs.

        Args:
            cycles: per frame, at most.
            fitting: whether it has to fit the board.
        """
        if cycles < self.fastest:
            return None
        chosen = self._solve(cycles, fitting, best=True)
        return self._solution(chosen) if chosen else None

    def most(self) -> Solution | None:
        """Return the fastest folding that fits the board, of least resources among these; None if none fits."""
        if not self.fits():
            return None
        every = [choice.cycles for some in self.choices.convolutions.values() for choice in some]
        candidates = sorted({cycles for cycles in every if cycles >= self.fastest} | {self.fastest})
        first = bisect.bisect_left(candidates, True, key=lambda cycles: self._solve(cycles, True, False) is not None)
        return self.least(candidates[first])

    def _solution(self, chosen: dict[str, Choice]) -> Solution:
        cycles, predicted = self.choices.evaluate(chosen)
        folding = complete(self.choices.graph, {name: choice.fold for name, choice in chosen.items()})
        return Solution(folding, cycles, predicted)

    def candidates(self, cycles: int) -> dict[str, list[Choice]]:
        """Return the choices of every convolution that the board's multipliers allow and that are fast enough."""
        found = {FIXED: [self.choices.fixed]}
        for name, some in self.choices.convolutions.items():
            found[name] = [
                choice for choice in some if choice.cycles <= cycles and choice.fold.pack <= PACK[self.board.family]
            ]
        return found

    def _solve(self, cycles: int, fitting: bool, best: bool) -> dict[str, Choice] | None:
        """Choose for every convolution: the best choices, or any; None if there are none."""
        from ortools.sat.python import cp_model

        program = _Program(self, cycles)
        if fitting:
            program.bound()
        if best:
            program.minimise()
        solver = cp_model.CpSolver()
        solver.parameters.catch_sigint_signal = False  # Ctrl-C ends the command, not the search
        solver.parameters.num_workers = 1  # the same answer every time
        solver.parameters.max_time_in_seconds = SECONDS
        solver.parameters.cp_model_presolve = False  # takes most of the time and finds nothing in this form
        status = solver.solve(program.model)
        if status == cp_model.INFEASIBLE:
            return None
        if status != cp_model.OPTIMAL:  # where nothing is minimised, every solution is
            name = self.choices.graph.name
            raise BirealError(f"the folding of {name} was not found within {SECONDS} s: give folding=FILE")
        return {
            name: next(choice for literal, choice in options if solver.value(literal))
            for name, options in program.options.items()
            if name != FIXED
        }


class _Program:
    """The integer program of a network that takes at most so many cycles per frame."""

    def __init__(self, solver: Solver, cycles: int) -> None:
        from ortools.sat.python import cp_model

        self.board, self.choices, self.cycles = solver.board, solver.choices, cycles
        self.model = cp_model.CpModel()
        self.terms: dict[str, list[tuple[Any, int]]] = {kind: [] for kind in KINDS}
        self.options = {
            name: [(self.model.new_bool_var(""), choice) for choice in some]
            for name, some in solver.candidates(cycles).items()
        }
        for options in self.options.values():
            self.model.add_exactly_one(literal for literal, _ in options)
            for literal, choice in options:
                self._spend(literal, choice.resources)
        for link in self.choices.links:
            self._link(link)

    def _spend(self, literal: Any, amount: Resources) -> None:
        """Enter what is used if the literal holds."""
        for kind in KINDS:
            if value := _whole(kind, getattr(amount, kind)):
                self.terms[kind].append((literal, value))

    def _link(self, link: Link) -> None:
        """Enter what stands between two layers, for all lanes on both sides: one pair of lanes is the one that is used.

        Each side's choice is the sum over the pairs it is part of, which bounds the optimum far more tightly than an
        implication for each pair.
        """
        sources = self._by_lanes(link.source, link.node.inputs[link.index])
        sinks = self._by_lanes(link.sink, (link.node.name, link.index))
        pairs: dict[tuple[int, int], Any] = {}
        for source, sink in itertools.product(sources, sinks):
            slowest, amount = self.choices.between(link, source, sink)
            if slowest <= self.cycles:
                pairs[source, sink] = self.model.new_bool_var("")
                self._spend(pairs[source, sink], amount)
        for side, options in enumerate((sources, sinks)):
            for lanes, literals in options.items():
                used = [literal for pair, literal in pairs.items() if pair[side] == lanes]
                self.model.add(sum(used) == sum(literals))

    def _by_lanes(self, owner: str, key: str | tuple[str, int]) -> dict[Any, list[Any]]:
        """Literals of an owner's choices by the lanes that they give a stream or a port."""
        found: dict[Any, list[Any]] = {}
        for literal, choice in self.options[owner]:
            found.setdefault(choice.lanes[key], []).append(literal)
        return found

    def _used(self, kind: str) -> Any:
        return sum(value * literal for literal, value in self.terms[kind])

    def _available(self, kind: str) -> int:
        return _whole(kind, getattr(capacity(self.board), kind))

    def bound(self) -> None:
        """Demand that the network fits the board."""
        for kind in KINDS:
            self.model.add(self._used(kind) <= int(USABLE[kind] * self._available(kind)))

    def minimise(self) -> None:
        """Ask for the least sum of the shares of the board."""
        self.model.minimize(sum(self._used(kind) * round(1e7 / max(self._available(kind), 1)) for kind in KINDS))


def _whole(kind: str, amount: float) -> int:
    """Return an amount as a whole number: block RAM in halves."""
    return round(2 * amount) if kind == "bram36" else round(amount)
