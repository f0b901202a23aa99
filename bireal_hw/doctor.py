"""`make doctor`: what of the tools and packages is here, in which version, who needs it, and what to install.

Also what `make` asks before and after it sets up the environment. The standard library is enough, as in `tools`.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from bireal_hw.errors import BirealError, nearest
from bireal_hw.tools import GROUPS, NEEDS, NEWEST, OLDEST, OPTIONAL, TOOLS, installed, pinned, require

SIZES = {"setup": (3.2, 6.4), "setup-hardware": (0.3, 1.1)}
"""Gigabytes that a set-up downloads and takes on the disk, at most."""
CPU_SIZES = (0.7, 2.6)
"""The same of `setup` with a torch for CPUs only."""
LEFT = 0.1
"""Gigabytes free after a failed set-up below which the disk counts as full."""
OTHERS = ("setup", "doctor", "test", "test-all", "lint")
"""Keys of `NEEDS` that are no work on a network."""

MISSING = "missing"


def main(words: list[str]) -> int:
    """Run `doctor`, `doctor before SETUP [GOAL]...`, `doctor after SETUP` or `doctor target GOAL TARGET...`.

    Returns the exit status.
    """
    try:
        if not words:
            return doctor()
        if words[0] == "before":
            before(*words[1:])
        elif words[0] == "after":
            after(words[1])
        else:
            target(*words[1:])
    except BirealError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def doctor() -> int:
    """Print the list; returns 1 if something is missing that a command needs, else 0."""
    python = ".".join(map(str, sys.version_info[:3]))
    fine = OLDEST <= sys.version_info[:2] <= NEWEST
    rows = [("Python", f"{python} ({sys.executable})", "all", "" if fine else _range())]
    rows += [_tool(name) for name in TOOLS]
    program = shutil.which("git")
    rows.append(("git", program or "not here", "to get and to change the source only", ""))
    rows += _packages()
    rows += [(f"{name} free", f"{free:.1f} GB", "", "") for name, free in _free().items()]
    rows.append(("processors", f"{os.cpu_count()}, {platform.machine()}", "", ""))
    one, two, three = (max(len(row[column]) for row in rows) for column in range(3))
    for row in rows:
        sys.stdout.write(f"{row[0]:{one}}  {row[1]:{two}}  {row[2]:{three}}  {row[3]}".rstrip() + "\n")
    bad = [row[0] for row in rows if row[3] and not row[3].startswith("optional")]
    if not pinned():
        bad.append("the environment")
        sys.stdout.write("the environment is not made yet: make setup, or make setup-hardware for all but training\n")
    elif installed("torch") is None:
        sys.stdout.write(f"make setup brings the packages that these need besides: {_users('train')}\n")
    sys.stdout.write(f"{len(bad)} to mend: {', '.join(bad)}\n" if bad else "all that the commands need is here\n")
    return 1 if bad else 0


def _range() -> str:
    low, high = (".".join(map(str, version)) for version in (OLDEST, NEWEST))
    return f"Python {low} to {high} is needed: name one with make PYTHON=/path/to/python3"


def _users(group: str) -> str:
    names = [name for name, groups in NEEDS.items() if group in groups]
    return " ".join(name for name in names if name not in OTHERS) or " ".join(names) or "sim waves=1"


def _tool(name: str) -> tuple[str, str, str, str]:
    tool, groups = TOOLS[name], [group for group in GROUPS if name in GROUPS[group]]
    users = " ".join(dict.fromkeys(" ".join(map(_users, groups)).split()))
    place = tool.place()
    if place is not None:
        return name, tool.describe(place), users, ""
    optional = "optional: " if set(groups) <= {*OPTIONAL} else ""
    return name, MISSING, users, f"{optional}apt install {tool.package}"


def _packages() -> list[tuple[str, str, str, str]]:
    small = installed("torch") is None  # as `make setup-hardware` leaves it: the rest is a matter of choice
    rows: dict[str, tuple[str, str, str, str]] = {}
    for group in ("", *GROUPS):
        for name, wanted in sorted(pinned(group).items()):
            found = installed(name)
            todo = "make setup"
            if found is None and small and group in ("train", "dev"):
                todo = "optional: make setup"
            elif found is not None:
                todo = "" if found.split("+")[0] == wanted else f"optional: make setup brings {wanted}"
            rows.setdefault(name, (name, found or MISSING, _users(group) if group else "all", todo))
    return list(rows.values())


def _free() -> dict[str, float]:
    """Gigabytes free where the environment goes and where pip unpacks."""
    return {str(folder): shutil.disk_usage(folder).free / 1e9 for folder in (Path.cwd(), tempfile.gettempdir())}


def before(setup: str, *goals: str) -> None:
    """Check what a set-up needs, and what the goals behind it will need of the system; print what it takes.

    Args:
        setup: a key of `SIZES`.
        goals: what make was asked for.

    Raises:
        BirealError: something is missing, the Python does not fit, or the disk is too full.
    """
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        version = ".".join(map(str, sys.version_info[:2]))
        raise BirealError(f"{sys.executable} is Python {version}: {_range()}")
    for goal in ("setup", *goals):
        if goal in NEEDS:
            require(goal, packages=False)
    download, disk = SIZES[setup]
    least = CPU_SIZES if setup == "setup" else SIZES[setup]
    for folder, free in _free().items():
        if free < least[1]:
            raise BirealError(f"{folder} has {free:.1f} GB free, {setup} needs {least[1]} GB and more: make room first")
    said = f"{setup}: up to {download} GB to download, {disk} GB on the disk"
    if setup == "setup":
        said += f" (with torch for CPUs only {least[0]} and {least[1]}: make setup TORCH_INDEX=..., see README)"
    sys.stdout.write(f"{said}\n")


def target(goal: str, *targets: str) -> None:
    """Say in one line what is wrong with a goal of make that is none of its targets.

    Raises:
        BirealError: always.
    """
    if goal.endswith(".onnx"):
        raise BirealError(f"make takes no file: .venv/bin/bireal-hw sim {goal}")
    near = nearest(goal, targets)
    hint = f"did you mean '{near}'? " if near else ""
    raise BirealError(f"there is no target '{goal}': {hint}make help lists all")


def after(setup: str) -> None:
    """Say in one line what to do after a set-up failed; what pip said stands above.

    Raises:
        BirealError: always.
    """
    full = {folder: free for folder, free in _free().items() if free < LEFT}
    again = f"then make {setup} goes on from here"
    for folder, free in full.items():
        raise BirealError(
            f"{setup} stopped, the disk is full: {folder} has {free * 1000:.0f} MB free; make room, {again}"
        )
    raise BirealError(
        f"{setup} stopped: pip's first line with ERROR, above, says why; "
        f"behind a proxy set https_proxy, for an index of your own PIP_INDEX_URL; {again}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
