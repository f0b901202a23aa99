"""Faults planted in copies of the library, at the places that its sources mark.

A line `// fault: <name>, ..` in rtl/ marks the statement below it; tests put other code in its place. An edit of the
source is free to change the statement, and whoever moves or removes it finds the mark: a mark without a test and a
test without a mark are errors.
"""

from __future__ import annotations

import re
from pathlib import Path

from bireal_hw.rtl import closure, library_sources

MARK = re.compile(r"^ *// fault: (.*)$")


def marked() -> list[str]:
    """Names of all faults that the library marks, as often as it does."""
    lines = [line for path in library_sources() for line in path.read_text().splitlines()]
    return [name for line in lines if (found := MARK.match(line)) for name in found[1].split(", ")]


def planted(name: str, code: str, module: str, folder: Path) -> tuple[Path, ...]:
    """Copy what a module needs into a folder, with one statement exchanged.

    Args:
        name: of the fault; a source marks it once.
        code: in place of the marked statement, which ends with the first line that ends in `;`, `,` or `begin`.
        module: that shows the fault.
        folder: for the copies.
    """
    paths = closure({module})
    text, changed = exchanged({path.name: path.read_text() for path in paths}, name, code)
    assert changed == 1, f"{changed} places of {module} and what it needs are marked with the fault {name}"
    for file, lines in text.items():
        (folder / file).write_text(lines)
    return tuple(folder / path.name for path in paths)


def exchanged(texts: dict[str, str], name: str, code: str) -> tuple[dict[str, str], int]:
    """Exchange the statement that a fault marks in the texts of sources, and count how often that was done."""
    changed = 0
    made = {}
    for file, text in texts.items():
        lines = text.splitlines()
        for at, line in enumerate(lines):
            found = MARK.match(line)
            if found and name in found[1].split(", "):
                end = next(i for i in range(at + 1, len(lines)) if re.search(r"(;|,|\bbegin)$", lines[i]))
                statement = " ".join(lines[at + 1 : end + 1])
                assert "".join(statement.split()) != "".join(code.split()), f"{name}: {code} is what the source has"
                lines[at + 1 : end + 1] = [code]
                changed += 1
        made[file] = "\n".join(lines) + "\n"
    return made, changed
