"""Depth estimation: a network with binary and one with real-valued convolutions, trained alike on the same data."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from bireal_hw.commands.verb import CONSOLE, Verb, refuse_others
from bireal_hw.errors import BirealError
from bireal_hw.files import read_json, write_json
from bireal_hw.models.spec import ModelSpec
from bireal_hw.run.config import BuildConfig, parse_arguments
from bireal_hw.run.network import BUILD, OTHER, show
from bireal_hw.run.rundir import RunDir
from bireal_hw.training.recipe import Recipe

if TYPE_CHECKING:
    from bireal_hw.training.depth.data import DepthData

MODEL, DATASET = "bireal50", "rooms"
NETWORKS = ("real", "binary")
FIXED = ("model", "dataset", "width", "image", "shortcut_bits", "train_images", "epochs")
"""Variables that a comparison keeps once it was begun."""
ALLOWED = (*FIXED, "data", "seed", "seeds", "real", "run")
HEADINGS = {"rmse": "RMSE [m]", "rel": "REL", "delta1": "< 1.25 [%]", "delta2": "< 1.25² [%]", "delta3": "< 1.25³ [%]"}
MEAN = "mean depth"
"""The answer that looks at no image: the mean depth of every pixel over the training images."""

FILES = ("depth.json", "depth.png", "curves.png")

Say = Callable[[str], None]
Figures = dict[str, float]


def depth(arguments: list[str], say: Say) -> tuple[dict[str, Any], list[Path]]:
    """Train what is not trained yet and compare; leaves build/<run>/depth/ and returns depth.json and the files.

    Args:
        arguments: the command line; a comparison that was begun has the values of its first command.
        say: shows a line.

    Raises:
        UsageError: a variable that depth does not use.
        BirealError: a value differs from that of the first command; data that cannot be read; see `train_depth`.
    """
    from bireal_hw.training.depth.data import load_depth
    from bireal_hw.training.depth.fit import RECIPES, average

    config = parse_arguments(arguments)
    refuse_others("depth", config, ALLOWED)
    name = config.run or f"{config.model or MODEL}-{config.dataset or DATASET}".replace("/", "-")
    folder = RunDir(BUILD / name / "depth")
    values = _values(folder, name, config)
    spec = ModelSpec(**{key: values[key] for key in ("model", "width", "image", "shortcut_bits")})
    place = Path(config.data) if config.data else None
    say(f"{'rendering' if values['dataset'] == DATASET else 'reading'} the images of {values['dataset']}")
    data = load_depth(values["dataset"], place, values["image"], values["train_images"])
    with folder.locked():
        folder.write_ledger(folder.ledger() | {"values": values})
        first = config.seed or 0
        chosen = NETWORKS if config.real is None else NETWORKS[:1] if config.real else NETWORKS[1:]
        jobs = [(network, seed) for seed in range(first, first + (config.seeds or 1)) for network in chosen]
        for number, (network, seed) in enumerate(jobs, start=1):
            trained = folder.path / f"{network}-{seed}"
            done = ", done before" if (trained / "train.json").exists() else ""
            say(f"training {number} of {len(jobs)}: {network}, seed {seed}{done}")
            if not done:
                _train(trained, RECIPES[network], seed, spec, values["epochs"], data)
        report = {"run": name, "untrained": False, **_report(folder.path, average(data))}
        write_json(folder.path / "depth.json", report)
        _draw(folder.path, report, data)
    return report, [folder.path / file for file in FILES]


def _values(folder: RunDir, name: str, config: BuildConfig) -> dict[str, Any]:
    """Return the values of FIXED: those recorded, or for a new comparison those given and the data set's defaults."""
    from bireal_hw.training.depth.data import depth_defaults

    given = {key: value for key, value in config.given().items() if key in FIXED}
    recorded = folder.ledger()["values"]
    if recorded:
        recorded |= {"image": tuple(recorded["image"])}
        for key, value in given.items():
            if recorded[key] != value:
                raise BirealError(f"run '{name}' has {show(key, recorded[key])}, not {show(key, value)}: {OTHER}")
        return recorded
    default = depth_defaults(given.get("dataset", DATASET))
    return {
        "model": MODEL,
        "dataset": DATASET,
        "shortcut_bits": ModelSpec.shortcut_bits,
        **{key: getattr(default, key) for key in ("width", "image", "train_images", "epochs")},
        **given,
    }


def _train(place: Path, recipe: Recipe, seed: int, spec: ModelSpec, epochs: int, data: DepthData) -> None:
    """Train one network with one seed."""
    from bireal_hw.training.depth.data import depth_defaults
    from bireal_hw.training.depth.fit import train_depth
    from bireal_hw.training.fit import TrainConfig

    place.mkdir(exist_ok=True)
    train_depth(TrainConfig(spec, data.name, epochs, seed, depth_defaults(data.name).batch, recipe), data, place)


def _trained(folder: Path, network: str) -> dict[int, Path]:
    """Return the folders of a network's finished trainings by their seeds, in order."""
    found = {path.parent.name.removeprefix(f"{network}-"): path.parent for path in folder.glob("*/train.json")}
    return {seed: found[str(seed)] for seed in sorted(int(name) for name in found if name.isdecimal())}


def _report(folder: Path, mean: Figures) -> dict[str, Any]:
    """Put all trainings of a comparison into one object (docs/depth.md)."""
    keys = ("model", "dataset", "width", "image", "shortcut_bits", "epochs", "batch", "train_images", "test_images")
    found = {
        network: {seed: read_json(path / "train.json", "measures", "seed", *keys) for seed, path in paths.items()}
        for network in NETWORKS
        if (paths := _trained(folder, network))
    }
    networks = {}
    for network, trainings in found.items():
        one = next(iter(trainings.values()))
        networks[network] = {
            **{key: one[key] for key in ("activation", "weights", "learning_rate", "parameters")},
            "seeds": list(trainings),
            "measures": {key: _spread([each["measures"][key] for each in trainings.values()]) for key in HEADINGS},
            "minutes": round(sum(each["seconds"] for each in trainings.values()) / 60, 1),
        }
    both = [seed for seed in found.get("real", {}) if seed in found.get("binary", {})]
    gap = {key: _spread([_gap(found, seed, key) for seed in both]) for key in HEADINGS} if both else None
    about = {key: one[key] for key in keys}
    nothing = {key: round(value, 6) for key, value in mean.items()}
    return {**about, MEAN.replace(" ", "_"): nothing, "networks": networks, "gap": gap}


def _gap(found: dict[str, dict[int, dict[str, Any]]], seed: int, key: str) -> float:
    return found["binary"][seed]["measures"][key] - found["real"][seed]["measures"][key]


def _spread(values: list[float]) -> Figures:
    found = {"mean": sum(values) / len(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, 6) for name, value in found.items()}


def _draw(folder: Path, report: dict[str, Any], data: DepthData) -> None:
    """Draw what the networks of the lowest seed say, and the curves of all trainings."""
    from bireal_hw.training.depth.fit import load_depth_net
    from bireal_hw.training.depth.picture import save_comparison, save_picture

    trained = {network: _trained(folder, network) for network in report["networks"]}
    nets = {name: load_depth_net(next(iter(paths.values())) / "checkpoint.ckpt")[0] for name, paths in trained.items()}
    save_picture(nets, data, folder / "depth.png")
    histories = {name: [_history(path) for path in paths.values()] for name, paths in trained.items()}
    height, width = report["image"]
    title = f"{report['model']}, width {report['width']:g}, {height}x{width}, {report['dataset']}"
    save_comparison(histories, report["mean_depth"]["delta1"], title, folder / "curves.png")


def _history(place: Path) -> list[dict[str, Any]]:
    with (place / "metrics.csv").open(newline="") as file:
        return [{"epoch": int(row["epoch"]), "test_delta1": float(row["test_delta1"])} for row in csv.DictReader(file)]


def depth_table(report: dict[str, Any]) -> Table:
    """Put depth.json into a table: means over the seeds, the lowest and the highest where there are several."""
    height, width = report["image"]
    title = (
        f"{report['dataset']}, {report['train_images']:,} training and {report['test_images']:,} test images of "
        f"{height}x{width}; {report['model']}, width {report['width']:g}, {report['epochs']} epochs"
    )
    shown = Table(title=title, title_justify="left", show_edge=False)
    shown.add_column("network")
    for heading in HEADINGS.values():
        shown.add_column(heading, justify="right")
    for heading in ("seeds", "minutes"):
        shown.add_column(heading, justify="right")
    shown.add_row(MEAN, *(_number(key, value) for key, value in report["mean_depth"].items()), "", "")
    for name, row in report["networks"].items():
        shown.add_row(name, *_cells(row["measures"]), ", ".join(map(str, row["seeds"])), f"{row['minutes']:g}")
    if report["gap"]:
        shown.add_row("binary - real", *_cells(report["gap"], "+"), "", "")
    return shown


def _cells(figures: dict[str, Figures], sign: str = "") -> list[str]:
    cells = []
    for key, found in figures.items():
        mean, low, high = (_number(key, found[part], sign) for part in ("mean", "lowest", "highest"))
        cells.append(mean if low == high else f"{mean}\n{low} to {high}")
    return cells


def _number(key: str, value: float, sign: str = "") -> str:
    return format(value, f"{sign}.{3 if key in ('rmse', 'rel') else 2}f")


def _depth(arguments: list[str]) -> int:
    report, files = depth(arguments, lambda line: CONSOLE.print(line, soft_wrap=True))
    CONSOLE.print(depth_table(report))
    CONSOLE.print("\n".join(map(str, files)))
    return 0


VERB = Verb(
    "depth", "train a binary and a real-valued network to see depth, and compare them", (*ALLOWED, "config"), _depth
)
