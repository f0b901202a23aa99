"""Which network a command is about: the run's recorded values, what the user gave, and the data set's defaults."""

from __future__ import annotations

import difflib
from enum import Enum
from pathlib import Path
from typing import Any

from bireal_hw import zoo
from bireal_hw.errors import BirealError, nearest
from bireal_hw.models.spec import SMALL_IMAGE, ModelSpec
from bireal_hw.run.config import SPEC, BuildConfig, run_name
from bireal_hw.run.rundir import RunDir
from bireal_hw.training.recipe import DEFAULT as DEFAULT_RECIPE

BUILD = Path("build")
#: Variables that make a run's network; once it exists they are fixed.
NETWORK = (
    *SPEC, "dataset", "label", "image_column", "skip_broken", "train_images", "recipe", "without", "init", "epochs",
    "batch", "learning_rate", "seed", "untrained", "pixels", "calibration",
)  # fmt: skip
#: Those that say how it is trained.
TRAINING = ("recipe", "without", "init", "epochs", "batch", "learning_rate", "train_images")
#: Those that runs of earlier versions lack, as they had no choice.
LATER: dict[str, Any] = {
    "skip_broken": False, "train_images": None, "recipe": DEFAULT_RECIPE, "without": None, "init": None,
    "label": None, "image_column": None, "batch": None, "learning_rate": None, "pixels": None, "calibration": None,
}  # fmt: skip
#: Those that say how a file of others is read.
OF_FILE = ("pixels", "calibration")
#: State of a training after its last finished epoch.
PARTIAL = "partial.ckpt"
#: Files whose presence means that a run has a network, or the beginning of one.
EVIDENCE = ("checkpoint.ckpt", PARTIAL, "model.onnx")

IMAGENET_CLASSES = 1000
#: Runs that are listed where one does not exist.
SHOWN = 8
#: Variables that choose the images for a network that was imported from a file.
IMAGES_OF_FILE = ("dataset", "data", "label", "image_column", "skip_broken", "seed", *OF_FILE)

OTHER = "choose another run=NAME"

Values = dict[str, Any]


def run_dir(config: BuildConfig, file: Path | None = None) -> RunDir:
    """Return the folder of the run a command is about: `run=`, else named after the file, else `<model>-<dataset>`.

    A file called `model.onnx` gives the name of its folder, one of the zoo `zoo-NAME`.

    Raises:
        BirealError: the file's name cannot name a run.
    """
    if config.run:
        name = config.run
    elif file:
        stem = file.resolve().parent.name if file.stem == "model" else file.stem
        name = run_name(f"zoo-{file.stem}" if in_zoo(file) else stem)
    else:
        name = f"{config.model or 'bireal18'}-{dataset_name(config)}".replace("/", "-")
    return RunDir(BUILD / name)


def in_zoo(file: Path) -> bool:
    """Tell whether a file is a network of the zoo."""
    return file.parent == zoo.FOLDER


def called(file: Path) -> str:
    """Return what a user calls a network that is imported from a file: its path, or `zoo:NAME`."""
    return f"{zoo.PREFIX}{file.stem}" if in_zoo(file) else str(file)


def from_zoo(values: Values) -> dict[str, Any] | None:
    """Return what the zoo says of a run's network; None if it does not come from there."""
    file = values.get("file") or ""
    return zoo.about(file.removeprefix(zoo.PREFIX)) if file.startswith(zoo.PREFIX) else None


def dataset_name(config: BuildConfig) -> str:
    """Return the data set, whose defaults a network has: `dataset=`, else digits.

    Random weights for an image that digits' small stem does not take have the defaults of a folder of photographs.
    """
    large = config.untrained and config.image and max(config.image) > SMALL_IMAGE
    return config.dataset or ("folder" if large else "digits")


class Start(Enum):
    """Whether a command may start a run."""

    ALWAYS = "it starts one"
    NAMED = "it goes on with one, and starts one unless the name of a run is all that it is told"
    NEVER = "it is about one that exists"


def resolve(config: BuildConfig, run: RunDir, file: Path | None = None, may_start: Start = Start.ALWAYS) -> Values:
    """Return the values of the run's network: those recorded, or for a new run those given and the defaults.

    Keys: those of `NETWORK`, `data` (str or None), and `file` (a QONNX file's path, or None).

    Args:
        config: what the user gave.
        run: the run's folder.
        file: QONNX file given on the command line, or a network of the zoo.
        may_start: whether the command may start a run; a file always does.

    Raises:
        BirealError: a given value contradicts the recorded one, or does not go with a file; a run does not exist.
    """
    given = {key: value for key, value in config.given().items() if key in NETWORK}
    recorded = _recorded(run)
    if file is not None:
        return _from_file(config, given, run, recorded, file)
    if recorded is None:
        if may_start is Start.NEVER or (may_start is Start.NAMED and config.run and not given):
            raise no_run(run.path.name)
        return _fresh(config, given)
    if recorded["file"]:
        _only_images(given, recorded["file"])
        return recorded | {key: value for key, value in config.given().items() if key in IMAGES_OF_FILE}
    for key, value in given.items():
        if recorded.get(key) != value:
            name = f"{run.path.name}-{show(key, value).replace('=', '')}"
            raise BirealError(
                f"run '{run.path.name}' has {show(key, recorded.get(key))}, not {show(key, value)}: "
                f"{OTHER}, for example run={name.replace('/', '-')}"
            )
    return recorded | ({"data": config.data} if config.data else {})


def existing() -> list[str]:
    """Return the names of all runs that have a network, or the beginning of one."""
    paths = sorted(BUILD.iterdir()) if BUILD.is_dir() else []
    return [path.name for path in paths if any((path / name).exists() for name in EVIDENCE)]


def no_run(name: str) -> BirealError:
    """Describe a run that does not exist: those whose names are like it, or some of those that there are."""
    names = existing()
    near = difflib.get_close_matches(name, names, n=3)
    some = f"{', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
    others = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {some};" if names else ""
    packed = name.removeprefix("zoo-")
    start = f"model={zoo.PREFIX}{packed}" if packed != name and packed in zoo.names() else f"make train run={name}"
    return BirealError(" ".join(f"run '{name}' does not exist: {others} {start} starts it".split()))


def show(key: str, value: Any) -> str:
    """Write a variable as on the command line.

    >>> show("image", (48, 64)), show("untrained", True), show("clock", 150.0), show("epochs", None)
    ('image=48x64', 'untrained=1', 'clock=150', 'no epochs')
    """
    if value is None:
        return f"no {key}"
    if isinstance(value, tuple):
        value = "x".join(map(str, value))
    return f"{key}={f'{value:.12g}' if isinstance(value, float | bool) else value}"


def spec(values: Values) -> ModelSpec:
    """Return the network's description."""
    return ModelSpec(**{key: values[key] for key in SPEC})


def _recorded(run: RunDir) -> Values | None:
    values = run.ledger()["values"]
    values |= {key: value for key, value in LATER.items() if values and key not in values}
    if not any((run.path / name).exists() for name in EVIDENCE):
        return None
    if not values:
        return _from_checkpoint(run)
    missing = next((key for key in (*NETWORK, "data", "file") if key not in values), None)
    if missing:
        raise BirealError(f"{run.path / 'steps.json'} lacks '{missing}' under values: {OTHER}")
    image = values["image"]
    return values | {"image": tuple(image) if isinstance(image, list) else image}


def _from_checkpoint(run: RunDir) -> Values | None:
    """Return what a checkpoint says about itself, for a run whose ledger is gone; None if there is no checkpoint."""
    if not (run.path / "checkpoint.ckpt").exists():
        return None
    from bireal_hw.training.checkpoint import load_checkpoint

    _, found, info = load_checkpoint(run.path / "checkpoint.ckpt")
    about = LATER | {key: info.get(key) for key in ("dataset", "epochs", "seed", "without", "init", "train_images")}
    about["recipe"] = info.get("recipe", DEFAULT_RECIPE)
    return {key: getattr(found, key) for key in SPEC} | about | {"untrained": False, "data": None, "file": None}


def _fresh(config: BuildConfig, given: Values) -> Values:
    name = dataset_name(config)
    if name == "folder" and not config.data and not config.untrained:
        raise BirealError("data set 'folder' needs data=DIR, a folder with parquet files or one subfolder per class")
    from bireal_hw.training.defaults import dataset_defaults

    default = dataset_defaults(name)
    values: Values = dict.fromkeys(NETWORK) | {
        "model": "bireal18",
        "dataset": name,
        "width": default.width,
        "image": default.image,
        "channels": default.channels,
        "classes": default.classes,
        "shortcut_bits": ModelSpec.shortcut_bits,
        "skip_broken": False,
        "recipe": DEFAULT_RECIPE,
        "seed": 0,
        "untrained": False,
    }
    values |= given | {"data": config.data, "file": None}
    if values["untrained"]:
        if foreign := next((key for key in TRAINING if key in given), None):
            raise BirealError(f"{show(foreign, given[foreign])} does not go with untrained=1: nothing is trained")
        if values["classes"] is None and not config.dataset:
            values["classes"] = IMAGENET_CLASSES
        if values["classes"] is None:
            raise BirealError(f"classes= is needed: untrained=1 reads no data set, so '{name}' cannot bring its own")
        values["recipe"] = None
    if foreign := next((key for key in OF_FILE if values[key]), None):
        raise BirealError(f"{show(foreign, values[foreign])} goes with a file of others: give one, as in FILE.onnx")
    return values


def _from_file(config: BuildConfig, given: Values, run: RunDir, recorded: Values | None, file: Path) -> Values:
    if not file.is_file():
        near = nearest(str(file), map(str, file.parent.glob("*.onnx")), cutoff=0.6)
        hint = f"did you mean '{near}'?" if near else "give a QONNX file"
        raise BirealError(f"{file} does not exist: {hint}")
    if recorded and file.resolve() == (run.path / "model.onnx").resolve():
        return recorded
    name = called(file)
    _only_images(given, name)
    if recorded and not recorded["file"]:
        raise BirealError(f"run '{run.path.name}' has a network of its own, not {name}: {OTHER}")
    return dict.fromkeys(NETWORK) | {"seed": 0, "untrained": False, "data": config.data, "file": name} | given


def _only_images(given: Values, file: str) -> None:
    """Refuse variables that describe a network where a file does."""
    foreign = next((key for key in given if key not in IMAGES_OF_FILE), None)
    if foreign:
        raise BirealError(f"{show(foreign, given[foreign])} does not go with {file}: the file brings its network")
