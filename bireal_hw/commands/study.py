"""Studies: several networks trained alike but for what their rows say, over several seeds; a table and a plot.

The rows are data, `bireal_hw/studies/VERB.toml`. A row is a name, a label, and variables of `train`; every training is
a run of its own inside of the study's folder, so what is finished is never trained again. A row with several learning
rates is trained at each of them with the first seed, and at the best of them with the others; where it diverges at a
rate, that is told and the rate passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from bireal_hw.commands.study_table import columns, conditions, save_plot
from bireal_hw.commands.study_table import table as markdown
from bireal_hw.commands.verb import CONSOLE, Verb
from bireal_hw.errors import BirealError, DivergedError, unknown
from bireal_hw.files import read_json, write_json
from bireal_hw.results.accuracy import ACCURACIES, DEPLOY, FLOAT
from bireal_hw.run.build import Build
from bireal_hw.run.config import BuildConfig, UsageError, parse_arguments
from bireal_hw.run.engine import ensure, refuse
from bireal_hw.run.network import BUILD, EVIDENCE, OTHER, dataset_name, resolve, show
from bireal_hw.run.rundir import RunDir
from bireal_hw.toml import read_toml
from bireal_hw.training.recipe import is_default, load_recipe

FOLDER = Path(__file__).parent.parent / "studies"
SEEDS = 3
NETWORK = (
    "model", "dataset", "data", "label", "image_column", "width", "image", "channels", "classes", "shortcut_bits",
    "skip_broken",
)  # fmt: skip
TRAINING = ("train_images", "recipe", "epochs", "batch")
OWN = ("rows", "seeds", "run")
"""Variables that a study takes: of the network, of its training, and of the study itself."""
ROW = ("name", "label", "start", "over", "learning_rates")
"""Fields of a row; the others are variables of `train`."""
KEYS = tuple(one.key for one in ACCURACIES)
"""The accuracies of a training."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A network of a study.

    name            of its folders
    label           in table and plot
    given           variables that it sets, over what the user gives
    start           name of an earlier row whose network of the same seed it begins with; "" for none
    over            name of an earlier row that its gain is over; "" for the one above
    learning_rates  to choose from; none: the recipe's
    """

    name: str
    label: str
    given: Mapping[str, Any]
    start: str = ""
    over: str = ""
    learning_rates: tuple[float, ...] = ()

    def about(self) -> dict[str, Any]:
        """Return what makes it, as plain values."""
        rates = {"learning_rates": list(self.learning_rates)} if self.learning_rates else {}
        return {"start": self.start or None, **rates, **self.given}

    def recorded(self) -> dict[str, Any]:
        """Return what must be the same for its trainings to be compared: what makes it, and its recipe in full."""
        if "recipe" not in self.given:
            return self.about()
        return self.about() | {"stages": load_recipe(self.given["recipe"], self.given.get("without")).to_json()}


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

    def only(self, names: Sequence[str]) -> Study:
        """Return the study of these rows and of those that they start from; raises BirealError for an unknown one."""
        known = {row.name: row for row in self.rows}
        if (foreign := next((name for name in names if name not in known), None)) is not None:
            raise BirealError(unknown(f"row of {self.verb}", foreign, known))
        wanted = set(names)
        for row in reversed(self.rows):
            if row.name in wanted:
                wanted.add(row.start)
        return replace(self, rows=tuple(row for row in self.rows if row.name in wanted))


@dataclass(frozen=True)
class Training:
    """A training of a study.

    rate     its learning rate; None: the recipe's
    content  its train.json; empty where it diverged
    """

    row: Row
    rate: float | None
    seed: int
    content: Mapping[str, Any]

    @property
    def accuracy(self) -> float:
        """Of the deploy model, or of a real-valued network, which has none; in percent of the test images."""
        deploy = self.content[DEPLOY.key]
        return float(self.content[FLOAT.key] if deploy is None else deploy)


def load_study(verb: str) -> Study:
    """Read the rows of a study; their variables are checked as those of a command line are."""
    path = FOLDER / f"{verb}.toml"
    content = read_toml(path, f"study {path}")
    rows = []
    for entry in content["row"]:
        own = {key: value for key, value in entry.items() if key in ROW}
        arguments = [f"{key}={value}" for key, value in entry.items() if key not in ROW]
        rates = tuple(own.pop("learning_rates", ()))
        rows.append(Row(**own, given=parse_arguments(arguments).given(), learning_rates=rates))
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
        DivergedError: a row diverged at its only learning rate, at all of them, or at the best with another seed.
    """
    plan, config = load_study(verb), parse_arguments(arguments)
    given = config.given()
    allowed = [name for name in (*NETWORK, *TRAINING, *OWN) if name not in plan.fixed]
    if foreign := next((key for key in given if key not in allowed), None):
        why = f"every row of {verb} sets it" if foreign in plan.fixed else f"{verb} does not use it"
        raise UsageError(f"{show(foreign, given[foreign])}: {why}; it takes {', '.join(allowed)}")
    chosen = plan.only(config.rows.split(",")) if config.rows else plan
    folder = RunDir(BUILD / verb / (config.run or dataset_name(config).replace("/", "-")))
    with folder.locked():
        config, plan = _settings(folder, plan, config), chosen
        for row in plan.rows:
            _check_epochs(row, replace(config, **row.given))
        wanted = sum(len(row.learning_rates) or 1 for row in plan.rows) + ((config.seeds or SEEDS) - 1) * len(plan.rows)
        trained: list[Training] = []
        for seed in range(config.seeds or SEEDS):
            for row in plan.rows:
                for rate in _rates(row, trained):
                    at = f" at learning rate {rate:g}" if rate else ""
                    say(f"training {len(trained) + 1} of {wanted}: {row.label}, seed {seed}{at}")
                    try:
                        content = _train(folder.path, row, rate, seed, trained, config)
                    except DivergedError as error:
                        if seed or len(row.learning_rates) < 2:
                            raise
                        say(f"diverged: {error}")
                        content = {}
                    trained.append(Training(row, rate, seed, content))
                    if any(one.content for one in trained):
                        report = _report(folder.path.name, plan, trained, wanted)
                        files = _write(folder, verb, report)
                if not _best(row, trained):
                    rates = ", ".join(f"{rate:g}" for rate in row.learning_rates)
                    raise DivergedError(f"row '{row.name}' diverged at each of its learning rates {rates}")
    return report, files


def _check_epochs(row: Row, config: BuildConfig) -> None:
    """Raise BirealError if a row's recipe has more stages than epochs."""
    if config.epochs and config.recipe:
        try:
            load_recipe(config.recipe, config.without).epochs_of(config.epochs)
        except BirealError as error:
            raise BirealError(f"row '{row.name}': {error}") from None


def _rates(row: Row, trained: list[Training]) -> Sequence[float | None]:
    """Return the learning rates that a row is trained at with the next seed: all, or the best of the seed before."""
    best = _best(row, trained)
    return [best.rate] if best else row.learning_rates or [None]


def _best(row: Row, trained: list[Training]) -> Training | None:
    """Return the training of a row's first seed with the highest accuracy; None where it has none yet."""
    first = [one for one in trained if one.row == row and one.seed == 0 and one.content]
    return max(first, key=lambda one: one.accuracy, default=None)


def _settings(folder: RunDir, plan: Study, config: BuildConfig) -> BuildConfig:
    """Record what the study is about, or go on with what was recorded; what left no training binds nobody.

    Raises BirealError for a value that differs, and for rows that another version of the program had.
    """
    given = {key: value for key, value in config.given().items() if key not in OWN}
    given = {"dataset": dataset_name(config)} | given
    rows = {row.name: row.recorded() for row in plan.rows}
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
            if not _same(recorded["rows"].get(name, about), about):
                raise BirealError(f"{plan.verb} '{folder.path.name}' was begun with another row '{name}': {OTHER}")
        given = before | given
    folder.write_ledger(ledger | {"values": {"given": given, "rows": rows}})
    return replace(config, **given)


def _same(before: Any, now: Any) -> bool:
    """Tell whether two values of JSON are equal; fields of a stage that an earlier version lacks have their default."""
    if isinstance(before, dict) and isinstance(now, dict):
        lacking = {name: value for name, value in now.items() if name not in before}
        shared = before.keys() & now.keys()
        return (
            before.keys() <= now.keys()
            and all(is_default(f"stage.{name}", value) for name, value in lacking.items())
            and all(_same(before[name], now[name]) for name in shared)
        )
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_same, before, now))
    return bool(before == now)


def _train(
    folder: Path, row: Row, rate: float | None, seed: int, trained: list[Training], config: BuildConfig
) -> dict[str, Any]:
    """Train a row with a seed at a learning rate (None: the recipe's), unless that is done; return its train.json."""
    start: dict[str, Any] = {}
    if row.start:
        source = next(one.row for one in trained if one.row.name == row.start)
        best = _best(source, trained)
        start = {"init": str(_place(folder, source, best.rate if best else None, seed) / "checkpoint.ckpt")}
    config = replace(config, **row.given, **start, learning_rate=rate, seed=seed, run=None, seeds=None, rows=None)
    build = Build(config, RunDir(_place(folder, row, rate, seed)), {})
    with build.run.locked():
        build.values = resolve(config, build.run)
        refuse(build, "train")
        ensure(build, "train")
        return read_json(build.path / "train.json", *KEYS, "seconds")


def _place(folder: Path, row: Row, rate: float | None, seed: int) -> Path:
    return folder / (f"{row.name}-at-{rate:g}-{seed}" if rate else f"{row.name}-{seed}")


def _report(name: str, plan: Study, trained: list[Training], wanted: int) -> dict[str, Any]:
    """Put the trainings so far into the content of the JSON file (docs/ablation.md)."""
    every = [one.content for one in trained if one.content]
    first = every[0]
    keys = ("dataset", "width", "image", "channels", "classes", "train_images", "test_images", "epochs", "batch")
    rows = [_row(row, trained) for row in plan.rows if _best(row, trained)]
    return {
        "study": plan.verb,
        "title": plan.title,
        "run": name,
        **{key: first[key] for key in keys},
        "seeds": sorted({one["seed"] for one in every}),
        "devices": sorted({one.get("device", "unknown") for one in every}),
        "minutes": round(sum(one["seconds"] for one in every) / 60, 1),
        "trainings": len(trained),
        "trainings_wanted": wanted,
        "rows": [row | compared(row, _reference(row, rows)) for row in rows],
    }


def _reference(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row that a row's gain is over: the one that it names, or else the one above it."""
    if row["over"]:
        return next((one for one in rows if one["name"] == row["over"]), None)
    place = rows.index(row)
    return rows[place - 1] if place else None


def _row(row: Row, trained: list[Training]) -> dict[str, Any]:
    """Summarise the trainings of a row at its best learning rate; accuracies are percent of the test images.

    Those of a real-valued network, which has no deploy model, are of the network in floating point.
    """
    best = _best(row, trained)
    assert best
    own = [one for one in trained if one.row == row]
    kept = [one for one in own if one.rate == best.rate]
    trainings = [{**one.content, "accuracy": one.accuracy} for one in kept]
    shown = [one.accuracy for one in kept]
    mean = {key: _mean([one[key] for one in trainings]) for key in KEYS if trainings[0][key] is not None}
    keys = ("seed", *KEYS, "accuracy", "seconds")
    return {
        "name": row.name,
        "label": row.label,
        **row.about(),
        "over": row.over or None,
        **{key: trainings[0][key] for key in ("model", "recipe", "without", "epochs", "shortcut_bits")},
        "learning_rate": best.rate,
        "tried": {f"{one.rate:g}": one.accuracy if one.content else None for one in own if one.rate and one.seed == 0},
        **dict.fromkeys(KEYS),
        **mean,
        "accuracy": _mean(shown),
        "lowest": min(shown),
        "highest": max(shown),
        "minutes": round(sum(one.content.get("seconds", 0) for one in own) / 60, 1),
        "trainings": [{key: one[key] for key in keys} for one in trainings],
    }


def compared(row: Mapping[str, Any], other: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return how much higher the mean of a row is than that of another, and whether the seeds can tell.

    They can if there are two at least and every one of one row is above every one of the other.

    >>> row = {"accuracy": 50, "lowest": 49, "highest": 51, "trainings": [1, 2]}
    >>> compared(row, {"accuracy": 45, "lowest": 41, "highest": 49, "trainings": [1, 2]})
    {'gain': 5, 'beyond_spread': False}
    """
    if other is None:
        return {"gain": None, "beyond_spread": None}
    gain = round(row["accuracy"] - other["accuracy"], 4)
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
        found = columns(report)
        for heading in found:
            table.add_column(heading, justify="left" if heading == "row" else "right")
        for cells in zip(*found.values(), strict=True):
            table.add_row(*cells)
        CONSOLE.print(table)
        CONSOLE.print("\n".join(map(str, files)))
        return 0

    return Verb(name, help, (*NETWORK, *TRAINING, *OWN, "config"), run)


ABLATION = _verb("ablation", "train what each technique adds, over several seeds: a table and a plot")
RECIPES = _verb("recipes", "train by recipes that differ in one thing, over several seeds: a table and a plot")
STUDY = _verb("study", "train with a shortcut stream of 16 to 8 bits, over several seeds: a table and a plot")
