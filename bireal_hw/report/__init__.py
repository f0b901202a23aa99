"""The report of a run: one HTML page that needs nothing but itself, neither a network nor a script.

`Page` is everything the page says; `render` writes it. What is on it, and what may be trusted, `bireal_hw.flows.report`
decides.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

import jinja2
from markupsafe import Markup

from bireal_hw import __version__
from bireal_hw.report.layers import Layer
from bireal_hw.synth.resources import NAMES, Resources


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


Facts = dict[str, str]
"""What a list of facts shows: a value by its name."""


@dataclass
class Section:
    """What the page says about a board; lists that are empty are left out.

    Attributes:
        name, part: of the board.
        facts: speed and folding.
        bars: resources, and `bars_source` who counted them.
        layers: the table, `layers_source` who counted its resources, `columns` the kinds of resources it shows,
            `total` what all of them take.
        fifos: all there are.
        simulation, cpp: figures of sim.json and hls.json.
        missing: what is not there, by the part of the section: folding, resources, fifos, simulation, cpp.
    """

    name: str
    part: str
    facts: Facts = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    bars_source: str = ""
    layers: list[Layer] = field(default_factory=list)
    layers_source: str = ""
    columns: tuple[str, ...] = ()
    total: Resources = field(default_factory=Resources)
    fifos: list[Fifo] = field(default_factory=list)
    simulation: Facts = field(default_factory=dict)
    cpp: Facts = field(default_factory=dict)
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
        picture: the graph as SVG.
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
    picture: str
    boards: list[Section]
    missing: dict[str, Missing] = field(default_factory=dict)

    def tally(self) -> dict[State, int]:
        """Return how many claims are in each state; states without any are left out."""
        count = Counter(verdict.state for verdict in self.verdicts)
        return {state: count[state] for state in State if count[state]}


def render(page: Page) -> str:
    """Write the page as HTML; every text of the run is escaped, the same page gives the same bytes."""
    picture = Markup(page.picture)  # the one text that is markup already, its own names escaped
    return _template().render(page=page, picture=picture, NAMES=NAMES, version=__version__)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bireal_hw.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"amount": amount, "percent": percent}
    return environment.get_template("page.html.j2")


def amount(value: float) -> str:
    """Write a number with at most one decimal.

    >>> amount(73728), amount(70.5), amount(0)
    ('73,728', '70.5', '0')
    """
    return f"{value:,.1f}".removesuffix(".0")


def percent(share: float) -> str:
    """Write a share.

    >>> percent(1.0), percent(0.0347), percent(0.0001), percent(0), percent(1.316), percent(float("inf"))
    ('100 %', '3.5 %', '< 0.1 %', '0 %', '131.6 %', 'none there')
    """
    if share == float("inf"):
        return "none there"
    return f"{amount(100 * share)} %" if share >= 0.001 or not share else "< 0.1 %"
