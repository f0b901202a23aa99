"""Recipes: a training as a list of named stages, read from a TOML file (no torch here).

A recipe file has a line about itself, numbers for the whole training, and one [[stage]] table per stage, in order.
Every field has a default, so a stage says only what is special about it. docs/training.md lists the fields.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError, out_of_range, unknown
from bireal_hw.toml import read_toml

FOLDER = Path(__file__).parent.parent / "recipes"
DEFAULT = "scratch"

REAL_ACTIVATIONS = ("relu", "leaky_clip", "clip")
SIGNS = ("sign", "straight_sign")
BINARY = ("binary", "binary_larq", "binary_pytorch", "binary_caffe", "unscaled")
CHOICES = {
    "activation": (*REAL_ACTIVATIONS, *SIGNS),
    "weights": ("real", *BINARY),
    "initial": ("uniform", "positive", "glorot"),
    "train": ("all", "batchnorm", "grids"),
    "optimizer": ("adam", "sgd", "muon"),
    "schedule": ("linear", "linear_epochs", "cosine", "steps", "constant"),
    "augment": ("dataset", "crop", "none"),
    "flips": ("random", "alternate"),
    "stem": ("trained", "whitened"),
    "precision": ("32-true", "bf16-mixed", "16-mixed"),
    "compile": ("never", "gpu", "always"),
}
"""Fields that hold one of a few names."""

PREVIOUS, SCRATCH = "previous", "scratch"

EPOCH_STEPS, SMALLEST_BATCH = 16, 16
"""Where a recipe's batch leaves fewer steps an epoch, it is halved, but not below the smallest."""
LEAST_STEPS = 2000
"""Steps of a training: with fewer, no stage gets anywhere, however small the data."""


@dataclass(frozen=True)
class Stage:
    """One step of a recipe; a value that is not possible raises BirealError here.

    name              letters, digits and _; other stages, messages and files call it that
    share             of the epochs, in proportion to the other stages' shares
    start             weights at its beginning: `previous`, `scratch`, the name of an earlier stage, or a checkpoint
    activation        before a binary convolution: relu, leaky_clip, clip, sign (gradient ApproxSign) or straight_sign
    weights           of a binary convolution: real, +-alpha with the gradient of a release (binary_pytorch,
                      binary_caffe, binary_larq) or of the papers' text (binary), or unscaled (+-1)
    unit_weights      set the weights of the binary convolutions to exactly +-1 at the beginning
    weight_clip       keep the latent weights of the binary convolutions in [-1, 1] after every step
    initial           latent weights of `scratch`: uniform (+-0.1), positive (0 to 0.001) or glorot
    size              of the images it trains and tests on, as a part of the network's; the last stage's is 1
    train             all, batchnorm (factors, offsets and statistics only) or grids (no weight at all)
    optimizer         adam, sgd, or muon: Muon for the weights of the binary convolutions, Adam for all else
    learning_rate     of the first step
    momentum          of sgd
    schedule          of the learning rate: linear (each step), linear_epochs (from lr*(1-1/E) in the first epoch to 0
                      in the last), cosine, steps (a tenth after each of `milestones`) or constant
    milestones        parts of the stage, 0 to 1
    weight_decay      on real-valued convolutions, real weights of binary ones, and the classifier
    label_smoothing   share of the target spread over all classes, 0 to 1
    teacher           name of an earlier stage, or a checkpoint file, whose network teaches; "" for none
    distillation      share of the loss that is cross-entropy with the teacher's distribution, 0 to 1; 1: no labels
    augment           dataset (what the data set brings), crop (the same, but photographs are cropped at a random place
                      in place of a random area), none
    flips             of images that augmentation mirrors: random (half of them in each epoch), or alternate (each in
                      every second epoch, half of them in the first)
    stem              the first convolution: trained; or whitened: a new network's is the whitening of its input
                      (`training.stem`), and it stays as it is
    settle            last share of the epochs with the quantizers' grids held still, 0 to 1
    batchnorm_update  share of the batch in BatchNorm's running statistics
    steps             at most so many steps an epoch; 0: all
    """

    name: str
    share: float = 1.0
    start: str = PREVIOUS
    activation: str = "sign"
    weights: str = "binary_pytorch"
    unit_weights: bool = False
    weight_clip: bool = False
    initial: str = "uniform"
    size: float = 1.0
    train: str = "all"
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    schedule: str = "linear"
    milestones: tuple[float, ...] = (0.5, 0.75)
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    teacher: str = ""
    distillation: float = 1.0
    augment: str = "dataset"
    flips: str = "random"
    stem: str = "trained"
    settle: float = 0.25
    batchnorm_update: float = 0.1
    steps: int = 0

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name in (PREVIOUS, SCRATCH):
            raise out_of_range("name", self.name, f"letters, digits and _, and neither {PREVIOUS} nor {SCRATCH}")
        _choices(self)
        for name, good, allowed in (
            ("share", self.share > 0, "above 0"),
            ("size", 0 < self.size <= 1, "above 0, at most 1"),
            ("learning_rate", self.learning_rate >= 0, "at least 0"),
            ("momentum", 0 <= self.momentum < 1, "0 to 1"),
            ("milestones", all(0 < at < 1 for at in self.milestones), "numbers between 0 and 1"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "0 to 1"),
            ("distillation", 0 <= self.distillation <= 1, "0 to 1"),
            ("settle", 0 <= self.settle <= 1, "0 to 1"),
            ("batchnorm_update", 0 < self.batchnorm_update <= 1, "above 0, at most 1"),
            ("steps", self.steps >= 0, "at least 0"),
        ):
            if not good:
                raise out_of_range(name, getattr(self, name), allowed)

    @property
    def binary(self) -> bool:
        """Tell whether activations and weights are signs, as the hardware has them."""
        return self.activation in SIGNS and self.weights in BINARY


@dataclass(frozen=True)
class Recipe:
    """A training: its stages in order, and what holds for all of them.

    name        of the file, without .toml
    about       one line
    epochs      of all stages together, where neither the user nor the data set says
    batch       images per step (of all processes together), where the data set does not say
    precision   32-true, bf16-mixed or 16-mixed: what convolutions compute in; the shortcut streams stay float32
    compile     where torch.compile merges the operators of a step: never, on a GPU alone, always
    snap        end by moving BatchNorm and biases onto the hardware's grid, so that the deploy model is the network
    left_out    techniques that were switched off
    """

    name: str
    stages: tuple[Stage, ...]
    about: str = ""
    epochs: int = 90
    batch: int = 128
    precision: str = "32-true"
    compile: str = "never"
    snap: bool = True
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _choices(self)
        for name, good, allowed in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch", self.batch >= 2, "at least 2"),
            ("stage", len(self.stages) >= 1, "at least one [[stage]] is needed"),
        ):
            if not good:
                raise out_of_range(name, getattr(self, name, "nothing"), allowed)
        seen: list[str] = []
        for stage in self.stages:
            if stage.name in seen:
                raise BirealError(f"two stages are called '{stage.name}': give each a name of its own")
            for key, words in (("start", [PREVIOUS, SCRATCH]), ("teacher", [])):
                value, known = getattr(stage, key), [*words, *seen]
                if value and not is_file(value) and value not in known:
                    raise BirealError(f"stage '{stage.name}': {unknown(key, value, [*known, 'a file *.ckpt'])}")
            seen.append(stage.name)
        if self.stages[-1].size != 1:
            raise out_of_range("size", self.stages[-1].size, f"the last stage, '{seen[-1]}', trains on whole images, 1")

    @property
    def binary(self) -> bool:
        """Tell whether the network it ends with can become hardware."""
        return self.stages[-1].binary

    def epochs_of(self, total: int) -> list[int]:
        """Divide a number of epochs among the stages in proportion to their shares, at least one each.

        >>> Recipe("r", (Stage("a", share=3), Stage("b"), Stage("c", share=0.1))).epochs_of(9)
        [6, 2, 1]
        """
        if total < len(self.stages):
            names = ", ".join(stage.name for stage in self.stages)
            raise out_of_range("epochs", total, f"recipe '{self.name}' has {len(self.stages)} stages ({names})")
        whole = sum(stage.share for stage in self.stages)
        exact = [total * stage.share / whole for stage in self.stages]
        counts = [max(1, int(one)) for one in exact]
        while sum(counts) != total:
            step = 1 if sum(counts) < total else -1
            free = [index for index, count in enumerate(counts) if count + step >= 1]
            counts[max(free, key=lambda index: step * (exact[index] - counts[index]))] += step
        return counts

    def for_size(self, images: int) -> tuple[int, int]:
        """Return (epochs, batch) for a number of training images: the recipe's own, or what few images want.

        >>> recipe = Recipe("r", (Stage("a"),))
        >>> recipe.for_size(100_000), recipe.for_size(1000), recipe.for_size(150)
        ((90, 128), (90, 32), (223, 16))
        """
        batch = self.batch
        while batch >= 2 * SMALLEST_BATCH and images < EPOCH_STEPS * batch:
            batch //= 2
        return max(self.epochs, -(-LEAST_STEPS // steps_of(images, batch))), batch

    def with_learning_rate(self, value: float) -> Recipe:
        """Return the recipe with another highest learning rate; those of the other stages follow in proportion.

        Raises BirealError if no stage has one.
        """
        highest = max((stage.learning_rate for stage in self.stages if stage.train != "grids"), default=0.0)
        if not highest:
            raise BirealError(f"learning_rate={value:g} does not go with recipe '{self.name}': it trains no weight")
        factor = value / highest
        return _each(lambda stage: replace(stage, learning_rate=stage.learning_rate * factor))(self)

    def without(self, technique: str) -> Recipe:
        """Return the recipe with one technique switched off; raises BirealError if it does not use it.

        Techniques are those of TECHNIQUES and the stages by name. Epochs of a stage that goes are the others'.
        """
        by_name = technique in [stage.name for stage in self.stages]
        change = _stage_left_out(technique) if by_name else TECHNIQUES.get(technique)
        changed = change(self) if change else self
        if changed == self:
            used = [name for name, other in TECHNIQUES.items() if other(self) != self]
            stages = [stage.name for stage in self.stages] if len(self.stages) > 1 else []
            raise BirealError(
                f"without={technique}: {unknown(f'technique of recipe {self.name}', technique, [*used, *stages])}"
            )
        return replace(changed, left_out=(*self.left_out, technique))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values; lists for tuples, as JSON gives them back."""
        plain = dataclasses.asdict(self)
        for stage in plain["stages"]:
            stage["milestones"] = list(stage["milestones"])
        return plain | {"stages": list(plain["stages"]), "left_out": list(self.left_out)}


def is_default(key: str, value: Any) -> bool:
    """Tell whether a field of a stage, called `stage.field`, has its default: so did those of versions that lack it.

    >>> is_default("a.flips", "random"), is_default("a.flips", "alternate"), is_default("a.name", "a")
    (True, False, False)
    """
    fields = {field.name: field.default for field in dataclasses.fields(Stage)}
    default = fields.get(key.rpartition(".")[2], dataclasses.MISSING)
    return "." in key and value == (list(default) if isinstance(default, tuple) else default)


def steps_of(images: int, batch: int) -> int:
    """Return the steps of an epoch: whole batches, or a single one of all images."""
    return max(1, images // batch)


def is_file(value: str) -> bool:
    """Tell whether `start` or `teacher` names a file and not a stage."""
    return "/" in value or value.endswith(".ckpt")


# ---- techniques that can be switched off ----


def _each(change: Callable[[Stage], Stage]) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, stages=tuple(change(stage) for stage in recipe.stages))


def _dropped(gone: Callable[[Recipe, Stage], bool]) -> Callable[[Recipe], Recipe]:
    """Leave stages out; a stage that started from one of them starts from what that one started from."""

    def change(recipe: Recipe) -> Recipe:
        starts: dict[str, str] = {}  # of the stages left out
        kept: list[Stage] = []
        before = ""
        for stage in recipe.stages:
            source = before if stage.start == PREVIOUS else stage.start
            start = starts.get(source, stage.start)
            if gone(recipe, stage):
                starts[stage.name] = start
            else:
                teacher = "" if stage.teacher in starts else stage.teacher
                kept.append(replace(stage, start=start, teacher=teacher))
            before = stage.name
        if not kept:
            raise BirealError(f"recipe '{recipe.name}' has no stage left")
        return replace(recipe, stages=tuple(kept))

    return change


def _stage_left_out(name: str) -> Callable[[Recipe], Recipe]:
    return _dropped(lambda recipe, stage: stage.name == name)


def _teaches(recipe: Recipe, stage: Stage) -> bool:
    return any(other.teacher == stage.name for other in recipe.stages)


def _only_teaches(recipe: Recipe, stage: Stage) -> bool:
    """Tell whether nothing is trained from a stage's weights."""
    follower = recipe.stages[recipe.stages.index(stage) + 1 :][:1]
    continued = any(other.start == PREVIOUS for other in follower)
    return _teaches(recipe, stage) and not continued and all(other.start != stage.name for other in recipe.stages)


def _no_teacher(recipe: Recipe) -> Recipe:
    alone = _dropped(_only_teaches)(recipe)
    return _each(lambda stage: replace(stage, teacher=""))(alone)


TECHNIQUES: dict[str, Callable[[Recipe], Recipe]] = {
    "pretraining": _dropped(
        lambda recipe, stage: stage.activation in REAL_ACTIVATIONS and not _teaches(recipe, stage) and recipe.binary
    ),
    "two_steps": _dropped(
        lambda recipe, stage: stage.activation in SIGNS and stage.weights == "real" and recipe.binary
    ),
    "batchnorm_reestimation": _dropped(lambda recipe, stage: stage.train == "batchnorm"),
    "distillation": _no_teacher,
    "approx_sign": _each(
        lambda stage: replace(stage, activation="straight_sign") if stage.activation == "sign" else stage
    ),
    "magnitude_aware": _each(lambda stage: replace(stage, weights="unscaled") if stage.weights in BINARY else stage),
    "weight_clip": _each(lambda stage: replace(stage, weight_clip=False)),
    "weight_decay": _each(lambda stage: replace(stage, weight_decay=0.0)),
    "label_smoothing": _each(lambda stage: replace(stage, label_smoothing=0.0)),
    "augmentation": _each(lambda stage: replace(stage, augment="none")),
    "settle": _each(lambda stage: replace(stage, settle=0.0)),
    "snap": lambda recipe: replace(recipe, snap=False),
}
"""What `without=` switches off, each alone: a function that returns the recipe without it."""


# ---- files ----


def shipped() -> list[str]:
    """Return the names of the recipes that come with the program."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def tried() -> list[str]:
    """Return the names of the recipes that a study holds against `scratch` (docs/ablation.md)."""
    return sorted(f"tried/{path.stem}" for path in FOLDER.glob("tried/*.toml"))


def load_recipe(name: str = DEFAULT, without: str | None = None) -> Recipe:
    """Read a recipe by its name, or a TOML file by its path, and leave out techniques that are separated by commas.

    Raises BirealError for an unknown name, a file that cannot be read, an unknown field or stage, an impossible value,
    and a technique that the recipe does not use.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in (*shipped(), *tried()):
            raise unknown("recipe", name, [*shipped(), *tried(), "a file *.toml"])
        path = FOLDER / f"{name}.toml"
    content = read_toml(path, f"recipe {path}")
    try:
        recipe = parse_recipe(path.stem if path == Path(name) else name, content)
    except BirealError as error:
        raise BirealError(f"recipe {path.name}: {error}") from None
    for technique in without.split(",") if without else ():
        recipe = recipe.without(technique)
    return recipe


def parse_recipe(name: str, content: Mapping[str, Any]) -> Recipe:
    """Turn the content of a recipe file into a Recipe; raises BirealError naming the stage and the field."""
    tables = content.get("stage", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BirealError("stage is no list of tables: write [[stage]] above the fields of each")
    top = {key: value for key, value in content.items() if key != "stage"}
    stages = []
    for number, table in enumerate(tables, start=1):
        called = f"'{table['name']}'" if "name" in table else f"{number}, which has no name"
        try:
            stages.append(Stage(**_fields(Stage, {"name": ""} | table)))
        except BirealError as error:
            raise BirealError(f"stage {called}: {error}") from None
    return Recipe(name, tuple(stages), **_fields(Recipe, top, hidden=("name", "stages", "left_out")))


def _fields(kind: Any, table: Mapping[str, Any], hidden: tuple[str, ...] = ()) -> dict[str, Any]:
    """Check names and types of fields against a dataclass; whole numbers may stand for real ones."""
    known = {field.name: str(field.type) for field in dataclasses.fields(kind) if field.name not in hidden}
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise unknown("field", key, known)
        words = {
            "str": "text in quotes", "int": "a whole number", "float": "a number", "bool": "true or false",
            "tuple[float, ...]": "a list of numbers",
        }  # fmt: skip
        if known[key] == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        elif known[key] == "tuple[float, ...]" and isinstance(value, list):
            if any(isinstance(one, bool) or not isinstance(one, int | float) for one in value):
                raise out_of_range(key, value, f"{words[known[key]]} is needed")
            value = tuple(float(one) for one in value)
        elif known[key] in words and type(value).__name__ != known[key].split("[")[0]:
            raise out_of_range(key, json.dumps(value, default=str), f"{words[known[key]]} is needed")
        found[key] = value
    return found


def _choices(item: Any) -> None:
    for name, allowed in CHOICES.items():
        value = getattr(item, name, None)
        if value is not None and value not in allowed:
            raise unknown(name, value, allowed)
