"""The folding as a file: what is written is read back, and every mistake in it is one line with what is possible."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.folding import fold
from bireal_hw.passes.folding_file import folding_text, read_folding
from tests.networks import tiny

GRAPH = tiny(base=8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "folding.toml"
    path.write_text(folding_text(GRAPH, fold(GRAPH, 500)))
    return path


@pytest.mark.parametrize("target", [300, 500, 5_000])
def test_what_is_written_is_read_back(target: int, tmp_path: Path) -> None:
    folding = fold(GRAPH, target)
    path = tmp_path / "folding.toml"
    path.write_text(folding_text(GRAPH, folding))
    assert read_folding(path, GRAPH) == folding


def test_the_file_names_what_else_is_possible(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert lines[lines.index(next(line for line in lines if line.startswith("[conv2]"))) + 1].endswith(
        "# 1, 2, 4, 8, 16"
    )


def test_a_change_takes_effect_on_all_that_follows(file: Path) -> None:
    before = read_folding(file, GRAPH)
    start, conv2 = file.read_text().split("[conv2]")
    _, rest = conv2.split("pe = ", 1)
    file.write_text(f"{start}[conv2]\npe = 16\nsimd = 8\n" + rest[rest.index("\n\n") :])
    after = read_folding(file, GRAPH)
    assert (after["conv2"].pe, after["conv2"].simd) == (16, 8)
    assert after["merge2"].lanes == 2  # 16 sums every 9 cycles
    assert {name for name in after if after[name] != before[name]} >= {"conv2"}


def test_two_products_in_a_multiplier_are_read_back_and_one_is_the_rule(tmp_path: Path) -> None:
    folding = fold(GRAPH, 300)
    pe = folding["stem"].pe
    assert pe > 1
    folding["stem"] = dataclasses.replace(folding["stem"], pack=2)
    path = tmp_path / "folding.toml"
    path.write_text(folding_text(GRAPH, folding))
    assert read_folding(path, GRAPH) == folding
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("pack")))
    assert read_folding(path, GRAPH)["stem"].pack == 1


def replaced(old: str, new: str, graph: Graph = GRAPH) -> str:
    text = folding_text(graph, fold(graph, 10**6))
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            replaced("pe = 1 #", "pe = 3 #"),
            ": stem: real_conv: out_channels=8 is not a multiple of pe=3; choose pe from 1, 2, 4, 8; the nearest is 2",
        ),
        (
            replaced("simd = 1 #", "simd = 0 #"),
            ": stem: real_conv: kernel*in_channels=3 is not a multiple of simd=0; choose simd from 1, 3; "
            "the nearest is 1",
        ),
        (replaced("pe = 1 #", "pe = '1' #"), ": [stem] pe='1' must be a whole number"),
        (
            replaced("pe = 1 #", "ep = 1 #"),
            ": [stem]: unknown factor 'ep': did you mean 'pe'? choose from pe, simd, pack",
        ),
        (
            replaced("[conv1]", "[conv3]"),
            " is not of this network: unknown convolution 'conv3': did you mean 'conv2'? "
            "choose from stem, conv1, conv2, down_conv, classifier",
        ),
        (replaced("[stem]", "[stem.x]"), ": [stem]: unknown factor 'x': choose from pe, simd, pack"),
        (replaced("[conv1]", "[conv1]\npack = 1"), ": [conv1]: unknown factor 'pack': choose from pe, simd"),
        (
            replaced("pack = 1 #", "pack = 2 #"),
            ": stem: real_conv: pack=2 is out of range: 1, or 2 where pe is 2 or more",
        ),
        (replaced("pack = 1 #", "pack = true #"), ": [stem] pack=True must be a whole number"),
        ("[stem]\npe = 1\nsimd = 1\n", " lacks [conv1]: every convolution needs pe and simd"),
        ("pe = ", " cannot be read: Invalid value (at end of document)"),
    ],
)
def test_mistakes_are_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "folding.toml"
    path.write_text(text)
    with pytest.raises(BirealError) as error:
        read_folding(path, GRAPH)
    assert str(error.value) == f"folding={path}{message}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BirealError, match=r"cannot be read: No such file or directory$"):
        read_folding(tmp_path / "none.toml", GRAPH)
