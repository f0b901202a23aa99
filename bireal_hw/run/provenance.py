"""What a result depends on in the program itself: the modules that its maker imports, their data, the assets they read.

Nothing is listed by hand: the imports are read from the source, those inside functions too, and so are the names given
to `asset`. Modules of runs, steps and commands other than the maker's own arrange the work and do not shape it: they do
not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from bireal_hw.assets import asset
from bireal_hw.files import content_hash

PACKAGE = Path(__file__).parents[1]
NAME = PACKAGE.name
ARRANGING = tuple(f"{NAME}.{part}" for part in ("run", "steps", "commands"))
"""Packages that arrange what others do."""


@cache
def parts(*makers: str) -> dict[str, str]:
    """Return hashes of the program as far as it shapes what these modules make, e.g. `bireal_hw.steps.sim`.

    By subpackage (`ops`), module of the package (`toml.py`) or asset (`rtl`).
    """
    found: dict[str, Any] = {}
    for path in sorted(files(makers)):
        inside = path.is_relative_to(PACKAGE)
        part = path.relative_to(PACKAGE).parts[0] if inside else str(path.relative_to(PACKAGE.parent))
        found.setdefault(part, hashlib.sha256()).update(f"{path.name}\n{content_hash(path)}\n".encode())
    return {part: one.hexdigest() for part, one in found.items()}


def files(makers: Iterable[str]) -> set[Path]:
    """Return the files and folders that these modules are made of and read."""
    modules, data, pending = set[Path](), set[Path](), [name for maker in makers for name in (maker, *_packages(maker))]
    while pending:
        path = _module(pending.pop())
        if path is None or path in modules:
            continue
        modules.add(path)
        names, assets = _reads(path)
        data |= {asset(name) for name in assets}
        if path.name == "__init__.py" and path.parent != PACKAGE:
            data |= {file for file in path.parent.iterdir() if _is_data(file)}
        for name in names:
            if not _arranges(name):
                pending += [name, *_packages(name)]
    return modules | data


def _packages(name: str) -> list[str]:
    """The packages that a module lies in, which are run when it is imported."""
    parts = name.split(".")
    return [package for end in range(1, len(parts)) if not _arranges(package := ".".join(parts[:end]))]


def _arranges(name: str) -> bool:
    """Whether a module shapes nothing itself: the package's own face, or one that arranges what others do."""
    return name == NAME or f"{name}.".startswith(tuple(f"{part}." for part in ARRANGING))


def _is_data(path: Path) -> bool:
    """Whether a neighbour of an __init__.py is data of the package: a file or a folder without Python code."""
    if path.is_dir():
        return path.name not in ("__pycache__", "_assets") and not any(path.rglob("*.py"))
    return path.suffix != ".py"


def _module(name: str) -> Path | None:
    """Return the file of a module of this package, or None for any other name."""
    first, *parts = name.split(".")
    if first != NAME:
        return None
    path = PACKAGE.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _reads(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a module imports, and those of the assets that it reads."""
    names, assets = set[str](), set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == "asset":
                assets.add(str(node.args[0].value))
            elif called == "import_module":
                names.add(str(node.args[0].value))
    return frozenset(names), frozenset(assets)
