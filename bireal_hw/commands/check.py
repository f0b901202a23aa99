"""The command `check`: what becomes of each node of a file, all refusals at once, and how far the result is from it."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from bireal_hw.commands.verb import CONSOLE, FILE, VALUES, Verb
from bireal_hw.errors import BirealError, nearest
from bireal_hw.lowering.compare import advice, compare
from bireal_hw.lowering.convert import Conversion, convert, rows
from bireal_hw.lowering.reader import Row
from bireal_hw.run.calibration import options_of
from bireal_hw.run.config import UsageError, parse_arguments

TAKES = ("pixels", "calibration", "dataset", "data", "label", "image_column", "skip_broken", "config")
IMAGES = 16
"""Images that the file and the golden model are compared on."""


def _check(arguments: list[str]) -> int:
    bare = [word for word in arguments if "=" not in word]
    if len(bare) != 1 or not bare[0].endswith(".onnx"):
        given = bare[0] if len(bare) == 1 else f"{len(bare)} files"
        raise UsageError(f"check takes one file, whose name ends in .onnx, not {given}")
    file = Path(bare[0])
    if not file.is_file():
        near = nearest(str(file), map(str, file.parent.glob("*.onnx")), cutoff=0.6)
        raise BirealError(f"{file} does not exist" + (f": did you mean '{near}'?" if near else ""))
    config = parse_arguments(word for word in arguments if word is not bare[0])
    options = options_of({"data": None, "skip_broken": False, **config.given(), "file": str(file)})
    table, error = rows(file, options)
    CONSOLE.print(_nodes(file, table))
    if error:
        raise error
    found = convert(file, options)
    if found.journal:
        CONSOLE.print(_moved(found))
    distance = compare(found, found.images[:IMAGES])
    CONSOLE.print(f"pixels: {found.pixels.why}", soft_wrap=True, markup=False)
    CONSOLE.print(f"against the file: {distance.words}", soft_wrap=True, markup=False)
    nearer = advice(found, distance)
    if nearer:
        CONSOLE.print(f"to come nearer: {nearer}", soft_wrap=True, markup=False)
    return 0


def _nodes(file: Path, found: list[Row]) -> Table:
    table = Table(title=str(file), title_justify="left", show_edge=False)
    for heading in ("node", "type", "becomes"):
        table.add_column(heading, overflow="fold")
    for row in found:
        becomes = f"[red]{escape(row.refused)}[/]" if row.refused else escape(row.becomes)
        table.add_row(escape(row.node), row.kind, becomes)
    return table


def _moved(found: Conversion) -> Table:
    table = Table(title="moved to the grid, or left out", title_justify="left", show_edge=False)
    for heading in ("node", "how", "by at most"):
        table.add_column(heading, overflow="fold")
    for entry in found.journal:
        table.add_row(escape(entry.node), escape(entry.becomes), f"{entry.moved:.3g}" if entry.moved else "")
    return table


VERB = Verb(
    "check",
    "say what becomes of each node of a file, and how far the result is from it",
    TAKES,
    _check,
    f"{FILE} {VALUES}",
)
