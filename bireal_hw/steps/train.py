"""Step `train`: the network trained and evaluated."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bireal_hw.analysis.scale import scaled
from bireal_hw.errors import BirealError
from bireal_hw.files import write_json
from bireal_hw.ir.graph import Graph
from bireal_hw.lowering import lower
from bireal_hw.models.spec import ModelSpec
from bireal_hw.results.accuracy import accuracies
from bireal_hw.results.network import TrainFile
from bireal_hw.run.build import Build, Figures
from bireal_hw.run.engine import Step
from bireal_hw.run.images import check_count
from bireal_hw.run.network import OTHER, PARTIAL, Values, show, spec
from bireal_hw.schema import write
from bireal_hw.steps.fold import chosen
from bireal_hw.training.defaults import dataset_defaults
from bireal_hw.training.recipe import is_default, load_recipe

if TYPE_CHECKING:
    from bireal_hw.training.data import Data
    from bireal_hw.training.fit import TrainConfig

SMALLEST = 96
"""Side of the smallest image whose network has the layers of a large one."""


def planned(values: Values) -> tuple[TrainConfig, Data]:
    """Load the data set of a run and return how its network is trained on it.

    Raises BirealError for data that cannot be read, and a technique that the recipe does not use.
    """
    from bireal_hw.training.data import load_data
    from bireal_hw.training.fit import default_config

    recipe = load_recipe(values["recipe"], values["without"])
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


def _mend(build: Build) -> None:
    """Try a finished training's checkpoint, and write train.json again from it if it is gone."""
    from bireal_hw.training.checkpoint import load_checkpoint

    *_, info = load_checkpoint(build.path / "checkpoint.ckpt")
    if not (build.path / TrainFile.file).exists():
        write_json(build.path / TrainFile.file, info | build.marks)  # of an earlier version, it may lack keys


def _described(values: Values) -> str:
    """Write a network in a few words."""
    size, data = "x".join(map(str, values["image"])), f"{values['classes']} classes of {values['dataset']}"
    return f"{values['model']}, width {values['width']:g}, {size} pixels, {data}"


def _refuse_unbuildable(build: Build, config: TrainConfig, data: Data) -> None:
    """Raise BirealError for what the steps behind a training cannot do whatever it finds: too few images, a folding."""
    if build.config.images:
        check_count(build.config.images, len(data.test_images), data.name)
    if not build.hardware:
        return
    if not config.recipe.binary:
        raise BirealError(f"recipe={config.recipe.name} ends with a real-valued network: only train goes with it")
    chosen(build, _stand_in(config.spec))


def _stand_in(spec: ModelSpec) -> Graph:
    """Return the graph of a network with random weights, on which no folding depends."""
    from bireal_hw.export.deploy import to_deploy
    from bireal_hw.export.qonnx import export_qonnx
    from bireal_hw.models.bireal import build_model
    from bireal_hw.models.randomise import randomise

    small = spec if spec.small else replace(spec, image=(SMALLEST, SMALLEST))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{spec.model}.onnx"
        model = randomise(build_model(small), small, seed=0)
        export_qonnx(to_deploy(model, small), small, path, [str(index) for index in range(spec.classes)])
        return replace(scaled(lower(path), image=spec.image), name=spec.model)


def _recipe_file(build: Build) -> dict[str, Any]:
    """Return what the user's recipe file says, each field under its name; nothing where a shipped recipe is used."""
    name = build.values["recipe"] or ""
    if not (name.endswith(".toml") and Path(name).is_file()):
        return {}
    fields = load_recipe(name).to_json()
    stages = {f"{stage['name']}.{key}": value for stage in fields.pop("stages") for key, value in stage.items()}
    return fields | stages


def _refuse_edited(build: Build) -> None:
    """Raise BirealError if a recipe file that the user names is not what the finished training read."""
    if build.config.recipe is None or not (build.path / "checkpoint.ckpt").exists():
        return
    read, found = (
        build.run.ledger()["steps"].get("train", {}).get("record", {}).get("settings", {}),
        _recipe_file(build),
    )
    for key in (*read, *found) if read and found else ():
        if read.get(key) != found.get(key) and (key in read or not is_default(key, found[key])):
            before, after = show(key, read.get(key)), show(key, found.get(key))
            raise BirealError(
                f"run '{build.path.name}' was trained with {before}, {build.values['recipe']} now has {after}: {OTHER}"
            )


def _overruled(values: Values, config: TrainConfig) -> list[str]:
    """Say which numbers of the user's recipe file the data set's own take the place of."""
    if not values["recipe"].endswith(".toml"):
        return []
    own, defaults = config.recipe, dataset_defaults(config.dataset)
    numbers = (("epochs", own.epochs, defaults.epochs), ("batch", own.batch, defaults.batch))
    return [
        f"hint: {name}={used} is that of data set '{config.dataset}', not the {wanted} of the recipe: {name}= wins"
        for name, wanted, used in numbers
        if used and used != wanted and values[name] is None
    ]


def _train(build: Build, folder: Path) -> Figures:
    from bireal_hw.training.fit import train
    from bireal_hw.training.overview import overview

    values = build.values
    config, data = planned(values)
    _refuse_unbuildable(build, config, data)
    hints = _overruled(values, config)
    values |= {"classes": data.classes, "epochs": config.epochs}
    build.record_values()
    passes = f"{config.epochs} epoch{'s'[: config.epochs != 1]}"
    about = f"training {_described(values)}, {passes}, into {build.path}"
    lines = [about, *overview(config, data), *hints]
    Console(highlight=False, soft_wrap=True).print("\n".join(lines), markup=False)
    result = train(config, data, folder, partial=build.path / PARTIAL)
    write(folder / TrainFile.file, TrainFile(**build.marks, **result))
    return accuracies(result) | {"test images": f"{result['test_images']:,}"}


STEP = Step(
    name="train",
    needs=lambda build: None,
    reads=(),
    makes=("checkpoint.ckpt", "train.json", "metrics.csv", "curves.png"),
    settings=_recipe_file,
    work=_train,
    refuse=_refuse_edited,
    origins=("trained",),
    clears=(PARTIAL,),
    once=True,
    check=_mend,
    module=__name__,
)
