"""g++ with the open `ap_int` headers: where they are, and one compilation that is done once."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bireal_hw import tools
from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.files import replacing

COMPILER = "g++"
STANDARD = "-std=c++14"
"""The oldest standard that the library is written for, and the one that Vitis HLS compiles with."""
MAX_WIDTH = "-DAP_INT_MAX_W=32768"
"""The widest ap_int that the open headers allow."""
WARNINGS = ("-Wall", "-Wextra", "-Werror")
QUICK = ("-O0",)
"""For programs that run a few frames: they are compiled faster and run slower."""
OPTIMISED = ("-O2", "-Wno-uninitialized", "-Wno-maybe-uninitialized")
"""For networks. An ap_int declared without a value reads itself in its constructor; once that is inlined, the optimiser
reports it as ours. Without optimisation the library compiles under all warnings."""
_PRELUDE = "#include <ap_int.h>\n#include <hls_stream.h>\n#include <fstream>\n#include <string>\n#include <vector>\n"


def headers() -> Path:
    """Return the folder of `ap_int.h` and `hls_stream.h` inside the installed hls4ml package.

    Raises:
        BirealError: the package is missing or has no such folder.
    """
    spec = importlib.util.find_spec("hls4ml")
    if spec is None or spec.origin is None:
        raise tools.lacks("hls", "hls4ml")
    folder = Path(spec.origin).parent / "templates" / "vivado" / "ap_types"
    if not (folder / "ap_int.h").is_file():
        raise BirealError(f"hls4ml is installed without {folder / 'ap_int.h'}: install the version in constraints.txt")
    return folder


def build(
    name: str, source: Path | str, builds: Path, flags: Sequence[str] = OPTIMISED, include: Path | None = None
) -> Path:
    """Compile a program, unless the same text, headers and flags were compiled before; return the executable.

    Args:
        name: begins the name of the executable.
        source: folder of a generated project, or the text of one C++ file that uses the library.
        builds: folder that keeps builds.
        flags: of the compiler, beside the standard and the include paths.
        include: folder of `bireal/*.hpp`; the project's own, or the library's, if None.

    Raises:
        BirealError: there is no compiler, or the source does not compile; with the compiler's first error.
    """
    tools.require("hls")
    open_headers = headers()
    include = include or (source if isinstance(source, Path) else asset("hls/include"))
    files = sorted({*include.rglob("*.hpp"), *(source.rglob("*.[ch]pp") if isinstance(source, Path) else ())})
    digest = hashlib.sha256(repr((STANDARD, MAX_WIDTH, tuple(flags), str(open_headers), _version())).encode())
    for path in files:
        digest.update(path.read_bytes())
    digest.update(source.encode() if isinstance(source, str) else b"")
    target = builds / f"hls-{name}-{digest.hexdigest()[:16]}"
    if target.exists():
        return target
    builds.mkdir(parents=True, exist_ok=True)
    prelude = _prelude(open_headers, builds, flags)
    with tempfile.TemporaryDirectory(prefix=".hls-", dir=builds) as stage:
        if isinstance(source, str):
            sources = [Path(stage) / f"{name}.cpp"]
            sources[0].write_text(source)
        else:
            sources = sorted(source.glob("*.cpp"))
        command = [COMPILER, STANDARD, MAX_WIDTH, *WARNINGS, *flags, "-include", str(prelude)]
        command += ["-isystem", str(open_headers), "-I", str(include), *map(str, sources), "-o", f"{stage}/program"]
        _compile(command, name)
        Path(stage, "program").replace(target)
    return target


def build_object(source: Path, target: Path) -> Path:
    """Compile a C++ file, whose headers lie beside it, for another program; return the object.

    Raises:
        BirealError: there is no compiler, or the source does not compile; with the compiler's first error.
    """
    tools.require("hls")
    command = [COMPILER, STANDARD, MAX_WIDTH, *WARNINGS, *OPTIMISED, "-fPIC", "-isystem", str(headers())]
    _compile([*command, "-c", str(source), "-o", str(target)], source.stem)
    return target


def _version() -> str:
    return subprocess.run([COMPILER, "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()


def _prelude(open_headers: Path, builds: Path, flags: Sequence[str]) -> Path:
    """Compile the open headers once for these flags: half of a kernel's compile time goes into them."""
    key = repr((STANDARD, MAX_WIDTH, tuple(flags), str(open_headers), _version(), _PRELUDE))
    folder = builds / f"hls-headers-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    folder.mkdir(exist_ok=True)
    header, compiled = folder / "prelude.hpp", folder / "prelude.hpp.gch"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not compiled.exists():
            header.write_text(_PRELUDE)
            command = [
                COMPILER,
                STANDARD,
                MAX_WIDTH,
                *flags,
                "-isystem",
                str(open_headers),
                "-x",
                "c++-header",
                str(header),
            ]
            with replacing(compiled) as part:
                _compile([*command, "-o", str(part)], "the open headers")
    return header


def _compile(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BirealError(f"{what} does not compile: {tools.first_error(done.stderr)}")
