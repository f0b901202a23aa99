"""What lies outside the program: tools and packages that each command needs, their environment, their error messages.

Only the standard library is used, in a form that Python 3.9 reads: `make` runs this module before the environment is
made, and an old Python is told that it is too old.
"""

from __future__ import annotations

import ctypes.util
import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bireal_hw.errors import BirealError

OLDEST, NEWEST = (3, 11), (3, 13)
"""Versions of Python for which all pinned packages are published."""


@dataclass(frozen=True)
class Tool:
    """Something of the operating system.

    Attributes:
        package: of Debian and Ubuntu, which brings it.
        place: returns where it is, or None; fast.
        describe: returns the version of what is at this place.
    """

    package: str
    place: Callable[[], str | None]
    describe: Callable[[str], str] = lambda place: place


def _program(package: str, name: str) -> Tool:
    return Tool(package, lambda: shutil.which(name, path=environment()["PATH"]), _version)


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d[\w.]*", done.stdout)
    return f"{found[0] if found else 'of unknown version'} ({program})"


def _header(package: str, name: str) -> Tool:
    def place() -> str | None:
        if not (compiler := shutil.which("g++")):
            return None
        command = [compiler, "-x", "c++", "-E", "-"]
        done = subprocess.run(command, input=f"#include <{name}>\n", capture_output=True, text=True, check=False)
        found = re.search(rf'"([^"]*/{re.escape(name)})"', done.stdout)
        return found[1] if done.returncode == 0 and found else None

    return Tool(package, place)


@functools.cache
def libpython() -> str | None:
    """Return the shared library of this Python, which the simulator loads; None if there is none."""
    if importlib.util.find_spec("find_libpython"):  # what cocotb asks
        from find_libpython import find_libpython

        found: str | None = find_libpython()
        return found
    name = sysconfig.get_config_var("INSTSONAME") or ""
    folders = [sysconfig.get_config_var("LIBDIR") or "", f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}"]
    places = [str(file) for file in (Path(folder, name) for folder in folders if ".so" in name) if file.exists()]
    return places[0] if places else ctypes.util.find_library(f"python{sys.version_info[0]}.{sys.version_info[1]}")


def _tclsh() -> Tool:
    program = _program("tcl", "tclsh")
    return Tool("tcl", program.place, lambda place: place)  # which knows no --version


TOOLS = {
    "g++": _program("g++", "g++"),
    "make": _program("make", "make"),
    "perl": _program("perl", "perl"),
    "libpython": Tool("libpython3-dev", libpython),
    "ensurepip": Tool("python3-venv", lambda: getattr(importlib.util.find_spec("ensurepip"), "origin", None)),
    "zlib.h": _header("zlib1g-dev", "zlib.h"),
    "lz4.h": _header("liblz4-dev", "lz4.h"),
    "tclsh": _tclsh(),
}
"""By the name under which a user knows it."""

GROUPS: dict[str, tuple[str, ...]] = {
    "setup": ("ensurepip",),
    "train": (),
    "sim": ("g++", "make", "perl", "libpython"),
    "waves": ("g++", "zlib.h", "lz4.h"),
    "hls": ("g++",),
    "synth": (),
    "bitstream": (),
    "dev": ("tclsh",),
}
"""What of `TOOLS` each kind of work needs. A kind that is an extra of the package needs the extra's packages too."""

NEEDS: dict[str, tuple[str, ...]] = {
    "setup": ("setup",),
    "train": ("train",),
    "export": ("train",),
    "lower": (),
    "fold": (),
    "rtl": (),
    "sim": ("sim",),
    "hls": ("hls",),
    "synth": ("synth",),
    "bitstream": ("synth", "bitstream"),
    "board": ("sim",),
    "predict": (),
    "report": (),
    "demo": ("train", "sim"),
    "all": ("train", "sim", "hls", "synth"),
    "bench": ("train", "sim", "hls", "synth", "bitstream"),
    "ablation": ("train",),
    "recipes": ("train",),
    "study": ("train",),
    "depth": ("train",),
    "crosscheck": ("train", "hls"),
    "zoo": (),
    "info": (),
    "check": (),
    "doctor": (),
    "test": ("train", "sim", "hls", "synth", "bitstream", "dev"),
    "test-all": ("train", "sim", "hls", "synth", "bitstream", "dev"),
    "lint": ("dev",),
}
"""Kinds of work in each command; the network itself may need `train`, where it has not been trained yet."""

OPTIONAL = ("waves",)
"""Kinds of work that have another way: without these headers waveforms are VCD files."""


def require(command: str, packages: bool = True) -> None:
    """Check that all is there that a command needs, before it does any work.

    Args:
        command: a key of `NEEDS`.
        packages: whether Python packages are looked for too.

    Raises:
        BirealError: something is missing; the line says what, and how to install it.
    """
    missing = [name for name in _tools(command) if TOOLS[name].place() is None]
    wanted = {name for group in NEEDS[command] for name in pinned(group)} if packages else set()
    absent = [name for name in sorted(wanted) if installed(name) is None]
    if not missing and not absent:
        return
    if missing:
        packages_of_system = " ".join(sorted({TOOLS[name].package for name in missing}))
        raise BirealError(f"{command} needs {', '.join(missing)}: apt install {packages_of_system}")
    raise lacks(command, *absent)


def lacks(command: str, *packages: str, work: tuple[str, ...] = ()) -> BirealError:
    """Say which Python packages a command lacks for some kinds of work (its own if not given), and what brings them."""
    named = f"the Python package{'s'[: len(packages) > 1]} {', '.join(packages)}"
    extras = ",".join(work or NEEDS[command])
    return BirealError(f"{command} needs {named}: make setup, or pip install 'bireal-hw[{extras}]'")


def _tools(command: str) -> list[str]:
    return list(dict.fromkeys(tool for group in NEEDS[command] for tool in GROUPS[group]))


def pinned(extra: str = "") -> dict[str, str]:
    """Return the packages of an extra of ours, or with none those that every command needs: name -> pinned version."""
    found = {}
    for line in _requirements():
        match = re.match(r"([\w.-]+)==([\w.]+)(?:; extra == [\"'](\w+)[\"'])?$", line)
        if match and (match[3] or "") == extra:
            found[match[1]] = match[2]
    return found


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("bireal-hw") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def installed(package: str) -> str | None:
    """Return the version of a Python package that is installed, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


# ---- the environment of what we start ----

STRANGE = re.compile(
    r"(COCOTB_|GPI_|PYGPI_|PYTEST_|VERILATOR_)|(MPLBACKEND|MAKELEVEL|MFLAGS|MAKEFLAGS|TOPLEVEL|MODULE|WAVES|GUI)$"
)
"""Variables that other programs leave and that change what cocotb, make, matplotlib or Python do."""
THREADS = "OMP_NUM_THREADS"
MOST_THREADS = 1024


def environment(**more: str) -> dict[str, str]:
    """Return the variables for this process and those it starts.

    The environment's programs come first on the PATH (Verilator's makefile calls `python`), and what other programs
    left is taken out.
    """
    kept = {name: value for name, value in os.environ.items() if not STRANGE.match(name)}
    threads = kept.get(THREADS, "1")
    if not (
        re.fullmatch(r"\d{1,4}(,\d{1,4})*", threads) and all(0 < int(n) <= MOST_THREADS for n in threads.split(","))
    ):
        del kept[THREADS]
    if not os.access(kept.get("HOME") or "~", os.W_OK):  # matplotlib, datasets and YoWASP keep files there
        place = str(Path(tempfile.gettempdir(), f"bireal-hw-{os.getuid()}"))
        kept = {"XDG_CACHE_HOME": place, "XDG_CONFIG_HOME": place, **kept}
    folder = str(Path(sys.executable).parent)
    path = [part for part in kept.get("PATH", os.defpath).split(os.pathsep) if part and part != folder]
    return {**kept, "PATH": os.pathsep.join([folder, *path]), **more}


def settle() -> None:
    """Give this process the environment of `environment`, once, before anything reads it."""
    _replace(environment())


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set the process's environment for a while."""
    saved = dict(os.environ)
    _replace(values)
    try:
        yield
    finally:
        _replace(saved)


def _replace(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


# ---- what tools say ----

_ERROR = re.compile(
    r"%Error|\berror:|\bERROR\b|\bCRITICAL\b|^(\w+\.)*\w*(Error|Exception|Interrupt)\b|not found$|No such file"
    r"|No space left|cannot find -l|undefined reference|Killed|Cannot allocate|Permission denied|Segmentation fault"
    r"|Unable to find|\*\*\*",
    re.IGNORECASE,
)
_FOLLOWS = re.compile(
    r"make(\[\d+\])?: \*\*\*|collect2: error|%Error: (Exiting due to|Command failed)|ninja: build stopped"
)
"""Says only that something before it went wrong."""
_NO_ERROR = re.compile(r"\bwarning\b|\b(0|no) errors?\b|^\s*(\S*/)?(g\+\+|c\+\+|gcc|cc|make) ", re.IGNORECASE)
_NO_WORDS = re.compile(r"make(\[\d+\])?: (Entering|Leaving) directory|\s*[\^~|\s-]*$")
LONGEST = 400


def first_error(log: str | Path) -> str:
    r"""Return the line of a tool's log that tells what went wrong first.

    Args:
        log: its text, or its file.

    >>> first_error("make: Entering directory 'obj'\n/bin/sh: 1: python: not found\nmake: *** [x.mk:9: x] Error 127")
    '/bin/sh: 1: python: not found'
    """
    if isinstance(log, Path):
        log = log.read_text(errors="replace") if log.exists() else ""
    lines = [line for line in log.splitlines() if not _NO_WORDS.match(line)]
    errors = [line for line in lines if _ERROR.search(line) and not _NO_ERROR.search(line)]
    causes = [line for line in errors if not _FOLLOWS.search(line)]
    line = " ".join((causes or errors or lines[-1:] or ["it said nothing"])[0].split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
