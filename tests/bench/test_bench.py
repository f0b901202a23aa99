"""`bench`: sections are measured once, remembered while their inputs stay the same, and written as one page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bireal_hw.bench import bench
from bireal_hw.bench.page import Found, Section, table
from bireal_hw.cli import run
from bireal_hw.run import provenance


class Fake:
    """Two sections that count how often they are measured."""

    def __init__(self) -> None:
        self.measured: list[str] = []

    def sections(self) -> dict[str, Section]:
        return {name: Section(name, f"About {name}", self._measure(name), ("numpy",)) for name in ("one", "two")}

    def _measure(self, name: str):  # type: ignore[no-untyped-def]
        def measure() -> Found:
            self.measured.append(name)
            return Found(
                ["layer", "LUT"], [["a", 1200], ["b", 3]], {"lut_per_binary_mac": 1.5, name: 7}, f"note {name}"
            )

        return measure


@pytest.fixture
def fake(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(bench, "SECTIONS", fake.sections())
    return fake


def test_a_page_of_all_sections(fake: Fake, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench"]) == 0
    figures = json.loads((workdir / "build/bench/bench.json").read_text())
    assert (figures["lut_per_binary_mac"], figures["one"], figures["two"]) == (1.5, 7, 7)
    page = (workdir / "build/bench/bench.md").read_text()
    assert "## About one\n\n| layer | LUT |\n|---|---:|\n| a | 1,200 |\n| b | 3 |\n\nnote one\n" in page
    assert page.index("`bireal-hw bench one`, ") < page.index("## About two")
    assert "Pe 8, Simd 64) | 1.5" in page
    assert "build/bench/bench.md" in capsys.readouterr().out


def test_a_section_is_measured_when_its_inputs_change(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["bench", "one"]) == 0
    assert run(["bench"]) == 0
    assert run(["bench"]) == 0
    assert fake.measured == ["one", "two"]
    monkeypatch.setattr(provenance, "parts", lambda maker: {"ops": "another version"})
    assert run(["bench", "two"]) == 0
    assert fake.measured == ["one", "two", "two"]
    assert "About one" not in Path("build/bench/bench.md").read_text()  # of other inputs: no longer true


def test_a_damaged_memory_is_measured_anew(fake: Fake, workdir: Path) -> None:
    assert run(["bench", "one"]) == 0
    (workdir / "build/bench/sections/one.json").write_text("{")
    assert run(["bench", "one"]) == 0
    assert fake.measured == ["one", "one"]


def test_unknown_section(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "tow"]) == 2
    said = capsys.readouterr().err
    assert "unknown section 'tow'" in said
    assert "two" in said
    assert run(["bench", "board=pynq-z2"]) == 2
    assert "bench does not use board=pynq-z2: it takes section" in capsys.readouterr().err
    assert not fake.measured


def test_a_section_as_make_gives_it(fake: Fake) -> None:
    assert run(["bench", "section=two"]) == 0
    assert fake.measured == ["two"]


def test_every_section_has_inputs_that_exist() -> None:
    for section in bench.SECTIONS.values():
        assert len(section.key) == 32
        assert "missing" not in section.conditions.values()


@pytest.mark.parametrize(
    ("name", "needed", "foreign"),
    [
        ("datapath", {"rtl", "synth"}, {"models", "analysis", "sim"}),
        ("speed", {"analysis", "boards", "models", "ops"}, {"training", "sim", "hls"}),
        ("generation", {"hls", "hls/include", "lowering", "rtl"}, {"sim", "training", "analysis"}),
        ("throughput", {"golden", "models", "ops", "training"}, {"rtl", "synth", "sim"}),
    ],
)
def test_a_section_depends_on_what_its_module_imports(name: str, needed: set[str], foreign: set[str]) -> None:
    found = set(provenance.parts(bench.SECTIONS[name].measure.__module__))
    assert needed <= found
    assert not foreign & found


def test_a_table_of_words_and_numbers() -> None:
    assert table(Found(["a", "b"], [["x", 0.5], ["y", 1234.5]])) == [
        "| a | b |",
        "|---|---:|",
        "| x | 0.50 |",
        "| y | 1,234 |",
    ]
