"""What the report of a run says, as data: verdicts, facts, resources, tables, pictures.

What is on a page, and what may be trusted, `bireal_hw.report.collect` decides; `bireal_hw.report.render` writes it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from bireal_hw.picture.strips import Drawing
from bireal_hw.report.layers import LayerRow
from bireal_hw.results.board import FaultFound
from bireal_hw.synth.resources import Resources


class State(StrEnum):
    """What is known about a claim."""

    HOLDS = "holds"
    FAILS = "FAILS"
    OPEN = "not checked"
    STALE = "out of date"


@dataclass(frozen=True)
class Verdict:
    """A claim about the network or its hardware.

    Attributes:
        claim: in words.
        found: what was measured; empty if nothing was.
        state: whether it holds.
        board: that it is about; empty if it is about the network itself.
        file: where the measurement stands, in the run's folder.
        note: why there is no verdict.
        command: that gives one.
    """

    claim: str
    found: str
    state: State
    board: str = ""
    file: str = ""
    note: str = ""
    command: str = ""


@dataclass(frozen=True)
class Missing:
    """A result that is not on the page: why, and the command that makes it (empty if none does)."""

    reason: str
    command: str = ""


@dataclass(frozen=True)
class Bar:
    """A resource of a board.

    Attributes:
        name: as people write it.
        used, available: amounts.
        notes: the same amount from other sources, in words.
    """

    name: str
    used: float
    available: float
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Part of the board that is used; infinite where it has none."""
        return self.used / self.available if self.available else (float("inf") if self.used else 0.0)


@dataclass(frozen=True)
class Fifo:
    """A FIFO: its name, its depth in beats, the bits of a beat, the most beats it held (None if not recorded)."""

    name: str
    depth: int
    width: int
    highest_fill: int | None


class Command(str):
    """A value that is a command, as it is typed."""

    __slots__ = ()


Facts = dict[str, str]
"""What a list of facts shows: a value by its name."""


@dataclass
class BoardSection:
    """What the page says about a board; lists that are empty are left out.

    Attributes:
        name, part: of the board.
        facts: speed and folding.
        bars: resources, and `bars_source` who counted them.
        layers: the table, `layers_source` who counted its resources, `columns` the kinds of resources it shows,
            `total` what all of them take.
        fifos: all there are.
        simulation, cpp: figures of sim.json and hls.json.
        driver, driver_hls: figures of board.json and board_hls.json.
        speeds: of every batch its images, frames per second, and their share of the network's own.
        faults: what the driver said of them.
        missing: what is not there, by the part of the section: folding, resources, fifos, simulation, cpp, driver.
    """

    name: str
    part: str
    facts: Facts = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    bars_source: str = ""
    layers: list[LayerRow] = field(default_factory=list)
    layers_source: str = ""
    columns: tuple[str, ...] = ()
    total: Resources = field(default_factory=Resources)
    fifos: list[Fifo] = field(default_factory=list)
    simulation: Facts = field(default_factory=dict)
    cpp: Facts = field(default_factory=dict)
    driver: Facts = field(default_factory=dict)
    driver_hls: Facts = field(default_factory=dict)
    speeds: list[tuple[int, float, float]] = field(default_factory=list)
    faults: list[FaultFound] = field(default_factory=list)
    missing: dict[str, Missing] = field(default_factory=dict)


@dataclass
class Page:
    """What the page says.

    Attributes:
        run: its name.
        about: the network in a line.
        untrained: whether its weights are random.
        verdicts: on all claims.
        facts: about the network and its training.
        classes: their names.
        curves: the picture of the training as a data: address; empty if there is none.
        curves_text: what the picture shows, in words.
        picture: the graph.
        boards: a section for each.
        missing: what is not there, by what it is called.
    """

    run: str
    about: str
    untrained: bool
    verdicts: list[Verdict]
    facts: Facts
    classes: list[str]
    curves: str
    curves_text: str
    picture: Drawing
    boards: list[BoardSection]
    missing: dict[str, Missing] = field(default_factory=dict)

    def tally(self) -> dict[State, int]:
        """Return how many claims are in each state; states without any are left out."""
        count = Counter(verdict.state for verdict in self.verdicts)
        return {state: count[state] for state in State if count[state]}
