"""Studies: several networks trained alike but for what their rows say, over several seeds; a table and a plot.

The rows are data, `bireal_hw/studies/VERB.toml`. A row is a name, a label, and variables of `train`; every training is
a run of its own inside of the study's folder, so what is finished is never trained again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from bireal_hw.commands.study_table import HEADINGS, cells, conditions, save_plot
from bireal_hw.commands.study_table import table as markdown
from bireal_hw.commands.verb import CONSOLE, Verb
from bireal_hw.errors import BirealError
from bireal_hw.files import read_json, write_json
from bireal_hw.results.accuracy import ACCURACIES
from bireal_hw.run.build import Build
from bireal_hw.run.config import BuildConfig, UsageError, parse_arguments
from bireal_hw.run.engine import ensure
from bireal_hw.run.network import BUILD, EVIDENCE, OTHER, dataset_name, resolve, show
from bireal_hw.run.rundir import RunDir
from bireal_hw.toml import read_toml

FOLDER = Path(__file__).parent.parent / "studies"
SEEDS = 3
NETWORK = (
    "model", "dataset", "data", "label", "image_column", "width", "image", "channels", "classes", "shortcut_bits",
    "skip_broken",
)  # fmt: skip
TRAINING = ("train_images", "recipe", "epochs", "batch")
OWN = ("seeds", "run")
"""Variables that a study takes: of the network, of its training, and of the study itself."""
KEYS = tuple(one.key for one in ACCURACIES)
"""The accuracies of a training."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A network of a study.

    name    of its folders
    label   in table and plot
    given   variables that it sets, over what the user gives
    start   name of an earlier row whose network of the same seed it begins with; "" for none
    """

    name: str
    label: str
    given: Mapping[str, Any]
    start: str = ""

    def about(self) -> dict[str, Any]:
        """Return what makes it, as plain values."""
        return {"start": self.start or None, **self.given}


@dataclass(frozen=True)
class Study:
    """The rows of a study in order, and its title."""

    verb: str
    title: str
    rows: tuple[Row, ...]

    @property
    def fixed(self) -> set[str]:
        """Variables that every row sets, so that the user has no say in them."""
        return set.intersection(*(set(row.given) for row in self.rows))


def load_study(verb: str) -> Study:
    """Read the rows of a study; their variables are checked as those of a command line are."""
    path = FOLDER / f"{verb}.toml"
    content = read_toml(path, f"study {path}")
    rows = []
    for entry in content["row"]:
        arguments = [f"{key}={value}" for key, value in entry.items() if key not in ("name", "label", "start")]
        rows.append(Row(entry["name"], entry["label"], parse_arguments(arguments).given(), entry.get("start", "")))
    return Study(verb, content["title"], tuple(rows))


def study(verb: str, arguments: list[str], say: Say) -> tuple[dict[str, Any], list[Path]]:
    """Train what is not trained yet; leave <verb>.json, .md and .png in build/<verb>/<run>/ after every training.

    Args:
        verb: the study.
        arguments: its command line; a study that was begun has the values of its first command.
        say: shows a line.

    Returns:
        The content of the JSON file, and the files.

    Raises:
        UsageError: a variable that it does not take, or that its rows set.
        BirealError: a value differs from that of the study's first command, or as `train` does.
    """
    plan, config = load_study(verb), parse_arguments(arguments)
    given = config.given()
    allowed = [name for name in (*NETWORK, *TRAINING, *OWN) if name not in plan.fixed]
    if foreign := next((key for key in given if key not in allowed), None):
        why = f"every row of {verb} sets it" if foreign in plan.fixed else f"{verb} does not use it"
        raise UsageError(f"{show(foreign, given[foreign])}: {why}; it takes {', '.join(allowed)}")
    folder = RunDir(BUILD / verb / (config.run or dataset_name(config).replace("/", "-")))
    with folder.locked():
        config = _settings(folder, plan, config)
        seeds = list(range(config.seeds or SEEDS))
        jobs = [(row, seed) for seed in seeds for row in plan.rows]
        trained: dict[str, list[dict[str, Any]]] = {row.name: [] for row in plan.rows}
        for number, (row, seed) in enumerate(jobs, start=1):
            say(f"training {number} of {len(jobs)}: {row.label}, seed {seed}")
            trained[row.name].append(_train(folder.path, row, seed, config))
            report = _report(folder.path.name, plan, trained, len(jobs))
            files = _write(folder, verb, report)
    return report, files


def _settings(folder: RunDir, plan: Study, config: BuildConfig) -> BuildConfig:
    """Record what the study is about, or go on with what was recorded; what left no training binds nobody.

    Raises BirealError for a value that differs, and for rows that another version of the program had.
    """
    given = {key: value for key, value in config.given().items() if key not in OWN}
    given = {"dataset": dataset_name(config)} | given
    rows = {row.name: row.about() for row in plan.rows}
    ledger = folder.ledger()
    recorded = ledger["values"]
    if recorded and any(path.name in EVIDENCE for path in folder.path.glob("*/*.ckpt")):
        before = {key: tuple(value) if key == "image" else value for key, value in recorded["given"].items()}
        before = {key: value for key, value in before.items() if key != "data" or "data" not in given}
        for key, value in given.items():
            if key != "data" and before.get(key) != value:
                was = show(key, before.get(key))
                raise BirealError(f"{plan.verb} '{folder.path.name}' has {was}, not {show(key, value)}: {OTHER}")
        for name, about in rows.items():
            if recorded["rows"].get(name, about) != about:
                raise BirealError(f"{plan.verb} '{folder.path.name}' was begun with another row '{name}': {OTHER}")
        given = before | given
    folder.write_ledger(ledger | {"values": {"given": given, "rows": rows}})
    return replace(config, **given)


def _train(folder: Path, row: Row, seed: int, config: BuildConfig) -> dict[str, Any]:
    """Train a row with a seed, unless that is done; return its train.json."""
    start: dict[str, Any] = {"init": str(_place(folder, row.start, seed) / "checkpoint.ckpt")} if row.start else {}
    config = replace(config, **row.given, **start, seed=seed, run=None, seeds=None)
    build = Build(config, RunDir(_place(folder, row.name, seed)), {})
    with build.run.locked():
        build.values = resolve(config, build.run)
        ensure(build, "train")
        return read_json(build.path / "train.json", *KEYS, "seconds")


def _place(folder: Path, row: str, seed: int) -> Path:
    return folder / f"{row}-{seed}"


def _report(name: str, plan: Study, trained: dict[str, list[dict[str, Any]]], wanted: int) -> dict[str, Any]:
    """Put the trainings so far into the content of the JSON file (docs/ablation.md)."""
    first = trained[plan.rows[0].name][0]
    keys = ("dataset", "width", "image", "channels", "classes", "train_images", "test_images", "epochs", "batch")
    every = [one for trainings in trained.values() for one in trainings]
    rows = [_row(row, trained[row.name]) for row in plan.rows if trained[row.name]]
    return {
        "study": plan.verb,
        "title": plan.title,
        "run": name,
        **{key: first[key] for key in keys},
        "seeds": sorted({one["seed"] for one in every}),
        "devices": sorted({one.get("device", "unknown") for one in every}),
        "minutes": round(sum(one["seconds"] for one in every) / 60, 1),
        "trainings": len(every),
        "trainings_wanted": wanted,
        "rows": [row | compared(row, _reference(row, rows)) for row in rows],
    }


def _reference(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row that a row is compared with: the one that it starts from, or else the one above it."""
    if row["start"]:
        return next(one for one in rows if one["name"] == row["start"])
    place = rows.index(row)
    return rows[place - 1] if place else None


def _row(row: Row, trainings: list[dict[str, Any]]) -> dict[str, Any]:
    """Summarise the trainings of a row; accuracies are percent of the test images."""
    deploy = [one["top1_deploy"] for one in trainings]
    mean = {key: _mean([one[key] for one in trainings]) for key in KEYS}
    keys = ("seed", *KEYS, "seconds")
    return {
        "name": row.name,
        "label": row.label,
        **row.about(),
        **{key: trainings[0][key] for key in ("model", "recipe", "without", "epochs", "shortcut_bits")},
        **mean,
        "lowest": min(deploy),
        "highest": max(deploy),
        "minutes": round(sum(one["seconds"] for one in trainings) / 60, 1),
        "trainings": [{key: one[key] for key in keys} for one in trainings],
    }


def compared(row: Mapping[str, Any], other: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return how much higher the mean of a row is than that of another, and whether the seeds can tell.

    They can if there are two at least and every one of one row is above every one of the other.

    >>> row = {"top1_deploy": 50, "lowest": 49, "highest": 51, "trainings": [1, 2]}
    >>> compared(row, {"top1_deploy": 45, "lowest": 41, "highest": 49, "trainings": [1, 2]})
    {'gain': 5, 'beyond_spread': False}
    """
    if other is None:
        return {"gain": None, "beyond_spread": None}
    gain = round(row["top1_deploy"] - other["top1_deploy"], 4)
    if min(len(row["trainings"]), len(other["trainings"])) < 2:
        return {"gain": gain, "beyond_spread": None}
    return {"gain": gain, "beyond_spread": row["lowest"] > other["highest"] or row["highest"] < other["lowest"]}


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4)


def _write(folder: RunDir, verb: str, report: dict[str, Any]) -> list[Path]:
    """Replace the files of the study, all at once."""
    names = [f"{verb}.json", f"{verb}.md", f"{verb}.png"]
    with folder.publish(verb, names, {}) as stage:
        write_json(stage / names[0], report)
        (stage / names[1]).write_text(markdown(report))
        save_plot(report, stage / names[2])
    return [folder.path / name for name in names]


def _verb(name: str, help: str) -> Verb:
    def run(arguments: list[str]) -> int:
        report, files = study(name, arguments, CONSOLE.print)
        table = Table(title=report["title"], caption=conditions(report), title_justify="left", caption_justify="left")
        for heading in HEADINGS:
            table.add_column(heading, justify="left" if heading == HEADINGS[0] else "right")
        for row in report["rows"]:
            table.add_row(*cells(row))
        CONSOLE.print(table)
        CONSOLE.print("\n".join(map(str, files)))
        return 0

    return Verb(name, help, (*NETWORK, *TRAINING, *OWN, "config"), run)


ABLATION = _verb("ablation", "train what each technique adds, over several seeds: a table and a plot")
STUDY = _verb("study", "train with a shortcut stream of 16 to 8 bits, over several seeds: a table and a plot")
