"""The training that a run's values ask for, and the processes that take part in it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bireal_hw.errors import BirealError
from bireal_hw.flows.config import parse_words
from bireal_hw.flows.network import PARTIAL, Values, resolve, run_dir, spec
from bireal_hw.training.recipe import load_recipe

if TYPE_CHECKING:
    from bireal_hw.training.data import Data
    from bireal_hw.training.fit import TrainConfig


def planned(values: Values) -> tuple[TrainConfig, Data]:
    """Load the data set of a run and return how its network is trained on it.

    Raises BirealError for data that cannot be read, and a technique that the recipe does not use.
    """
    from bireal_hw.training.data import load_data
    from bireal_hw.training.fit import default_config

    recipe = load_recipe(values["recipe"])
    for technique in (values["without"] or "").split(",") if values["without"] else ():
        recipe = recipe.without(technique)
    folder = Path(values["data"]) if values["data"] else None
    shape = values["image"], values["channels"], values["classes"]
    if recipe.binary:
        spec(values | {"classes": values["classes"] or 2}).check_sums()  # whatever the data has
    data = load_data(
        values["dataset"], folder, *shape, skip_broken=bool(values["skip_broken"]),
        train_images=values["train_images"], label=values["label"], image_column=values["image_column"],
    )  # fmt: skip
    found = spec(values | {"classes": data.classes})
    init = Path(values["init"]) if values["init"] else None
    config = default_config(
        found, values["dataset"], values["epochs"], values["seed"], recipe, init, values["batch"],
        values["learning_rate"], len(data.train_images),
    )  # fmt: skip
    return config, data


def joins() -> bool:
    """Tell whether torchrun started this process to take part in the training of a first one."""
    return int(os.environ.get("RANK", "0")) > 0 and "TORCHELASTIC_RUN_ID" in os.environ


def join(verb: str, words: list[str]) -> int:
    """Train beside the first process, leaving no file; returns the exit status.

    Raises BirealError for anything but `train`: the other commands are the work of one process.
    """
    if verb != "train":
        raise BirealError(f"{verb} is the work of one process: torchrun is for train")
    config = parse_words(words)
    run = run_dir(config)
    if (run.path / "checkpoint.ckpt").exists():
        return 0  # nothing is left to train
    from bireal_hw.training.fit import train

    with tempfile.TemporaryDirectory() as folder:
        train(*planned(resolve(config, run)), Path(folder), run.path / PARTIAL, progress=False)
    return 0
