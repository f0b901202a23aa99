"""Which network a command is about: the run's recorded values, what the user gave, and the data set's defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bireal_hw import zoo
from bireal_hw.errors import BirealError, nearest
from bireal_hw.flows.config import SPEC, BuildConfig, run_name
from bireal_hw.flows.rundir import RunDir
from bireal_hw.models.spec import SMALL_IMAGE, ModelSpec
from bireal_hw.training.recipe import DEFAULT as DEFAULT_RECIPE

BUILD = Path("build")
#: Variables that make a run's network; once it exists they are fixed.
NETWORK = (
    *SPEC, "dataset", "skip_broken", "train_images", "recipe", "without", "init", "epochs", "seed", "untrained"
)  # fmt: skip
#: Those that say how it is trained.
TRAINING = ("recipe", "without", "init", "epochs", "train_images")
#: Those that runs of earlier versions lack, as they had no choice.
LATER: dict[str, Any] = {
    "skip_broken": False, "train_images": None, "recipe": DEFAULT_RECIPE, "without": None, "init": None
}  # fmt: skip
#: State of a training after its last finished epoch.
PARTIAL = "partial.ckpt"
#: Files whose presence means that a run has a network, or the beginning of one.
EVIDENCE = ("checkpoint.ckpt", PARTIAL, "model.onnx")

IMAGENET_CLASSES = 1000
#: Variables that choose the images for a network that was brought as a file.
IMAGES_OF_FILE = ("dataset", "data", "skip_broken", "seed")

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
    """Return what a user calls a network that is brought as a file: its path, or `zoo:NAME`."""
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


def resolve(config: BuildConfig, run: RunDir, file: Path | None = None, starts: bool = True) -> Values:
    """Return the values of the run's network: those recorded, or for a new run those given and the defaults.

    Keys: those of `NETWORK`, `data` (str or None), and `file` (a QONNX file's path, or None).

    Args:
        config: what the user gave.
        run: the run's folder.
        file: QONNX file given on the command line, or a network of the zoo.
        starts: whether the command is one that starts a network; one that continues a network takes a new name that is
            like an existing run's for a slip of the finger unless it also says what the network is to be.

    Raises:
        BirealError: a given value contradicts the recorded one, or does not go with a file; a run does not exist.
    """
    given = {key: value for key, value in config.given().items() if key in NETWORK}
    recorded = _recorded(run)
    if file is not None:
        return _from_file(config, given, run, recorded, file)
    if recorded is None:
        if config.run and not given and not starts:
            _refuse_slip(run)
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


def _refuse_slip(run: RunDir) -> None:
    others = [
        path.name for path in BUILD.iterdir() if path != run.path and any((path / name).exists() for name in EVIDENCE)
    ]
    if near := nearest(run.path.name, others, cutoff=0.75):
        raise BirealError(
            f"run '{run.path.name}' does not exist: did you mean '{near}'? "
            f"a new one starts with make train run={run.path.name}"
        )


def show(key: str, value: Any) -> str:
    """Write a variable as on the command line.

    >>> show("image", (48, 64)), show("untrained", True), show("epochs", None)
    ('image=48x64', 'untrained=1', 'no epochs')
    """
    if value is None:
        return f"no {key}"
    if isinstance(value, tuple):
        value = "x".join(map(str, value))
    return f"{key}={int(value) if isinstance(value, bool) else value}"


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
    from bireal_hw.training.data import dataset_defaults

    name = dataset_name(config)
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
    return values


def _from_file(config: BuildConfig, given: Values, run: RunDir, recorded: Values | None, file: Path) -> Values:
    if not file.is_file():
        raise BirealError(f"{file} does not exist: give a QONNX file")
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
