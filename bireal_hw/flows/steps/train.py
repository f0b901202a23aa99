"""Step `train`: the network trained and evaluated."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bireal_hw.flows.accuracy import accuracies
from bireal_hw.flows.build import Build, Figures
from bireal_hw.flows.engine import Step
from bireal_hw.flows.network import PARTIAL, Values
from bireal_hw.flows.rundir import write_json
from bireal_hw.flows.training import planned


def _mend(build: Build) -> None:
    """Try a finished training's checkpoint, and write train.json again from it if it is gone."""
    from bireal_hw.training.checkpoint import load_checkpoint

    *_, info = load_checkpoint(build.path / "checkpoint.ckpt")
    if not (build.path / "train.json").exists():
        write_json(build.path / "train.json", info | build.marks)


def _described(values: Values) -> str:
    """Write a network in a few words."""
    size, data = "x".join(map(str, values["image"])), f"{values['classes']} classes of {values['dataset']}"
    return f"{values['model']}, width {values['width']:g}, {size} pixels, {data}"


def _train(build: Build, folder: Path) -> Figures:
    from bireal_hw.training.fit import train
    from bireal_hw.training.overview import overview

    values = build.values
    config, data = planned(values)
    values |= {"classes": data.classes, "epochs": config.epochs}
    build.record_values()
    passes = f"{config.epochs} epoch{'s'[: config.epochs != 1]}"
    about = f"training {_described(values)}, {passes}, into {build.path}"
    Console(highlight=False, soft_wrap=True).print("\n".join([about, *overview(config, data)]), markup=False)
    result = train(config, data, folder, partial=build.path / PARTIAL)
    write_json(folder / "train.json", result | build.marks)
    return accuracies(result) | {"test images": f"{result['test_images']:,}"}


STEP = Step(
    name="train",
    needs=lambda build: None,
    reads=(),
    makes=("checkpoint.ckpt", "train.json", "metrics.csv", "curves.png"),
    settings=lambda build: {},
    work=_train,
    origins=("trained",),
    clears=(PARTIAL,),
    once=True,
    check=_mend,
    module=__name__,
)
