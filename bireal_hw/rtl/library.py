"""The hand-written modules in `rtl/`: which there are, and which of them a network needs."""

from __future__ import annotations

import re
from pathlib import Path

from bireal_hw.assets import asset
from bireal_hw.errors import unknown


def library_sources() -> list[Path]:
    """All modules of the hand-written library, the package first, then by name."""
    root = asset("rtl")
    return [*sorted(root.glob("pkg/*.sv")), *sorted(root.glob("lib/*.sv")), *sorted(root.glob("layers/*.sv"))]


def closure(modules: set[str]) -> list[Path]:
    """Library files that the given modules need: they, what they instantiate, their packages; in compile order.

    Raises:
        BirealError: a module is not in the library.
    """
    paths = {path.stem: path for path in library_sources()}
    needed: set[str] = set()
    pending = set(modules)
    while pending:
        name = pending.pop()
        if name not in paths:
            raise unknown("module", name, paths)
        needed.add(name)
        text = paths[name].read_text()
        used = re.findall(r"^\s*(br_\w+)\s+(?:#\(|\w+\s*\()", text, re.MULTILINE) + re.findall(r"(br_\w+)::", text)
        pending |= {other for other in used if other in paths} - needed
    return [path for name, path in paths.items() if name in needed]
