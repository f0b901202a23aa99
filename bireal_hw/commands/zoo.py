"""Putting the network of a run into the zoo."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from bireal_hw import zoo
from bireal_hw.commands.verb import CONSOLE, Verb, summary, work
from bireal_hw.errors import BirealError
from bireal_hw.files import read_json
from bireal_hw.results.accuracy import ACCURACIES, DEPLOY, FLOAT
from bireal_hw.run.build import Build
from bireal_hw.run.engine import ensure
from bireal_hw.run.network import OTHER, Start, show, spec

MADE_BY = (
    "model", "dataset", "label", "image_column", "width", "image", "shortcut_bits", "train_images", "recipe", "without",
    "epochs", "batch", "learning_rate", "seed",
)  # fmt: skip
FIGURES = ("dataset", "train_images", "test_images", *(one.key for one in ACCURACIES), "epochs", "seed")


def pack_run(build: Build) -> int:
    """Put the deploy model of a trained run into the zoo under the run's name; return the bytes that it takes.

    Raises BirealError if the run is not trained, or its training cannot be repeated by a command.
    """
    name, values = build.path.name, build.values
    if build.origin != "trained" or not (build.path / "checkpoint.ckpt").exists():
        raise BirealError(f"run '{name}' has no trained network: train it first, or {OTHER}")
    if values["init"] or values["recipe"].endswith(".toml"):
        file = "init" if values["init"] else "recipe"
        raise BirealError(f"run '{name}' was trained with {show(file, values[file])}, a file that nobody else has")
    ensure(build, "lower", asked=False)
    trained = read_json(build.path / "train.json", *FIGURES)
    arguments = [show(key, values[key]) for key in MADE_BY if values[key] is not None]
    about: dict[str, Any] = {"spec": spec(values).to_json()} | {key: trained[key] for key in FIGURES}
    about |= {"command": f"make train {' '.join(arguments)}", "note": ""}
    return zoo.pack(name, (build.path / "model.onnx").read_bytes(), about)


def _zoo(arguments: list[str]) -> int:
    """List the networks of the zoo, or put that of a run into it."""
    if arguments:
        return work("zoo", arguments, False, _pack, Start.NEVER)
    table = Table(title=f"trained networks: model={zoo.PREFIX}NAME", title_justify="left", show_edge=False)
    for heading in ("name", "data set", "test images", FLOAT.title, DEPLOY.title, "made by", "note"):
        table.add_column(heading, overflow="fold")
    for name in zoo.names():
        one = zoo.about(name)
        found = (figure.of(one) for figure in (FLOAT, DEPLOY))
        table.add_row(name, one["dataset"], f"{one['test_images']:,}", *found, one["command"], one["note"])
    CONSOLE.print(table)
    return 0


def _pack(build: Build) -> int:
    size = pack_run(build)
    summary(build)
    CONSOLE.print(f"{zoo.PREFIX}{build.path.name}: {size / 1000:,.0f} kB in {zoo.FOLDER}", soft_wrap=True)
    return 0


VERB = Verb("zoo", "list the trained networks that come with the program, or with run= add one", ("run",), _zoo)
