"""docs/commands.md against the program: every verb, variable and choice stands there, and nothing else does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bireal_hw import boards
from bireal_hw.commands.verbs import VERBS
from bireal_hw.models.networks import NETWORKS
from bireal_hw.run.config import variables
from bireal_hw.training.defaults import DATASETS

pytestmark = pytest.mark.torch

TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()


def rows(heading: str) -> dict[str, str]:
    """Return the rows of the table below a heading by the first word in back quotes."""
    table = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    return {match[1]: match[0] for match in re.finditer(r"^\| `([\w]+)[^`]*`.*$", table, re.M)}


def test_the_verbs() -> None:
    assert sorted(rows("Verbs")) == sorted(VERBS)


def test_the_variables() -> None:
    assert sorted(rows("Variables")) == sorted(variables())


@pytest.mark.parametrize(
    ("variable", "choices"), [("model", NETWORKS), ("board", boards.names()), ("dataset", DATASETS)]
)
def test_the_choices(variable: str, choices: list[str]) -> None:
    missing = [name for name in choices if f"`{name}`" not in rows("Variables")[variable]]
    assert missing == []


def test_the_defaults_that_help_gives_stand_in_the_table_too() -> None:
    for name, text in variables().items():
        if default := re.search(r"\(default ([\w-]+)\)", text):
            assert default[1] in rows("Variables")[name], name
