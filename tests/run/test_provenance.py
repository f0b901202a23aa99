"""What a result depends on follows from imports: whatever shapes it counts, and nothing that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

import bireal_hw.steps  # noqa: F401 - fills STEPS
from bireal_hw.files import content_hash
from bireal_hw.run import provenance
from bireal_hw.run.engine import STEPS
from bireal_hw.run.provenance import PACKAGE, files


def parts(*makers: str) -> set[str]:
    """Return the subpackages and assets that files of `files` lie in."""
    found = {path.relative_to(PACKAGE).parts[0] for path in files(makers) if path.is_relative_to(PACKAGE)}
    root = PACKAGE.parent
    return found | {str(path.relative_to(root)) for path in files(makers) if not path.is_relative_to(PACKAGE)}


@pytest.mark.parametrize(
    ("maker", "needed", "foreign"),
    [
        ("bireal_hw.sim.network", {"golden", "ops", "ir", "passes", "sim", "rtl"}, {"hls", "models", "analysis"}),
        ("bireal_hw.hls.network", {"golden", "ops", "hls", "hls/include"}, {"models", "analysis", "synth"}),
        ("bireal_hw.export.qonnx", {"models", "export", "ir"}, {"lowering", "sim", "rtl"}),
        ("bireal_hw.lowering", {"lowering", "ops", "ir"}, {"models", "golden", "sim"}),
        ("bireal_hw.synth.network", {"synth", "rtl", "ops"}, {"models", "golden", "lowering"}),
        ("bireal_hw.analysis.plan", {"analysis", "boards", "synth", "ops"}, {"models", "golden", "sim"}),
    ],
)
def test_what_shapes_a_result_counts_and_nothing_else(maker: str, needed: set[str], foreign: set[str]) -> None:
    assert needed <= parts(maker)
    assert not foreign & parts(maker)


def test_data_beside_modules_counts() -> None:
    assert PACKAGE / "analysis" / "coefficients.toml" in files(["bireal_hw.analysis.cost"])
    assert PACKAGE / "boards" / "pynq-z2.toml" in files(["bireal_hw.analysis.plan"])
    assert PACKAGE / "hls" / "templates" in files(["bireal_hw.hls"])


def test_who_arranges_the_work_does_not_count() -> None:
    around = {"run", "steps", "commands"}
    assert [path.name for path in files(["bireal_hw.steps.sim"]) if around & {*path.parts}] == ["sim.py"]
    assert [path.name for path in files(["bireal_hw.run.provenance"]) if around & {*path.parts}] == ["provenance.py"]


def test_another_arithmetic_is_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    before = provenance.parts("bireal_hw.sim.network")

    def changed(path: Path) -> str:
        return "other" if path == PACKAGE / "ops" / "sign.py" else content_hash(path)

    monkeypatch.setattr(provenance, "content_hash", changed)
    provenance.parts.cache_clear()
    try:
        after = provenance.parts("bireal_hw.sim.network")
    finally:
        provenance.parts.cache_clear()
    assert {part for part, now in after.items() if now != before[part]} == {"ops"}


@pytest.mark.parametrize("name", STEPS)
def test_every_step_knows_its_own_module(name: str) -> None:
    step = STEPS[name]
    assert step.work.__module__ == step.module
    assert parts(step.module) >= {"errors.py", step.module.split(".")[1]}
