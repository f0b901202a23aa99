"""The command `bench`: a page of figures."""

from __future__ import annotations

from rich.table import Table

from bireal_hw.bench.bench import HEADLINES, SECTIONS, bench
from bireal_hw.commands.verb import CONSOLE, Verb


def _bench(arguments: list[str]) -> int:
    names = [word.removeprefix("section=") for word in arguments]
    figures, files = bench(names, CONSOLE.print)
    table = Table(show_edge=False, title_justify="left", title=str(files[0]))
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, about in HEADLINES.items():
        if name in figures:
            table.add_row(about, f"{figures[name]:,}")
    CONSOLE.print(table)
    CONSOLE.print("\n".join(map(str, files)))
    return 0


VERB = Verb(
    "bench",
    f"measure a page of figures: {', '.join(SECTIONS)}",
    (),
    _bench,
    "[SECTION]...",
    {"section": f"part of the page: {', '.join(SECTIONS)} (default: all)"},
)
