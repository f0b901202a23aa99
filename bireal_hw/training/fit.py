"""Train a Bi-Real network: from a data set and a recipe to a checkpoint, metrics, and the deploy model's accuracy.

The stages of the recipe run one after the other; each begins with the weights of an earlier one. The state after every
epoch and the network after every stage are kept, so an interrupted training goes on where it was.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.console import Console
from torch import nn

from bireal_hw.errors import BirealError, out_of_range
from bireal_hw.export.deploy import snap_to_grid, to_deploy
from bireal_hw.models.bireal import BiReal, build_model
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training.checkpoint import load_checkpoint, read, replacing, save_checkpoint
from bireal_hw.training.data import Data
from bireal_hw.training.defaults import dataset_defaults
from bireal_hw.training.depth.data import DepthData
from bireal_hw.training.evaluate import accuracy
from bireal_hw.training.importers import REMEDY, check_classes, load_weights
from bireal_hw.training.parallel import Processes, device, share_batchnorm, wait
from bireal_hw.training.recipe import PREVIOUS, SCRATCH, Recipe, Stage, is_default, is_file, load_recipe
from bireal_hw.training.stage import SaveEveryEpoch, Setting, StageTraining, begin, prepare, sized, unit_weights

PARTIAL = "partial.ckpt"
STATES, OTHER_FILES = 7, 10**7
"""Most copies of the parameters on the disk: a state holds three (Adam), an old and a new one and the checkpoint; bytes
of what else is left."""
STAGES = "stages"
"""Folder beside the partial file with the network at the end of every stage, for recipes of several."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the outcome of a training run; equal configs on equal data give equal networks.

    spec     the network
    dataset  name, as in train.json
    epochs   passes over the training images, divided among the recipe's stages
    seed     of the weights, the order of the images and the augmentation
    batch    images per step, of all processes together
    recipe   the stages
    init     checkpoint to begin with, ours or one that `importers` reads; None: new weights
    """

    spec: ModelSpec
    dataset: str
    epochs: int
    seed: int = 0
    batch: int = 64
    recipe: Recipe = field(default_factory=load_recipe)
    init: Path | None = None

    def __post_init__(self) -> None:
        for name, good, allowed in (
            ("seed", self.seed >= 0, "at least 0"),
            ("batch", self.batch >= 2, "at least 2"),
        ):
            if not good:
                raise out_of_range(name, getattr(self, name), allowed)
        for stage, epochs in zip(self.recipe.stages, self.recipe.epochs_of(self.epochs), strict=True):
            if stage.schedule == "linear_epochs" and epochs == 1:
                raise BirealError(
                    f"stage '{stage.name}': schedule=linear_epochs has learning rate 0 in its last epoch: "
                    "give it more than one"
                )

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values under one name each, the stages' fields under `stage.field`."""
        recipe = self.recipe.to_json()
        stages = {f"{stage['name']}.{key}": value for stage in recipe.pop("stages") for key, value in stage.items()}
        fields = {"dataset": self.dataset, "epochs": self.epochs, "seed": self.seed, "batch": self.batch}
        used = {key: recipe[key] for key in ("left_out", "precision", "compile", "snap")}
        return (
            self.spec.to_json()
            | fields
            | {"recipe": recipe["name"], "stages": [stage.name for stage in self.recipe.stages]}
            | used
            | stages
            | {"init": str(self.init) if self.init else None}
        )


def default_config(
    spec: ModelSpec,
    dataset: str,
    epochs: int | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    init: Path | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    images: int | None = None,
) -> TrainConfig:
    """Return how a network is trained on a data set.

    Epochs and batch are those given, the data set's, or what the recipe has for the number of training images (None:
    many); a recipe that trains no weights keeps its epochs. A learning rate takes the place of the recipe's highest.

    Raises BirealError for a batch of more than all images, and a learning rate where nothing is trained.
    """
    recipe = recipe or load_recipe()
    if learning_rate is not None:
        recipe = recipe.with_learning_rate(learning_rate)
    if batch and images is not None and batch > images:
        raise out_of_range("batch", batch, f"there are {images:,} training images")
    defaults = dataset_defaults(dataset)
    trains = any(stage.train == "all" for stage in recipe.stages)
    sized = recipe.for_size(images) if trains and images is not None else (recipe.epochs, recipe.batch)
    epochs = epochs or max((trains and defaults.epochs) or sized[0], len(recipe.stages))
    return TrainConfig(spec, dataset, epochs, seed, batch or defaults.batch or sized[1], recipe, init)


def train(
    config: TrainConfig, data: Data, out: Path, partial: Path | None = None, progress: bool = True
) -> dict[str, Any]:
    """Train, evaluate the deploy model, and leave checkpoint.ckpt, train.json, metrics.csv and curves.png in `out`.

    Started by torchrun, all processes call this; the first one writes the files.

    Args:
        config: the run; the same config and data give the same files (but for times), interrupted or not.
        data: images and labels; must have the spec's image size, channels and classes.
        out: folder that exists.
        partial: file that holds the state after every epoch. If it exists the training goes on from there. A file
            named here stays for the caller to remove once the results are where they belong; None takes
            out/partial.ckpt, which is removed at the end. The folder `stages` beside it is left.
        progress: show a progress bar, or lines where the output is no terminal.

    Returns:
        The content of train.json; empty in all processes but the first.

    Raises BirealError for data that does not fit the spec or a checkpoint, for a checkpoint that a stage needs and does
    not find, for a partial file of another run, and when the loss is no longer a finite number (the partial file of the
    last good epoch stays). KeyboardInterrupt leaves the partial file.
    """
    return Run(config, data, out, partial or out / PARTIAL, progress).train(keep_state=partial is not None)


def _resumable(partial: Path, config: TrainConfig) -> dict[str, Any] | None:
    """Return what the partial file says about itself if there is one of this run; of another raises BirealError."""
    if not partial.exists():
        return None
    about = read(partial).get("bireal", {})
    found, want = about.get("config", {}), config.to_json()
    for name in (*want, *found):
        if found.get(name) != want.get(name) and (name in found or not is_default(name, want[name])):
            raise BirealError(
                f"{partial} is an unfinished training with {name}={found.get(name)}, not {want.get(name)}; "
                f"choose another run=, or remove the file to start again"
            )
    return about


@dataclass
class Run:
    """A training under way: its network, and the metrics of the epochs so far.

    The network is a classifier. For another task, a class of its own says in `checked`, `built`, `fitting` and
    `finished` what is checked before, which network is trained, how, and what is said of it in the end.
    """

    config: TrainConfig
    data: Data | DepthData
    out: Path
    state: Path
    progress: bool
    processes: Processes = field(default_factory=Processes.from_environment)
    history: list[dict[str, Any]] = field(default_factory=list)
    model: nn.Module = field(init=False)

    def train(self, keep_state: bool) -> dict[str, Any]:
        """Train and leave the files; return what train.json says. The state is removed at the end unless it is kept."""
        self.checked()
        self.progress = self.progress and self.processes.first
        with _exact_float32(), _quiet():
            self.stages(_resumable(self.state, self.config))
            if not self.processes.first:
                return {}
            result = self.finished()
        save_checkpoint(self.out / "checkpoint.ckpt", self.model, self.config.spec, result)
        with replacing(self.out / "train.json") as part:
            part.write_text(json.dumps(result, indent=2) + "\n")
        if not keep_state:
            self.state.unlink(missing_ok=True)
        return result

    def checked(self) -> None:
        """Raise BirealError if the data does not fit the network, or the batch the processes."""
        spec, data, count = self.config.spec, self.data, self.processes.count
        for name in ("image", "channels", "classes"):
            want, got = getattr(spec, name), getattr(data, name, None)
            if got is not None and want != got:
                raise BirealError(
                    f"the network has {name}={want} but data set '{data.name}' was loaded with {name}={got}"
                )
        if self.config.batch % count:
            raise out_of_range("batch", self.config.batch, f"a multiple of the {count} processes that share it")
        check_device(self.config.recipe)
        for stage in self.config.recipe.stages:
            check_size(stage, spec)
        self.checked_hardware()
        self._checked_disk()

    def checked_hardware(self) -> None:
        """Raise BirealError if the trained network could not become hardware, for what its size alone decides."""
        if self.config.recipe.binary:
            self.config.spec.check_sums()

    def _checked_disk(self) -> None:
        """Raise BirealError if the files of the training will not fit on the disk."""
        if not self.processes.first:
            return
        states = STATES + len(self.config.recipe.stages) * (len(self.config.recipe.stages) > 1)
        needed = 4 * sum(self.config.spec.parameters()) * states + OTHER_FILES
        for folder in (self.out, self.state.parent):
            if folder.is_dir() and (free := shutil.disk_usage(folder).free) < needed:
                raise BirealError(
                    f"the files of this training take up to {needed / 1e6:,.0f} MB, and the disk of {folder} has "
                    f"{free / 1e6:,.0f} MB free: make room there"
                )

    def built(self) -> nn.Module:
        """Build the network with fresh weights from torch's random generator."""
        return build_model(self.config.spec)

    def fitting(self, stage: Stage, setting: Setting, teacher: nn.Module | None) -> StageTraining:
        """Return how the network is trained in a stage."""
        return StageTraining(stage, setting, self.model, teacher)

    def finished(self) -> dict[str, Any]:
        """Evaluate the trained network and return what train.json says."""
        return _finish(self)

    def stages(self, resumed: dict[str, Any] | None) -> None:
        """Train stage by stage, from the one that `resumed` names on."""
        recipe = self.config.recipe
        counts = recipe.epochs_of(self.config.epochs)
        self.model = self._fresh()
        first = 0
        if resumed:
            if self.processes.first and resumed.get("device", device()) != device():
                Console(soft_wrap=True, highlight=False, markup=False).print(
                    f"note: begun on {resumed['device']}, goes on on {device()}: the training is the same, "
                    "its network to the bit is not"
                )
            first = [stage.name for stage in recipe.stages].index(resumed["stage"])
            self.history = list(resumed["history"])
        else:
            self._look_for_files()
        for index, stage in list(enumerate(recipe.stages))[first:]:
            resume = resumed is not None and index == first
            if not resume:
                self._begin(index, stage)
            self._fit(stage, counts[index], sum(counts[:index]), resume)
            if len(recipe.stages) > 1:
                self._keep(stage)
        if recipe.stages[-1].weights == "unscaled":
            unit_weights(self.model)  # whoever reads the weights from here on multiplies with alpha

    def _fresh(self) -> nn.Module:
        torch.manual_seed(self.config.seed)
        return self.built()

    def _begin(self, index: int, stage: Stage) -> None:
        """Give the network the weights that a stage starts from."""
        fresh = stage.start == SCRATCH or (index == 0 and stage.start == PREVIOUS and self.config.init is None)
        if fresh:
            self.model = self._fresh()
        elif index == 0 and stage.start == PREVIOUS:
            assert self.config.init is not None
            self.model = load_weights(self.config.init, self.config.spec, self._class_names)
        elif stage.start != PREVIOUS:
            self.model = self._network(stage, "start")
        begin(self.model, stage, fresh, self.data.train_images)

    def _look_for_files(self) -> None:
        """Raise BirealError for a file that a stage needs and that is missing or does not fit, before the work."""
        for stage in self.config.recipe.stages:
            for role in ("start", "teacher"):
                if is_file(getattr(stage, role)):
                    self._network(stage, role)

    def _source(self, stage: Stage, role: str) -> Path:
        """Return the checkpoint that a stage names as its `start` or `teacher`: of an earlier stage, or any file."""
        name = getattr(stage, role)
        path = Path(name) if is_file(name) else self._stage_file(name)
        if not path.is_file():
            whose = "" if is_file(name) else f", the network at the end of stage '{name}'"
            remedy = "name a file that exists" if is_file(name) else f"remove {self.state} to train it again"
            raise BirealError(f"stage '{stage.name}' needs {path} as its {role}{whose}, which is not there; {remedy}")
        return path

    def _network(self, stage: Stage, role: str) -> BiReal:
        """Load the network that a stage starts from or is taught by."""
        path = self._source(stage, role)
        if role == "start":
            return load_weights(path, self.config.spec, self._class_names)
        model, spec, info = load_checkpoint(path, REMEDY)
        if (spec.image, spec.channels) != (self.data.image, self.data.channels):
            raise BirealError(
                f"stage '{stage.name}': the network of {path} reads images of {spec.image_text} and {spec.channels} "
                f"channels, data set '{self.data.name}' has {self.config.spec.image_text} and {self.data.channels}"
            )
        check_classes(path, spec.classes, info.get("class_names"), self._class_names)
        return model.requires_grad_(False)

    @property
    def _class_names(self) -> tuple[str, ...]:
        return self.data.class_names if isinstance(self.data, Data) else ()

    def _stage_file(self, name: str) -> Path:
        return self.state.parent / STAGES / f"{name}.ckpt"

    def _keep(self, stage: Stage) -> None:
        """Save the network at the end of a stage."""
        if self.processes.first:
            path = self._stage_file(stage.name)
            path.parent.mkdir(exist_ok=True)
            info = {"stage": stage.name, "activation": stage.activation, "weights": stage.weights}
            names = {"class_names": list(self._class_names)}
            save_checkpoint(
                path, self.model, self.config.spec, info | names | {"test_top1": self.history[-1]["test_top1"]}
            )
        wait()

    def _fit(self, stage: Stage, epochs: int, before: int, resume: bool) -> None:
        """Run one stage through Lightning."""
        config, spec = self.config, self.config.spec
        teacher = self._network(stage, "teacher") if stage.teacher else None
        bar = self.progress and Console().is_terminal
        title = f"{spec.model}, width {spec.width:g}, {spec.image_text}, {config.dataset}"
        title += f", recipe {config.recipe.name}, seed {config.seed}"
        setting = Setting(
            self.data, config.dataset, config.batch, config.seed, epochs, before, config.epochs, title, self.out,
            self.progress and not bar, self.processes, compiles(config.recipe) and self.processes.count == 1,
        )  # fmt: skip
        prepare(self.model, stage)
        fitting = self.fitting(stage, setting, teacher)
        fitting.history = self.history
        cpu = not torch.cuda.is_available()
        share_batchnorm(self.model, cpu and self.processes.count > 1)
        save = SaveEveryEpoch(
            self.state,
            lambda: {
                "config": config.to_json(), "stage": stage.name, "history": self.history, "device": device()
            },
        )  # fmt: skip
        trainer = pl.Trainer(
            max_epochs=epochs,
            limit_train_batches=stage.steps or 1.0,
            precision=config.recipe.precision,  # type: ignore[arg-type]
            deterministic=not cpu,  # CPU kernels are; on a GPU they must be chosen
            logger=False,
            enable_model_summary=False,
            enable_progress_bar=bar,
            num_sanity_val_steps=0,
            callbacks=[save, *([_Bar()] if bar else [])],
            default_root_dir=self.out,
            use_distributed_sampler=False,
            **self.processes.trainer_options(),
        )
        try:
            _fit(trainer, fitting, self.state if resume else None)
        except torch.OutOfMemoryError:
            raise BirealError(self._batch_that_fits(fitting)) from None
        share_batchnorm(self.model, False)
        self.model.cpu()

    def _batch_that_fits(self, fitting: StageTraining) -> str:
        """Say which batch the memory of the device has room for, tried by halving."""
        config, count = self.config, self.processes.count
        batch = config.batch
        while batch >= 4 * count and batch % (2 * count) == 0:
            batch //= 2
            if fitting.fits(batch // count, config.recipe.precision):
                return f"batch={config.batch} does not fit into the memory of {device()}: batch={batch} does"
        return f"{device()} has too little memory for this network, at any batch: choose a smaller width= or image="


def check_size(stage: Stage, spec: ModelSpec) -> None:
    """Raise BirealError if a network cannot read the images of a stage."""
    try:
        smaller = replace(spec, image=sized(spec.image, stage.size))
    except BirealError as error:
        raise BirealError(f"stage '{stage.name}', size={stage.size:g} of {spec.image_text}: {error}") from None
    if smaller.stem != spec.stem:
        raise BirealError(
            f"stage '{stage.name}', size={stage.size:g} of {spec.image_text}: images of {smaller.image_text} "
            "have another stem: choose a larger size"
        )


def compiles(recipe: Recipe) -> bool:
    """Tell whether the operators of a step are merged on what is trained on."""
    return recipe.compile == "always" or (recipe.compile == "gpu" and torch.cuda.is_available())


def check_device(recipe: Recipe) -> None:
    """Raise BirealError if what is trained on has no such precision, or no compiler that the recipe wants."""
    cuda = torch.cuda.is_available()
    if recipe.precision == "16-mixed" and not cuda:
        raise BirealError("precision=16-mixed: processors have no float16: choose bf16-mixed or 32-true, or a GPU")
    if recipe.precision == "bf16-mixed" and cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise BirealError(f"precision=bf16-mixed: {device()} has no bfloat16: choose 16-mixed or 32-true")
    if compiles(recipe):
        names = [os.environ.get("CXX", "g++"), *([os.environ.get("CC", "gcc")] if cuda else [])]
        lacking = [name for name in names if not shutil.which(name)]
        if cuda and importlib.util.find_spec("triton") is None:
            lacking.append("the package triton")
        if lacking:
            raise BirealError(
                f"compile={recipe.compile} in recipe '{recipe.name}': torch.compile needs {' and '.join(lacking)}, "
                'which is not here: install it, or write compile = "never"'
            )


def _fit(trainer: pl.Trainer, fitting: StageTraining, resume: Path | None) -> None:
    """Run the trainer; Ctrl-C comes out as KeyboardInterrupt (Lightning leaves with SystemExit, SIGINT ignored)."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(fitting, ckpt_path=str(resume) if resume else None, weights_only=True)
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _finish(run: Run) -> dict[str, Any]:
    """Snap the network to the hardware's grid, evaluate it and its deploy model, and describe the run."""
    started = time.monotonic()
    config, data, model = run.config, run.data, run.model.eval()
    assert isinstance(data, Data)
    assert isinstance(model, BiReal)
    spec, recipe = config.spec, config.recipe
    last = recipe.stages[-1]
    top1_trained = accuracy(model, data.test_images, data.test_labels)
    top1_float, top1_deploy = top1_trained, None
    if recipe.binary:
        deploy = to_deploy(model, spec)
        if recipe.snap:
            snap_to_grid(model, spec)
            top1_float = accuracy(model, data.test_images, data.test_labels)
        top1_deploy = round(accuracy(deploy, data.test_images, data.test_labels), 4)
    binary, real = spec.parameters()
    trained = sum(row["seconds"] for row in run.history)
    ends = {row["stage"]: row for row in run.history}
    return {
        "model": spec.model,
        "dataset": config.dataset,
        "width": spec.width,
        "image": list(spec.image),
        "channels": spec.channels,
        "classes": spec.classes,
        "class_names": list(data.class_names),
        "shortcut_bits": spec.shortcut_bits,
        "recipe": recipe.name,
        "without": ",".join(recipe.left_out) or None,
        "init": str(config.init) if config.init else None,
        "epochs": config.epochs,
        "seed": config.seed,
        "batch": config.batch,
        "precision": recipe.precision,
        "stages": [
            {"name": name, "last_epoch": row["epoch"], "test_top1": row["test_top1"]} for name, row in ends.items()
        ],
        "activation": last.activation,
        "weights": last.weights,
        "learning_rate": last.learning_rate,
        "label_smoothing": last.label_smoothing,
        "params_binary": binary,
        "params_real": real,
        "train_images": len(data.train_images),
        "test_images": len(data.test_images),
        "broken_images": len(data.broken),
        "top1_trained": round(top1_trained, 4),
        "top1_float": round(top1_float, 4),
        "top1_deploy": top1_deploy,
        "device": device(),
        "seconds": round(trained + time.monotonic() - started, 1),
    }


class _Bar(RichProgressBar):
    """Show what the training has read anyway; Lightning's own metrics would be read from the device in every step."""

    def __init__(self) -> None:
        super().__init__(leave=False, theme=RichProgressBarTheme(metrics_format=".3f"))

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return them by name."""
        assert isinstance(pl_module, StageTraining)
        return dict(pl_module.shown)


@contextmanager
def _exact_float32() -> Iterator[None]:
    """Keep TF32 off, so that a GPU computes in float32, and put the settings back afterwards."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's announcements and its advice on data loader workers; errors still come through."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
