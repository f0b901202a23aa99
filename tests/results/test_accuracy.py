"""Every accuracy has one name: a training whose three figures differ is shown everywhere, and each by its own name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bireal_hw import cli, zoo
from bireal_hw.commands.study_table import table
from bireal_hw.report import verdicts
from bireal_hw.report.collect import _curves, _training_facts, _zoo_facts
from bireal_hw.results.accuracy import ACCURACIES, accuracies
from bireal_hw.results.checks import check_accuracy
from bireal_hw.results.network import TrainFile

FIGURES = {"top1_trained": 96.71, "top1_float": 97.53, "top1_deploy": 95.33}
SHOWN = {"trained": "96.71", "float": "97.53", "deploy": "95.33"}
TRAIN: dict[str, Any] = FIGURES | {
    "epochs": 3, "seed": 0, "params_binary": 1, "params_real": 1, "train_images": 10, "test_images": 10_000,
    "seconds": 1.0,
}  # fmt: skip
FILE = TrainFile(run="a", **TRAIN)


def named(said: str) -> dict[str, str]:
    """Find the figures in a text, each with the last of the three names in front of it."""
    found: dict[str, str] = {}
    for figure in SHOWN.values():
        for place in re.finditer(re.escape(figure), said):
            names = re.findall("|".join(SHOWN), said[: place.start()])
            assert found.setdefault(figure, names[-1]) == names[-1]
    return {name: figure for figure, name in found.items()}


def test_the_names_are_those_of_train_json() -> None:
    assert {one.key for one in ACCURACIES} == set(FIGURES) <= set(TrainFile.model_fields)
    assert {one.name for one in ACCURACIES} == set(SHOWN)


def test_every_table_gives_each_figure_its_name(tmp_path: Path) -> None:
    (tmp_path / "curves.png").write_bytes(b"")
    assert named(str(accuracies(TRAIN))) == SHOWN
    assert named(str(_training_facts(FILE))) == SHOWN
    packed = TRAIN | {"dataset": "digits", "command": "make", "note": ""}
    assert named(str(_zoo_facts(packed))) == SHOWN
    assert named(_curves(tmp_path / "curves.png", FILE)[1]) == {"trained": SHOWN["trained"]}


def test_verdicts_are_about_the_figures_they_name() -> None:
    checks = check_accuracy(FIGURES["top1_trained"], 9533, 10_000)
    assert named(str(checks[:2])) == {name: SHOWN[name] for name in ("trained", "deploy")}
    lost = 9671 - 9533
    assert f"{lost} of" in checks[2].found
    assert f"{lost} of" in verdicts._loss(FILE)[0]


def test_a_study_names_them_alike() -> None:
    row: dict[str, Any] = FIGURES | {
        "name": "a", "label": "a", "lowest": 1.0, "highest": 2.0, "gain": None, "beyond_spread": None, "minutes": 1,
        "accuracy": FIGURES["top1_deploy"], "over": None, "learning_rate": None, "tried": {},
    }  # fmt: skip
    about: dict[str, Any] = {
        "title": "t", "dataset": "digits", "image": [8, 8], "seeds": [0], "trainings": 1, "trainings_wanted": 1,
        "train_images": 1, "test_images": 1, "width": 1, "epochs": 3, "batch": 1, "minutes": 1, "devices": ["cpu"],
        "rows": [row | {"epochs": 3}],
    }  # fmt: skip
    head, _, cells = (line.split("|") for line in table(about).splitlines() if line.startswith("|"))
    at = {name.strip(): cell.strip() for name, cell in zip(head, cells, strict=True)}
    assert (at["trained"], at["deploy"]) == (SHOWN["trained"], SHOWN["deploy"])


def test_the_list_of_the_zoo_shows_the_deploy_accuracy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(zoo, "about", lambda name: TRAIN | {"dataset": "digits", "command": "make", "note": ""})
    assert cli.run(["zoo"]) == 0
    assert named(capsys.readouterr().out) == {"deploy": SHOWN["deploy"]}


@pytest.mark.parametrize("one", ACCURACIES, ids=lambda one: one.name)
def test_the_docs_say_the_same(one: Any) -> None:
    docs = Path(__file__).parents[2] / "docs"
    words = " ".join((docs / "training.md").read_text().split())
    assert f"| {one.title} | `{one.key}` | {one.meaning} |" in words
    assert one.key in (docs / "commands.md").read_text()
