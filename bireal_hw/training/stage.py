"""One stage of a training as a Lightning module: batches, loss, optimizer, schedule, a row of metrics an epoch."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Checkpoint
from rich.console import Console
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader, Dataset, Sampler

from bireal_hw.errors import BirealError, DivergedError
from bireal_hw.models.bireal import set_observing
from bireal_hw.models.modes import binary_convs, set_modes
from bireal_hw.models.quantizers import hard_sign
from bireal_hw.training.augment import Augment, draw_crops, shrunk
from bireal_hw.training.checkpoint import replacing
from bireal_hw.training.curves import save_curves
from bireal_hw.training.data import Data
from bireal_hw.training.defaults import dataset_defaults
from bireal_hw.training.depth.data import DepthData
from bireal_hw.training.evaluate import accuracy
from bireal_hw.training.images import LazyImages
from bireal_hw.training.muon import Muon
from bireal_hw.training.parallel import Processes, total
from bireal_hw.training.recipe import Stage, steps_of
from bireal_hw.training.stem import IMAGES, Images, first_conv, whiten

WORKERS = 8
"""Processes per training process that decode images which do not fit in memory."""

WATCH = 100
"""Steps between two looks at whether the loss is finite: reading a number makes the host wait for the device."""

FLIPS = 1_000_000
"""In place of an epoch, for the seed of what is mirrored first where flips alternate."""

Batch = tuple[Tensor | str, Tensor, int]
"""images uint8, labels, seed of its augmentation; in place of the images, why something cannot be decoded"""

Index = tuple[Tensor, int, Tensor | None]
"""Positions in the data set, seed of the augmentation, and which images are mirrored, where chance does not say"""


class _Rows(Dataset[Batch]):
    """Images and labels of an `Index`; where they fit in memory they lie on `device` from the start."""

    def __init__(self, data: Data | DepthData, augment: Augment, part: tuple[int, int], device: torch.device) -> None:
        self.images, self.labels, self.augment, self.part = data.train_images, data.train_labels, augment, part
        if isinstance(self.images, Tensor) and isinstance(self.labels, Tensor):
            self.images, self.labels = self.images.to(device), self.labels.to(device)

    def __getitem__(self, index: Index) -> Batch:
        positions, seed, mirrored = index
        try:
            if isinstance(self.images, Tensor):
                positions = positions.to(self.images.device, non_blocking=True)
                images = self.images[positions]
            elif isinstance(self.images, LazyImages) and self.augment.crop:
                draws = draw_crops(len(positions), torch.Generator().manual_seed(seed + 1), self.part)
                images = self.images.cropped(positions, self.augment.crop, draws)
            else:
                images = self.images[positions]
            if mirrored is not None:
                images = torch.where(mirrored.view(-1, 1, 1, 1).to(images.device), images.flip(3), images)
            return images, self.labels[positions], seed
        except BirealError as error:  # an exception would come out of a worker process as its whole traceback
            return str(error), torch.empty(0), seed


class _Order(Sampler[Index]):
    """The `Index` of each batch; it depends on the run's seed and the epoch alone, resumed or not.

    The last incomplete batch is left out, unless it is the only one: BatchNorm over a few images is noise. A process
    gets its part of every batch. With `alternate` an image is mirrored in every second epoch (airbench; Jordan 2024).
    """

    def __init__(
        self, count: int, batch: int, seed: int, first_epoch: int, part: tuple[int, int], alternate: bool = False
    ) -> None:
        self.count, self.batch, self.seed, self.first_epoch, self.part = count, batch, seed, first_epoch, part
        self.alternate = alternate
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return steps_of(self.count, self.batch)

    def __iter__(self) -> Iterator[Index]:
        # A generator, as Lightning makes the iterator before it sets the epoch: what counts is the first batch.
        epoch = self.first_epoch + self.epoch
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(_seed(self.seed, epoch, 0)))
        first = torch.rand(self.count, generator=torch.Generator().manual_seed(_seed(self.seed, FLIPS, 0))) < 0.5
        for step, positions in enumerate(order[: len(self) * self.batch].split(self.batch), start=1):
            size = len(positions) - len(positions) % self.part[1]
            own = positions[:size][self.part[0] :: self.part[1]]
            yield own, _seed(self.seed, epoch, step), first[own] ^ bool(epoch % 2) if self.alternate else None


def _seed(seed: int, epoch: int, step: int) -> int:
    """Return a seed that depends on where in the training it is used, and on nothing else."""
    return (seed * 1_000_003 + epoch) * 1_000_003 + step


@dataclass(frozen=True)
class Setting:
    """What a stage is told about the run it belongs to.

    data, dataset    what it trains on
    batch, seed      of the run
    epochs           of this stage
    first_epoch      epochs of the stages before it
    last_epoch       of the whole run
    title            of the curves
    folder           for metrics.csv and curves.png
    say              print a line an epoch
    processes        that train together
    compile          merge the operators of a step
    """

    data: Data | DepthData
    dataset: str
    batch: int
    seed: int
    epochs: int
    first_epoch: int
    last_epoch: int
    title: str
    folder: Path
    say: bool
    processes: Processes
    compile: bool = False


class StageTraining(pl.LightningModule):
    """Train a network by one stage of a recipe; `history` holds a row of metrics for every epoch of the run.

    The network is a classifier. For another task, a class of its own says what `_augmentation`, `_prepared`,
    `_loss`, `_hits` and `_test` are, and in `score` and `scored` what the percentage in curves and progress is called.
    """

    score, scored = "top1", "top-1 accuracy"

    def __init__(self, stage: Stage, setting: Setting, model: nn.Module, teacher: nn.Module | None = None) -> None:
        super().__init__()
        self.stage, self.setting, self.model = stage, setting, model
        self.history: list[dict[str, Any]] = []
        self._teacher = [teacher] if teacher else []  # in a list, so that its weights are not taken for the student's
        self._augment = self._augmentation()
        self._image = sized(setting.data.image, stage.size)
        data, part = setting.data, setting.processes.part
        self._order = _Order(
            len(data.train_images), setting.batch, setting.seed, setting.first_epoch, part, self._alternate()
        )
        self._steps = steps_an_epoch(stage, len(data.train_images), setting.batch)
        self.shown: dict[str, float] = {}
        """What a progress bar shows beside the steps."""
        self._started = 0.0
        self._sums = torch.zeros(3, dtype=torch.float64)  # loss, hits, images
        self._lost = torch.zeros(2, dtype=torch.float64)  # images before the first loss that is not finite; that loss

    def train_dataloader(self) -> DataLoader[Any]:
        """Read batches; images that do not fit in memory are decoded by processes of their own."""
        rows = _Rows(self.setting.data, self._augment, self.setting.processes.part, self.device)
        workers = 0 if isinstance(self.setting.data.train_images, Tensor) else WORKERS
        return DataLoader(rows, sampler=self._order, batch_size=None, num_workers=workers)

    def configure_optimizers(self) -> Any:
        """Make the optimizer and the schedule of its learning rate."""
        stage = self.stage
        groups = self._groups()
        optimizer: torch.optim.Optimizer
        if stage.optimizer == "adam":
            optimizer = torch.optim.Adam(groups, lr=stage.learning_rate, fused=True)
        elif stage.optimizer == "muon":
            optimizer = Muon(groups, lr=stage.learning_rate)
        else:
            optimizer = torch.optim.SGD(groups, lr=stage.learning_rate, momentum=stage.momentum, fused=True)
        factor = schedule(stage, self._steps, self.setting.epochs)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _groups(self) -> list[dict[str, Any]]:
        """Tell apart what has weight decay, what has none, and for Muon the weights of the binary convolutions."""
        stage, decay = self.stage, self.stage.weight_decay
        binary = {id(conv.weight) for conv in binary_convs(self.model)}
        kept = set() if stage.weights == "real" else binary  # from decay
        decayed: list[Tensor] = []
        free: list[Tensor] = []
        turned: list[Tensor] = []
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                spared = parameter.squeeze().dim() < 2 or id(parameter) in kept
                muon = stage.optimizer == "muon" and id(parameter) in binary
                (turned if muon else free if spared else decayed).append(parameter)
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": decay},
            {"params": free},
            {"params": turned, "orthogonal": True, "weight_decay": 0.0 if kept else decay},
        ]
        return [group for group in groups if group["params"]] or [{"params": list(self.model.parameters())}]

    def on_fit_start(self) -> None:
        """Put the teacher where the student is, and images to test on that fit in memory."""
        for teacher in self._teacher:
            teacher.to(self.device)
        data = self.setting.data
        if isinstance(data, Data):
            images = data.test_images
            if isinstance(images, Tensor):
                images = images.to(self.device)
                if self._image != data.image:
                    images = torch.cat([shrunk(some, self._image) for some in images.split(1024)])
            elif self._image != images.image:
                images = LazyImages(images.pictures, self._image, data.channels, images.view)
            self._tests = images, data.test_labels
        if self.setting.compile and self.stage.train != "batchnorm":  # which computes otherwise in every step
            torch.compiler.reset()  # what stages before have left counts against the compiler's limit
            self.answered = torch.compile(self.answered, fullgraph=True)  # type: ignore[method-assign]

    def on_train_start(self) -> None:
        """Set the modes again: where weights were loaded to go on from, Brevitas has made its quantizers anew."""
        set_modes(self.model, self.stage.activation, self.stage.weights)

    def on_train_epoch_start(self) -> None:
        """Start the sums of an epoch; hold the grids still in the last of them."""
        self._started = time.monotonic()
        self._sums, self._lost = (torch.zeros_like(one, device=self.device) for one in (self._sums, self._lost))
        set_observing(self.model, self.current_epoch < self.setting.epochs * (1 - self.stage.settle))
        if self.stage.train == "grids":
            for module in self.model.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Let BatchNorm's statistics become a plain mean; its own count of batches would be read from the device."""
        if self.stage.train == "batchnorm":
            for module in self.model.modules():
                if isinstance(module, _BatchNorm):
                    module.momentum = 1 / (self.global_step + 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the loss of a batch; None where no weight is trained."""
        images, labels, seed = batch
        if isinstance(images, str):
            raise BirealError(images)
        pixels, labels = self._prepared(images, labels, torch.Generator().manual_seed(seed))
        loss, hits = self.answered(pixels, labels)
        with torch.no_grad():
            lost = torch.stack([self._sums[2], loss.double()])
            self._lost = torch.where(loss.isfinite() | ~self._lost[1].isfinite(), self._lost, lost)
            self._sums[0] += loss * len(labels)
            self._sums[1] += hits
            self._sums[2] += len(labels)
        if (batch_idx + 1) % WATCH == 0:
            self._check_loss()
        return None if self.stage.train == "grids" else loss

    def answered(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch and how many of it are right: all that a step computes forward."""
        logits = self.model(pixels)
        return self._loss(pixels, logits, labels), self._hits(logits.detach(), labels)

    def fits(self, batch: int, precision: str) -> bool:
        """Tell whether the device has room for a step with so many images."""
        self.model.zero_grad(set_to_none=True)
        half = torch.float16 if precision == "16-mixed" else torch.bfloat16
        try:
            some = torch.zeros(batch, dtype=torch.long)  # the first image, so many times
            pixels = self.setting.data.train_images[some].to(self.device, torch.float32)
            labels = self.setting.data.train_labels[some].to(self.device)
            with torch.autocast(self.device.type, half, enabled=precision != "32-true"):
                loss, _ = StageTraining.answered(self, pixels, labels)
            loss.backward()
        except torch.OutOfMemoryError:
            return False
        return True

    def _check_loss(self) -> None:
        """Raise DivergedError if the loss of some step of the epoch was not finite; else show its mean."""
        images, value = self._lost.tolist()
        if not math.isfinite(value):
            step = round(images * self.setting.processes.count / self.setting.batch)
            raise self._diverged(f"the loss is {value} at step {step} of epoch {self._epoch}")
        loss, _, count = self._sums.tolist()
        self.shown["loss"] = loss / count

    def _check_weights(self) -> None:
        """Raise DivergedError if a weight or statistic is not finite; behind signs a loss can be, all the same."""
        state = {name: one for name, one in self.model.state_dict().items() if one.is_floating_point()}
        finite = torch.stack([one.isfinite().all() for one in state.values()])
        if not finite.all():
            name = next(name for name, good in zip(state, finite.tolist(), strict=True) if not good)
            raise self._diverged(f"{name} holds NaN or infinity at the end of epoch {self._epoch}")

    def _diverged(self, what: str) -> DivergedError:
        kept = "the state after the epoch before is kept" if self.history else "there is no earlier state"
        return DivergedError(
            f"{what} (stage {self.stage.name}); {kept}; try a learning rate below {self.stage.learning_rate:g}"
        )

    def _augmentation(self) -> Augment:
        return augmentation(self.stage, self.setting.dataset)

    def _alternate(self) -> bool:
        """Tell whether images come mirrored in every second epoch."""
        return flips_alternate(self.stage, self.setting.dataset)

    def _prepared(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Augment a batch: pixels float32 (N, C, H, W) in 0..255, and their labels."""
        return shrunk(self._augment(images, generator, self.setting.processes.part), self._image), labels

    def _hits(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return how many of a batch are right."""
        return (logits.argmax(1) == labels).sum()

    def _test(self) -> dict[str, float]:
        """Evaluate on the test images: `test_<score>` in percent, and what else is measured."""
        found = accuracy(self.model, *self._tests, self.setting.processes.part)
        return {"test_top1": round(found, 3)}

    def _loss(self, pixels: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy with the labels, with the teacher's distribution, or a part of each."""
        share = self.stage.distillation if self._teacher else 0.0
        loss = logits.new_zeros(())
        if share < 1:
            loss = (1 - share) * F.cross_entropy(logits, labels, label_smoothing=self.stage.label_smoothing)
        for teacher in self._teacher:
            if share > 0:
                with torch.no_grad():
                    taught = teacher(pixels).softmax(dim=1)
                loss = loss + share * F.cross_entropy(logits, taught)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Clip latent weights after the optimizer has moved them."""
        if self.stage.weight_clip:
            with torch.no_grad():
                for conv in binary_convs(self.model):
                    conv.weight.clamp_(-1, 1)

    @property
    def _epoch(self) -> int:
        """Number of the epoch in the whole run, from 1."""
        return self.setting.first_epoch + self.current_epoch + 1

    def on_train_epoch_end(self) -> None:
        """Evaluate, and add a row to the metrics."""
        setting = self.setting
        self._check_loss()
        self._check_weights()
        loss, hits, count = total(self._sums).tolist()
        row = {
            "epoch": self._epoch,
            "stage": self.stage.name,
            "train_loss": round(loss / count, 6),
            f"train_{self.score}": round(100 * hits / count, 3),
            **self._test(),
            "learning_rate": float(f"{self.trainer.optimizers[0].param_groups[0]['lr']:.4g}"),
            "seconds": round(time.monotonic() - self._started, 2),
        }
        self.history.append(row)
        train, test = row[f"train_{self.score}"], row[f"test_{self.score}"]
        self.shown["test"] = test
        if not setting.processes.first:
            return
        write_metrics(self.history, setting.folder / "metrics.csv")
        save_curves(self.history, setting.title, setting.folder / "curves.png", self.score, self.scored)
        if setting.say:
            stage = f" ({self.stage.name})" if setting.epochs < setting.last_epoch else ""
            Console(soft_wrap=True, highlight=False).print(
                f"epoch {row['epoch']}/{setting.last_epoch}{stage}: loss {row['train_loss']:.3f}, "
                f"training {train:.1f} %, test {test:.1f} %, {row['seconds']:.1f} s"
            )


def prepare(model: nn.Module, stage: Stage) -> None:
    """Bring a network into the state in which a stage begins or goes on: its modes, and what is trained."""
    set_modes(model, stage.activation, stage.weights)
    for parameter in model.parameters():
        parameter.requires_grad_(stage.train == "all")
    if stage.stem == "whitened":
        first_conv(model).weight.requires_grad_(False)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = stage.batchnorm_update
            for parameter in module.parameters():
                parameter.requires_grad_(stage.train != "grids")


def begin(model: nn.Module, stage: Stage, fresh: bool, images: Images | None = None) -> None:
    """Change the weights as a stage wants them at its beginning.

    Args:
        model: the network.
        stage: what begins.
        fresh: the weights were just drawn, uniformly.
        images: uint8 (N, C, H, W) to train on; a stem that is whitened needs them.
    """
    if fresh and stage.stem == "whitened":
        assert images is not None
        some = images[torch.linspace(0, len(images) - 1, min(IMAGES, len(images)), dtype=torch.float64).long()]
        whiten(first_conv(model), shrunk(some.cpu(), sized((some.shape[2], some.shape[3]), stage.size)))
    with torch.no_grad():
        for conv in binary_convs(model):
            if fresh and stage.initial != "uniform":
                INITIAL[stage.initial](conv.weight)
    if stage.unit_weights:
        unit_weights(model)
    if stage.train == "batchnorm":
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.reset_running_stats()


def unit_weights(model: nn.Module) -> None:
    """Set the latent weights of the binary convolutions to their signs, so that alpha is exactly 1."""
    with torch.no_grad():
        for conv in binary_convs(model):
            conv.weight.copy_(hard_sign(conv.weight))


INITIAL: dict[str, Callable[[Tensor], Any]] = {
    "positive": lambda weight: nn.init.uniform_(weight, 0, 1e-3),
    "glorot": nn.init.xavier_normal_,
}
"""Latent weights of binary convolutions at the beginning, where they are not those of a new network."""


def augmentation(stage: Stage, dataset: str) -> Augment:
    """Return the augmentation of a stage: the data set's own, where `crop` changes how photographs are cropped.

    It mirrors no image where `flips` alternate: which ones are is known before.
    """
    own = Augment() if stage.augment == "none" else dataset_defaults(dataset).augment
    if stage.augment == "crop" and own.crop:
        own = replace(own, crop="place")
    return replace(own, flip=False) if stage.flips == "alternate" else own


def flips_alternate(stage: Stage, dataset: str) -> bool:
    """Tell whether images are mirrored in every second epoch: not if the augmentation mirrors none."""
    return stage.flips == "alternate" and stage.augment != "none" and dataset_defaults(dataset).augment.flip


def sized(image: tuple[int, int], size: float) -> tuple[int, int]:
    """Return height and width of a stage's images.

    >>> sized((32, 32), 0.75)
    (24, 24)
    """
    height, width = image
    return round(height * size), round(width * size)


def steps_an_epoch(stage: Stage, images: int, batch: int) -> int:
    """Return how many steps a stage takes in an epoch."""
    whole = steps_of(images, batch)
    return min(stage.steps or whole, whole)


def schedule(stage: Stage, steps: int, epochs: int) -> Callable[[int], float]:
    """Return the learning rate's factor at a step (from 0) of a stage of `epochs` with `steps` each."""
    length = steps * epochs
    factors: dict[str, Callable[[int], float]] = {
        "linear": lambda step: max(0.0, 1 - step / length),
        "linear_epochs": lambda step: max(0.0, 1 - (step // steps + 1) / epochs),
        "cosine": lambda step: (1 + math.cos(math.pi * min(step, length) / length)) / 2,
        "steps": lambda step: 0.1 ** sum(step >= at * length for at in stage.milestones),
        "constant": lambda step: 1.0,
    }
    return factors[stage.schedule]


def write_metrics(history: list[dict[str, Any]], path: Path) -> None:
    """Write one line per epoch, replacing the file in one move."""
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


class SaveEveryEpoch(Checkpoint):
    """Keep the state after the last finished epoch in one file: weights, optimizer, schedule, position, and `about`.

    Being a Checkpoint, it runs after the module's own hook, so the file holds this epoch's row of metrics.
    """

    def __init__(self, path: Path, about: Callable[[], dict[str, Any]]) -> None:
        self.path, self.about = path, about

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file."""
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.path)  # writes nothing here, but all processes must call it
            return
        with replacing(self.path) as part:
            trainer.save_checkpoint(part)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what the run says about itself."""
        checkpoint["bireal"] = self.about()
