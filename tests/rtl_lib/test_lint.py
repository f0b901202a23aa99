"""Every module passes lint alone with its defaults, and refuses impossible parameters in words."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bireal_hw.assets import asset
from bireal_hw.sim.verilator import tool_environment

pytestmark = pytest.mark.rtl

RTL = asset("rtl")
MODULES = sorted(path.relative_to(RTL).as_posix() for path in RTL.glob("*/*.sv") if path.parent.name != "pkg")


def lint(path: Path, *options: str) -> str:
    """Return what Verilator has to say about a module, nothing if all is well."""
    folders = ["-y", str(RTL / "lib"), "-y", str(RTL / "layers")]
    packages = sorted((RTL / "pkg").glob("*.sv"))
    command = ["verilator", "--lint-only", "-Wall", "--quiet", *folders, *options, *map(str, packages), str(path)]
    done = subprocess.run(command, env=tool_environment(), capture_output=True, text=True, check=False)
    assert bool(done.returncode) == bool(done.stderr), f"exit status {done.returncode} with output: {done.stderr}"
    return done.stderr


@pytest.mark.parametrize("module", MODULES)
def test_module_passes_lint_alone(module: str) -> None:
    assert lint(RTL / module) == ""


ZERO = {
    "Border",
    "Credits",
    "Gain",
    "Half",
    "KWidth",
    "KneeWidth",
    "LeftShift",
    "Limit",
    "MaskPad",
    "Overlap",
    "PadBottom",
    "PadLeft",
    "PadRight",
    "PadTop",
    "Queue",
    "SWidth",
    "Shift",
    "Signed",
    "Tree",
    "TWidth",
}
MORE = {
    "br_axi_bursts": {"DataWidth": 8},
    "br_axi_reader": {"DataWidth": 8},
    "br_axi_writer": {"DataWidth": 8},
    "br_axil_slave": {"AddrWidth": 3},
    "br_binary_conv": {"AccWidth": 2},
    "br_binary_mvu": {"AccWidth": 2},
    "br_center": {"OutWidth": 8},
    "br_dense": {"Width": 8, "Depth": 9},
    "br_engine": {"Channels": 4, "Simd": 16, "Real": 0, "InChannels": 4, "AccWidth": 12, "Segments": 2},
    "br_engine_finish": {"Channels": 4, "Simd": 4, "Real": 0},
    "br_engine_input": {"Channels": 4, "Total": 4},
    "br_engine_mac": {"Channels": 4, "Simd": 16, "Real": 0, "AccWidth": 12},
    "br_leaky_clip": {"Shift": 1},
    "br_link": {"BitCycles": 4},
    "br_rescale": {"Low": 0, "High": 0},
    "br_real_conv": {"InWidth": 2},
    "br_real_mvu": {"InWidth": 2},
    "br_saturate": {"InWidth": 2},
    "br_uart_rx": {"BitCycles": 4},
    "br_uart_tx": {"BitCycles": 2},
    "br_unfold": {"Kernel": 2, "Width": 2},
}
"""What the least value of a parameter is where it is not 1: 0 for these, or more in these modules."""


def parameters(module: str) -> list[str]:
    """Names of the parameters of a module, but for files."""
    declared = re.findall(r"^  parameter +(?:\w+ +)*?(\w+) += ", (RTL / module).read_text(), re.MULTILINE)
    return [name for name in declared if not name.endswith("File")]


@pytest.mark.parametrize("module", MODULES)
def test_module_passes_lint_at_its_smallest(module: str) -> None:
    least = {name: int(name not in ZERO) for name in parameters(module)} | MORE.get(Path(module).stem, {})
    assert set(least) == set(parameters(module))
    assert lint(RTL / module, *(f"-G{name}={value}" for name, value in least.items())) == ""


@pytest.mark.parametrize("module", MODULES)
def test_every_parameter_has_a_comment(module: str) -> None:
    lines = [line for line in (RTL / module).read_text().splitlines() if re.match("  parameter ", line)]
    assert [line for line in lines if not re.search("  // ..", line)] == []


@pytest.mark.parametrize("module", MODULES)
def test_header_answers_every_question(module: str) -> None:
    lines = (RTL / module).read_text().splitlines()
    stem = Path(module).stem
    assert lines[0].startswith(f"// {stem}: ")
    header = [line for line in lines if line.startswith("//")]
    questions = ["Function", "Latency", "Source"]
    if "s_axis_tdata" in "\n".join(lines):
        questions += ["Stream in", "Stream out", "Parameters", "Throughput", "Back-pressure"]
    missing = [question for question in questions if not any(line.startswith(f"// {question} ") for line in header)]
    assert missing == ([] if "clk_i" in "\n".join(lines) else ["Latency"])


@pytest.mark.parametrize(
    ("module", "parameters", "message"),
    [
        ("lib/br_fifo", {"Depth": 0}, "br_fifo: Depth=0 must be at least 1"),
        ("lib/br_axi_bursts", {"DataWidth": 24}, "br_axi_bursts: DataWidth=24 must be 8, 16, 32, .. 1024"),
        ("lib/br_axi_reader", {"MaxBurst": 12}, "MaxBurst=12 must be a power of two of at most 256 beats"),
        ("lib/br_axi_writer", {"DataWidth": 512, "MaxBurst": 128, "Depth": 128}, "of at most 64 beats"),
        ("lib/br_axi_writer", {"Depth": 8}, "br_axi_bursts: Depth=8 must be at least MaxBurst=16"),
        ("layers/br_center", {"Channels": 3, "Lanes": 2}, "br_center: Channels=3 must be a multiple of Lanes=2"),
        ("layers/br_center", {"OutWidth": 10}, "br_center: OutWidth=10 must be 8 or 9"),
        ("layers/br_merge", {"Channels": 8, "Lanes": 3}, "br_merge: Channels=8 must be a multiple of Lanes=3"),
        ("layers/br_avg_pool", {"Height": 5}, "br_avg_pool: a 2x2 window does not tile 5x2"),
        ("layers/br_max_pool", {"Height": 1, "PadTop": 0}, "br_max_pool: a 3x3 window does not fit 1x2"),
        (
            "layers/br_max_pool",
            {"PadRight": 2},
            "pads 1, 1, 1, 2 (top, left, bottom, right) must be less than the stride",
        ),
        ("layers/br_rescale", {"Low": 9, "High": 8}, "br_rescale: Low=9 and High=8 must be in this order"),
        ("lib/br_width_converter", {"InLanes": 6, "OutLanes": 4}, "InLanes=6 and OutLanes=4: one must be a multiple"),
    ],
)
def test_impossible_parameters_stop_lint_with_the_numbers(
    module: str, parameters: dict[str, int], message: str
) -> None:
    text = lint(RTL / f"{module}.sv", *(f"-G{name}={value}" for name, value in parameters.items()))
    assert message in text
