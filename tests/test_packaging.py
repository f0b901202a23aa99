"""The wheel, installed elsewhere and away from the checkout, turns a QONNX file into SystemVerilog; without torch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bireal_hw.boards import names
from bireal_hw.crosscheck.qonnx import write
from tests.networks import tiny

ROOT = Path(__file__).parent.parent

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it into a folder of its own; everything it needs comes from the environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.fixture
def run(installed: Path, workdir: Path) -> Run:
    """Run the installed program in an empty folder where importing torch fails."""
    (workdir / "absent").mkdir()
    for name in ("torch", "brevitas", "lightning"):
        (workdir / "absent" / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name}', name='{name}')")
    environment = os.environ | {"PYTHONPATH": f"{workdir / 'absent'}{os.pathsep}{installed}"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bireal_hw", *words]
        return subprocess.run(command, env=environment, cwd=workdir, capture_output=True, text=True, check=False)

    return run


def files(folder: Path) -> set[str]:
    """Return the names of a folder's files; byte-code does not count."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if "__pycache__" not in path.parts}


def test_the_wheel_carries_what_lies_beside_the_package(installed: Path) -> None:
    for folder in ("rtl", "hls", "sim", "flows"):
        here, there = files(ROOT / folder), files(installed / "bireal_hw" / "_assets" / folder)
        assert there == here
        assert here
    boards = {path.stem for path in (installed / "bireal_hw" / "boards").glob("*.toml")}
    assert boards == set(names())
    for folder in ("recipes", "studies", "zoo"):
        assert files(installed / "bireal_hw" / folder) == files(ROOT / "bireal_hw" / folder)


def test_the_installed_program_generates_a_network(run: Run, workdir: Path) -> None:
    write(tiny(), workdir / "net.onnx")
    done = run("rtl", "net.onnx", "board=ulx3s-85f")
    assert (done.returncode, done.stderr) == (0, "")
    rtl = workdir / "build/net/ulx3s-85f/rtl"
    for name in (rtl / "files.f").read_text().split():
        assert (rtl / name).is_file()
    assert json.loads((rtl / "build.json").read_text())["part"] == "LFE5U-85F-6BG381C"
    assert list((rtl / "mem").glob("*.mem"))


def test_the_installed_program_builds_a_network_of_the_zoo(run: Run, workdir: Path) -> None:
    done = run("rtl", "model=zoo:bireal18-digits", "board=ulx3s-85f", "target_fps=100")
    assert (done.returncode, done.stderr) == (0, "")
    assert (workdir / "build/zoo-bireal18-digits/ulx3s-85f/rtl/files.f").is_file()


def test_the_generated_files_are_those_of_the_checkout(run: Run, workdir: Path) -> None:
    from bireal_hw import cli

    write(tiny(), workdir / "net.onnx")
    assert run("rtl", "net.onnx", "run=wheel").returncode == 0
    assert cli.run(["rtl", "net.onnx", "run=checkout"]) == 0
    trees = [
        {
            str(path.relative_to(folder)): path.read_text()
            for path in folder.rglob("*")
            if path.is_file() and path.name != "build.json"
        }
        for folder in (workdir / "build/wheel/pynq-z2/rtl", workdir / "build/checkout/pynq-z2/rtl")
    ]
    assert trees[0] == trees[1]


def test_a_step_that_needs_torch_says_so(run: Run) -> None:
    done = run("train")
    assert (done.returncode, done.stdout) == (1, "")
    todo = r"make setup, or pip install 'bireal-hw\[train\]'"
    assert re.fullmatch(rf"error: train needs the Python package \w+: {todo}\n", done.stderr)
