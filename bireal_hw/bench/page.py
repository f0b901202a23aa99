"""A page of figures: sections that are measured one by one, each remembered while its inputs stay the same."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bireal_hw.files import write_json
from bireal_hw.run import provenance

Cell = str | int | float


@dataclass(frozen=True)
class Found:
    """What a section found.

    Attributes:
        columns: headings of its table.
        rows: the table, a cell for each heading.
        figures: by name, for bench.json and for the head of the page.
        note: sentences under the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    figures: dict[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Section:
    """One table of the page.

    Attributes:
        name: on the command line.
        title: on the page.
        measure: makes the figures.
        packages: whose versions they depend on, besides what the module that makes them imports.
        timed: whether they are times, so that another machine has others.
    """

    name: str
    title: str
    measure: Callable[[], Found]
    packages: tuple[str, ...]
    timed: bool = False

    @property
    def key(self) -> str:
        """Hash of all that the figures depend on."""
        program = provenance.parts(self.measure.__module__)
        return hashlib.sha256(json.dumps([self.conditions, program]).encode()).hexdigest()[:32]

    @property
    def conditions(self) -> dict[str, str]:
        """Versions of the packages; for times the machine as well."""
        return {name: _version(name) for name in self.packages} | (machine() if self.timed else {})


@dataclass(frozen=True)
class Measured:
    """A section with its figures, and the seconds that they took when they were made."""

    section: Section
    found: Found
    seconds: float


def remembered(section: Section, folder: Path) -> Measured | None:
    """Return a section's figures in `folder`; None if there are none, or their inputs were others."""
    try:
        kept = json.loads((folder / f"{section.name}.json").read_text())
        fresh = kept["key"] == section.key
        return Measured(section, Found(**kept["found"]), kept["seconds"]) if fresh else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def measure(section: Section, folder: Path) -> Measured:
    """Make a section's figures, and remember them in `folder`."""
    started = time.monotonic()
    found = section.measure()
    seconds = round(time.monotonic() - started, 1)
    write_json(folder / f"{section.name}.json", {"key": section.key, "seconds": seconds, "found": asdict(found)})
    return Measured(section, found, seconds)


def machine() -> dict[str, str]:
    """Name the processor and the Python that runs here."""
    return {"processor": f"{os.cpu_count()} x {_processor()}", "Python": platform.python_version()}


def markdown(title: str, headlines: Sequence[Sequence[Cell]], parts: Sequence[Measured], whole: bool) -> str:
    """Write the page, of all sections or of some: headlines as (what, figure), then a table a section."""
    minutes = sum(part.seconds for part in parts) / 60
    about = (
        f"`make bench`, {minutes:.0f} minutes from nothing; later only the sections whose inputs have changed."
        if whole
        else f"Some sections, {minutes:.0f} minutes; `make bench` measures the others."
    )
    lines = [f"# {title}", "", about, "", *table(Found(("what", "figure"), headlines))]
    for part in parts:
        lines += ["", f"## {part.section.title}", "", *table(part.found)]
        if part.found.note:
            lines += ["", textwrap.fill(part.found.note, 120)]
        conditions = ", ".join(f"{name} {value}" for name, value in part.section.conditions.items())
        lines += ["", f"`bireal-hw bench {part.section.name}`, {part.seconds:,.0f} s; {conditions}"]
    return "\n".join(lines) + "\n"


def table(found: Found) -> list[str]:
    """Write a table as lines of Markdown; columns of numbers stand to the right."""
    numbers = [all(not isinstance(cell, str) for cell in column) for column in zip(*found.rows, strict=True)]
    rule = "|".join("---:" if number else "---" for number in numbers)
    rows = [" | ".join(text(cell) for cell in row) for row in found.rows]
    return [f"| {' | '.join(found.columns)} |", f"|{rule}|", *(f"| {row} |" for row in rows)]


def text(cell: Cell) -> str:
    """Write a number with as many places as one reads.

    >>> text(81920), text(1234.5), text(61.84), text(1.3164), text("pynq-z2")
    ('81,920', '1,234', '61.8', '1.32', 'pynq-z2')
    """
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
