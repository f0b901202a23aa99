"""The Makefile: which set-up a command asks for, what a set-up that stops leaves, what `make clean` keeps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bireal_hw.commands.verbs import VERBS
from bireal_hw.tools import NEEDS

ROOT = Path(__file__).parent.parent
BEFORE = ("errors", "tools", "doctor", "__init__")
"""Modules that run before the environment is made."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy what a set-up reads, without .git, into a folder with a blank in its name."""
    folder = tmp_path / "my copy"
    (folder / "bireal_hw").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in BEFORE:
        shutil.copy(ROOT / "bireal_hw" / f"{name}.py", folder / "bireal_hw")
    return folder


def make(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make, with its variables and those of pip that this test's caller has left out."""
    around = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE"))}
    command = ["make", "--no-print-directory", *words, f"PYTHON={sys.executable}"]
    return subprocess.run(command, cwd=folder, env=around | variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("made", ["nothing", "the small one", "the full one"])
@pytest.mark.parametrize("verb", [*VERBS, "test", "lint"])
def test_which_set_up_a_command_asks_for(copy: Path, verb: str, made: str) -> None:
    (copy / ".venv").mkdir()
    stamps = {"nothing": (), "the small one": (".ready-hardware",), "the full one": (".ready", ".ready-hardware")}
    for name in stamps[made]:
        (copy / ".venv" / name).touch()
    planned = make(copy, "-n", verb).stdout
    small_is_enough = verb in VERBS and "train" not in NEEDS[verb]
    wanted = verb != "doctor" and (made == "nothing" or (made == "the small one" and not small_is_enough))
    assert ("'.[dev]'" in planned) is wanted
    assert "'.[hardware]'" not in planned


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        ("simm", "there is no target 'simm': did you mean 'sim'? make help lists all"),
        ("test_all", "there is no target 'test_all': did you mean 'test-all'? make help lists all"),
        ("xyz", "there is no target 'xyz': make help lists all"),
        ("my net.onnx", "make takes no file: .venv/bin/bireal-hw sim my net.onnx"),
    ],
)
def test_a_mistyped_target_names_the_nearest(copy: Path, goal: str, text: str) -> None:
    found = make(copy, goal)
    assert found.returncode == 2
    assert found.stderr.splitlines()[0] == f"error: {text}"
    assert list(copy.glob(".venv*")) == []


@pytest.mark.parametrize("left", ["a Python without pip", "a Python that is gone"])
def test_a_set_up_that_stops_says_why_and_counts_for_nothing(copy: Path, left: str) -> None:
    """The index refuses; the .venv is one whose making was interrupted, or whose Python was taken away since."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", copy / ".venv"], check=True)
    if left == "a Python that is gone":
        (copy / ".venv" / "bin" / "python").unlink()
        (copy / ".venv" / "bin" / "python").symlink_to("/none/python3")
    refusing = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"}
    done = make(copy, "setup-hardware", **refusing)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert any(line.strip().startswith("ERROR: ") for line in lines), done.stderr  # pip's
    (said,) = (line for line in lines if line.startswith("error: setup"))
    assert said.startswith("error: setup-hardware stopped: pip's first line with ERROR, above, says why; ")
    assert said.endswith("then make setup-hardware goes on from here")
    assert "Traceback" not in done.stdout + done.stderr
    assert not (copy / ".venv" / ".ready-hardware").exists()
    assert (copy / ".venv" / "bin" / "pip").exists()  # the next set-up starts from a sound .venv


def test_what_is_missing_is_said_before_the_download(copy: Path) -> None:
    tools = copy / "tools"
    tools.mkdir()
    for name in ("make", "sh", "test", "touch", "awk", "du"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    done = make(copy, "demo", PATH=str(tools))
    assert [line for line in done.stderr.splitlines() if "make:" not in line] == [
        "error: demo needs g++, perl: apt install g++ perl"
    ]
    assert not (copy / ".venv").exists()


def test_a_python_that_does_not_exist_is_named(copy: Path) -> None:
    done = subprocess.run(
        ["make", "setup", "PYTHON=/none/python3"], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[0] == "error: there is no /none/python3: apt install python3 python3-venv"


def test_clean_keeps_trained_networks_and_distclean_nothing(copy: Path) -> None:
    trained = ("checkpoint.ckpt", "partial.ckpt", "train.json", "metrics.csv", "curves.png", "steps.json")
    made = ("graph.json", "pynq-z2/rtl/br_top.sv", "pynq-z2/sim.json", ".lock")
    for run in ("one run", "study/x/seed0"):
        for name in (*trained, *made):
            path = copy / "build" / run / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    (copy / "build" / "sim").mkdir()
    (copy / "build" / "sim" / "br_bench").write_text("x")
    (copy / "build" / "sim" / "link").symlink_to("nowhere")
    (copy / ".venv").mkdir()
    (copy / ".mypy_cache").mkdir()
    done = make(copy, "clean")
    assert done.returncode == 0
    assert "kept: trained networks in build/" in done.stdout
    left = {str(path.relative_to(copy / "build")) for path in (copy / "build").rglob("*") if not path.is_dir()}
    assert left == {f"{run}/{name}" for run in ("one run", "study/x/seed0") for name in trained}
    assert not (copy / ".mypy_cache").exists()
    assert (copy / ".venv").exists()
    assert make(copy, "clean").returncode == 0
    assert make(copy, "distclean").returncode == 0
    assert not (copy / "build").exists()
    assert not (copy / ".venv").exists()
    assert make(copy, "clean").returncode == 0
