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
    changed = 0
    copies = []
    for path in closure({module}):
        lines = path.read_text().splitlines()
        for at, line in enumerate(lines):
            found = MARK.match(line)
            if found and name in found[1].split(", "):
                end = next(i for i in range(at + 1, len(lines)) if re.search(r"(;|,|\bbegin)$", lines[i]))
                statement = " ".join(lines[at + 1 : end + 1])
                assert "".join(statement.split()) != "".join(code.split()), f"{name}: {code} is what the source has"
                lines[at + 1 : end + 1] = [code]
                changed += 1
        copies.append(folder / path.name)
        copies[-1].write_text("\n".join(lines) + "\n")
    assert changed == 1, f"{changed} places of {module} and what it needs are marked with the fault {name}"
    return tuple(copies)
