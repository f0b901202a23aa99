"""Putting the network of a run into the zoo."""

from __future__ import annotations

from typing import Any

from bireal_hw import zoo
from bireal_hw.errors import BirealError
from bireal_hw.flows.accuracy import ACCURACIES
from bireal_hw.flows.build import Build
from bireal_hw.flows.engine import ensure
from bireal_hw.flows.network import OTHER, show, spec
from bireal_hw.flows.rundir import read_json

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
    words = [show(key, values[key]) for key in MADE_BY if values[key] is not None]
    about: dict[str, Any] = {"spec": spec(values).to_json()} | {key: trained[key] for key in FIGURES}
    about |= {"command": f"make train {' '.join(words)}", "note": ""}
    return zoo.pack(name, (build.path / "model.onnx").read_bytes(), about)
