"""Tools and packages: what is missing is said before the work, and the first error of every log is what is shown."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bireal_hw import cli, doctor, tools
from bireal_hw.commands.verbs import VERBS
from bireal_hw.errors import BirealError

ROOT = Path(__file__).parent.parent

LOGS = {
    "verilator": (
        "%Warning-WIDTHTRUNC: sources/br_sum.sv:12:9: Operator ASSIGNW expects 8 bits\n"
        "                   : ... note: In instance 'br_bench.dut'\n"
        "%Error: sources/br_sum.sv:20:1: syntax error, unexpected endmodule\n"
        "   20 | endmodule\n      | ^~~~~~~~~\n"
        "%Error: sources/br_sum.sv:31:1: syntax error\n"
        "%Error: Exiting due to 2 error(s)\n",
        "%Error: sources/br_sum.sv:20:1: syntax error, unexpected endmodule",
    ),
    "make without python": (
        "make: Entering directory '/home/me/build/sim/br_top-1/obj'\n"
        "g++ -Os -I. -MMD -Wall -Werror=error -c -o verilator.o share/lib/verilator/verilator.cpp\n"
        "python root/bin/verilator_includer -DVL_INCLUDE_OPT=include Vtop.cpp > Vtop__ALL.cpp\n"
        "/bin/sh: 1: python: not found\n"
        "make: *** [Vtop.mk:88: Vtop__ALL.cpp] Error 127\n"
        "make: *** Waiting for unfinished jobs....\n"
        "make: Leaving directory '/home/me/build/sim/br_top-1/obj'\n",
        "/bin/sh: 1: python: not found",
    ),
    "make without a compiler": (
        "make: Entering directory '/b/obj'\nmake: g++: No such file or directory\n"
        "make: *** [root/include/verilated.mk:260: verilated.o] Error 127\nmake: Leaving directory '/b/obj'\n",
        "make: g++: No such file or directory",
    ),
    "make in a strange folder": (
        "make: Entering directory '/b c/obj'\n"
        "root/verilated.mk:73: *** Unsupported: GNU Make cannot build in directories containing spaces.  Stop.\n"
        "make: Leaving directory '/b c/obj'\n",
        "root/verilated.mk:73: *** Unsupported: GNU Make cannot build in directories containing spaces. Stop.",
    ),
    "only make speaks": (
        "make: Entering directory 'obj'\nmake: *** [x.mk:3: x.o] Error 1\nmake: Leaving directory 'obj'\n",
        "make: *** [x.mk:3: x.o] Error 1",
    ),
    "g++": (
        "In file included from kernel.cpp:3:\n"
        "bireal/merge.hpp: In function 'void merge()':\n"
        "bireal/merge.hpp:40:7: warning: unused variable 'error' [-Wunused-variable]\n"
        "bireal/merge.hpp:44:5: error: 'gain' was not declared in this scope\n"
        "   44 |     gain = 1;\n      |     ^~~~\n"
        "bireal/merge.hpp:50:5: error: expected ';'\n",
        "bireal/merge.hpp:44:5: error: 'gain' was not declared in this scope",
    ),
    "g++ without a header": (
        "root/verilated_fst_c.cpp:30:10: fatal error: lz4.h: No such file or directory\ncompilation terminated.\n",
        "root/verilated_fst_c.cpp:30:10: fatal error: lz4.h: No such file or directory",
    ),
    "the linker": (
        "/usr/bin/ld: cannot find -lz: No such file or directory\ncollect2: error: ld returned 1 exit status\n",
        "/usr/bin/ld: cannot find -lz: No such file or directory",
    ),
    "out of memory": (
        "make: Entering directory 'obj'\n"
        "g++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n"
        "make: *** [x.mk:7: x.o] Error 1\nmake: Leaving directory 'obj'\n",
        "g++: fatal error: Killed signal terminated program cc1plus",
    ),
    "a full disk": (
        "make: Entering directory 'obj'\n"
        "/tmp/ccX.s: Assembler messages:\n/tmp/ccX.s: Fatal error: can't write 12 bytes to section .text of x.o: "
        "'No space left on device'\nmake: *** [x.mk:7: x.o] Error 1\n",
        "/tmp/ccX.s: Fatal error: can't write 12 bytes to section .text of x.o: 'No space left on device'",
    ),
    "cocotb": (
        "     -.--ns INFO     gpi                                ..mbed/gpi_embed.cpp:93   Using Python 3.11\n"
        "     0.00ns INFO     cocotb                             Running on Verilator version 5.048\n"
        "Traceback (most recent call last):\n"
        '  File "/x/bench.py", line 9, in play\n    raise_error(plan)\n'
        "KeyError: 'runs'\n"
        "     0.00ns INFO     cocotb.regression                  0 errors\n",
        "KeyError: 'runs'",
    ),
    "a chain of exceptions": (
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    open(p)\n'
        "FileNotFoundError: [Errno 2] No such file or directory: 'model.onnx'\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "b.py", line 2, in g\n    f()\n'
        "finn.util.exception.FINNUserError: the step failed\n",
        "FileNotFoundError: [Errno 2] No such file or directory: 'model.onnx'",
    ),
    "yosys": (
        "1.2. Executing SLANG frontend.\nFound and reported 0 errors.\n"
        "Warning: Resizing cell port top.u.q from 3 bits to 2 bits.\n"
        "ERROR: Module `\\br_none' referenced in module `\\top' in cell `\\u' is not part of the design.\n",
        "ERROR: Module `\\br_none' referenced in module `\\top' in cell `\\u' is not part of the design.",
    ),
    "nextpnr": (
        "Info: Placed 3 cells based on constraints.\nWarning: no clock\n"
        "ERROR: Unable to place cell 'u', no BELs remaining to implement cell type 'DP16KD'\n"
        "0 warnings, 1 error\n",
        "ERROR: Unable to place cell 'u', no BELs remaining to implement cell type 'DP16KD'",
    ),
    "vitis": (
        "INFO: [HLS 200-10] Running 'vitis_hls'\nWARNING: [HLS 200-40] no errors so far\n"
        "ERROR: [HLS 200-70] Compilation errors found: no licence\n    while executing\n",
        "ERROR: [HLS 200-70] Compilation errors found: no licence",
    ),
    "no error at all": ("one\ntwo\n\n", "two"),
    "nothing": ("", "it said nothing"),
}


@pytest.mark.parametrize("kind", LOGS)
@pytest.mark.parametrize("as_file", [False, True])
def test_the_first_error_of_a_log(kind: str, as_file: bool, tmp_path: Path) -> None:
    log, line = LOGS[kind]
    (tmp_path / "log").write_text(log)
    assert tools.first_error(tmp_path / "log" if as_file else log) == line


def test_the_first_error_is_one_short_line_whatever_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"error: \xff" + b"x" * 100_000)
    line = tools.first_error(tmp_path / "log")
    assert len(line) == tools.LONGEST
    assert tools.first_error(tmp_path / "none") == "it said nothing"


# ---- what a command needs ----


def test_every_command_says_what_it_needs() -> None:
    assert set(VERBS) <= set(tools.NEEDS)
    assert {group for groups in tools.NEEDS.values() for group in groups} | set(tools.OPTIONAL) == set(tools.GROUPS)
    assert {tool for group in tools.GROUPS.values() for tool in group} == set(tools.TOOLS)


def lacking(command: str) -> str:
    """Return what is said before a command begins, or nothing."""
    try:
        tools.require(command)
    except BirealError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("command", VERBS)
def test_each_tool_that_is_missing_stops_the_commands_that_need_it(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {tool for group in tools.NEEDS[command] for tool in tools.GROUPS[group]}
    for name, tool in tools.TOOLS.items():
        with monkeypatch.context() as patch:
            patch.setitem(tools.TOOLS, name, tools.Tool(tool.package, lambda: None))
            said = f"{command} needs {name}: apt install {tool.package}" if name in needed else ""
            assert lacking(command) == said


@pytest.mark.parametrize("command", VERBS)
def test_each_package_that_is_missing_stops_the_commands_that_need_it(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {package for group in tools.NEEDS[command] for package in tools.pinned(group)}
    todo = f"make setup, or pip install 'bireal-hw[{','.join(tools.NEEDS[command])}]'"
    for package in {package for group in tools.GROUPS for package in tools.pinned(group)}:
        monkeypatch.setattr(tools, "installed", lambda name, absent=package: None if name == absent else "1")
        said = f"{command} needs the Python package {package}: {todo}" if package in needed else ""
        assert lacking(command) == said


def test_what_is_missing_is_said_before_the_work(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(workdir))
    for command, names in (
        ("demo", "g++, make, perl"),
        ("sim", "g++, make, perl"),
        ("all", "g++, make, perl"),
        ("hls", "g++"),
    ):
        assert cli.run([command]) == 1
        todo = names.replace(",", "")
        assert capsys.readouterr().err == f"error: {command} needs {names}: apt install {todo}\n"
    assert not list(workdir.iterdir())


def test_the_packages_of_debian_stand_in_the_readme() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    named = {word for line in re.findall(r"apt install ([a-z0-9+. -]+)", text) for word in line.split()}
    assert {tool.package for tool in tools.TOOLS.values()} <= named


def test_the_makefile_and_the_program_agree_who_needs_torch() -> None:
    makefile = (ROOT / "Makefile").read_text()
    found = re.findall(r"^(training|hardware) := (.*)$", makefile, re.MULTILINE)
    lists = {name: set(words.split()) for name, words in found}
    needs_training = {verb for verb in VERBS if "train" in tools.NEEDS[verb]}
    assert lists["training"] == needs_training
    assert lists["hardware"] == set(VERBS) - needs_training - {"doctor"}
    oldest, newest = (".".join(map(str, version)) for version in (tools.OLDEST, tools.NEWEST))
    assert f"({tools.OLDEST[0]}, {tools.OLDEST[1]}) <= sys.version_info[:2] <= {tools.NEWEST}" in makefile
    after = f"{tools.NEWEST[0]}.{tools.NEWEST[1] + 1}"
    assert f'requires-python = ">={oldest},<{after}"' in (ROOT / "pyproject.toml").read_text()
    assert newest in (ROOT / "README.md").read_text()


# ---- the environment ----


def test_the_environment_comes_first_on_the_path_and_what_others_left_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COCOTB_TOPLEVEL", "GPI_USERS", "MPLBACKEND", "MAKEFLAGS", "VERILATOR_ROOT", "WAVES"):
        monkeypatch.setenv(name, "strange")
    monkeypatch.setenv("MODULES_OF_MINE", "kept")
    for path in ("/one::/two", "", f"/one:{Path(sys.executable).parent}:/two"):
        monkeypatch.setenv("PATH", path)
        found = tools.environment(more="1")
        assert found["PATH"].split(":")[0] == str(Path(sys.executable).parent)
        assert found["PATH"].split(":").count(str(Path(sys.executable).parent)) == 1
        assert "" not in found["PATH"].split(":")
    assert not [name for name in found if found[name] == "strange"]
    assert (found["MODULES_OF_MINE"], found["more"]) == ("kept", "1")


@pytest.mark.parametrize(
    ("threads", "kept"), [("2", True), ("2,1", True), ("0", False), ("-1", False), ("99999", False), ("many", False)]
)
def test_a_number_of_threads_that_is_none_is_taken_out(
    threads: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert ("OMP_NUM_THREADS" in tools.environment()) is kept


def test_the_program_starts_under_a_backend_of_a_notebook(workdir: Path) -> None:
    around = os.environ | {"MPLBACKEND": "module://not.there", "PYTHONPATH": str(ROOT)}
    code = "import bireal_hw.__main__, matplotlib.pyplot as plot; plot.figure()"
    done = subprocess.run([sys.executable, "-c", code], env=around, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_home_that_cannot_be_written_is_no_place_to_keep_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert "XDG_CACHE_HOME" not in tools.environment()
    monkeypatch.setenv("HOME", "/proc/none")
    found = tools.environment()
    assert found["XDG_CACHE_HOME"] == found["XDG_CONFIG_HOME"] != ""
    done = subprocess.run(
        [sys.executable, "-c", "import bireal_hw.__main__, matplotlib.pyplot"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


# ---- doctor ----


def test_doctor_lists_every_tool_and_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([]) in (0, 1)  # this machine may lack something
    printed = capsys.readouterr().out
    packages = [package for group in ("", *tools.GROUPS) for package in tools.pinned(group)]
    assert len(packages) > 20
    for name in ("Python", *tools.TOOLS, *packages):
        assert len(re.findall(rf"^{re.escape(name)} ", printed, re.MULTILINE)) == 1, name
    versions = [line.split()[:2] for line in printed.splitlines()]
    assert ["torch", importlib.metadata.version("torch")] in versions


def test_doctor_after_the_small_set_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, tool in tools.TOOLS.items():
        monkeypatch.setitem(tools.TOOLS, name, tools.Tool(tool.package, lambda: "here"))
    small = {package for group in ("", "sim", "hls", "synth", "bitstream") for package in tools.pinned(group)}
    pins = {name: pin for group in ("", *tools.GROUPS) for name, pin in tools.pinned(group).items()}
    for lost, status in ((None, 0), ("cocotb", 1)):
        monkeypatch.setattr(doctor, "installed", lambda name, lost=lost: pins[name] if name in small - {lost} else None)
        assert doctor.main([]) == status
        printed = capsys.readouterr().out
        (torch,) = (line for line in printed.splitlines() if line.startswith("torch "))
        assert torch.endswith("optional: make setup")
        besides = "train export demo all bench ablation recipes study depth crosscheck"
        assert f"make setup brings the packages that these need besides: {besides}\n" in printed
        assert ("1 to mend: cocotb" in printed) is bool(lost)


@pytest.mark.parametrize("name", tools.TOOLS)
def test_doctor_fails_for_a_missing_tool(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for other, tool in tools.TOOLS.items():
        monkeypatch.setitem(tools.TOOLS, other, tools.Tool(tool.package, lambda: "here"))
    assert doctor.main([]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "all that the commands need is here"
    assert "besides" not in printed
    monkeypatch.setitem(tools.TOOLS, name, tools.Tool(tools.TOOLS[name].package, lambda: None))
    optional = name in ("zlib.h", "lz4.h")
    assert doctor.main([]) == int(not optional)
    printed = capsys.readouterr().out
    (row,) = (line for line in printed.splitlines() if line.startswith(f"{name} "))
    assert row.endswith(f"apt install {tools.TOOLS[name].package}")
    assert "missing" in row
    assert (f"1 to mend: {name}" in printed) is not optional


def test_before_a_set_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["before", "setup", "demo", "nothing-of-ours"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("setup: up to 3.2 GB to download, 6.4 GB on the disk")
    assert printed.count("\n") == 1
    with monkeypatch.context() as patch:
        patch.setitem(tools.TOOLS, "libpython", tools.Tool("libpython3-dev", lambda: None))
        for goal, status in (("train", 0), ("setup", 0), ("demo", 1), ("test", 1), ("sim", 1)):
            assert doctor.main(["before", "setup", goal]) == status
            error = f"error: {goal} needs libpython: apt install libpython3-dev\n" if status else ""
            assert capsys.readouterr().err == error
    for version, said in (((3, 10, 4), "3.10"), ((3, 14, 0), "3.14")):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "version_info", version)
            assert doctor.main(["before", "setup-hardware"]) == 1
            assert capsys.readouterr().err == (
                f"error: {sys.executable} is Python {said}: Python 3.11 to 3.13 is needed: "
                "name one with make PYTHON=/path/to/python3\n"
            )


def test_a_full_disk_is_said_before_and_after(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_free", lambda: {"/home/me": 0.05})
    assert doctor.main(["before", "setup"]) == 1
    least = doctor.CPU_SIZES[1]
    assert capsys.readouterr().err == (
        f"error: /home/me has 0.1 GB free, setup needs {least} GB and more: make room first\n"
    )
    assert doctor.main(["after", "setup"]) == 1
    assert capsys.readouterr().err == (
        "error: setup stopped, the disk is full: /home/me has 50 MB free; "
        "make room, then make setup goes on from here\n"
    )
    monkeypatch.setattr(doctor, "_free", lambda: {"/home/me": 5.0})
    assert doctor.main(["after", "setup-hardware"]) == 1
    assert "https_proxy" in capsys.readouterr().err


def test_doctor_runs_before_the_environment_is_made(workdir: Path) -> None:
    """Isolated from site-packages, as the system's Python is before the set-up."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from bireal_hw import doctor; sys.exit(doctor.main([]))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "the environment is not made yet: make setup" in done.stdout


def test_words_of_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    for word, error in (("x=1", "doctor takes no variable, not x=1"), ("x", "doctor takes no words, not 'x'")):
        assert cli.run(["doctor", word]) == 2
        assert capsys.readouterr().err == f"error: {error}\n"


def test_an_unknown_goal_needs_nothing() -> None:
    with pytest.raises(KeyError):
        tools.require("nothing-of-ours")
    with pytest.raises(BirealError, match="bireal-hw"):
        raise tools.lacks("sim", "torch", work=("train",))
