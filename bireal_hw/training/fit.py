"""Train a Bi-Real network: from a data set to a checkpoint, its metrics and the accuracy of its deploy model.

The recipe is the from-scratch one of the authors' PyTorch release: Adam, learning rate falling linearly to 0 (here per
step), no weight decay on binary weights. For its last part the training runs on grids that stand still.
"""

from __future__ import annotations

import csv
import json
import logging
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, Checkpoint, RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from bireal_hw.errors import BirealError, out_of_range
from bireal_hw.export.deploy import to_deploy
from bireal_hw.models.bireal import BiReal, build_model, set_observing
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training.checkpoint import read, replacing, save_checkpoint
from bireal_hw.training.curves import save_curves
from bireal_hw.training.data import Data, dataset_defaults
from bireal_hw.training.evaluate import predict, top1

PARTIAL = "partial.ckpt"
METRICS = ("epoch", "train_loss", "train_top1", "test_top1", "learning_rate", "seconds")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the outcome of a training run; equal configs on equal data give equal networks.

    spec             the network
    dataset          name, as in train.json
    epochs           passes over the training images; the learning rate falls to 0 over them
    seed             of the weights, the order of the images and the augmentation
    batch            images per step
    learning_rate    of the first step
    label_smoothing  share of the target spread over all classes, 0 to 1
    weight_decay     on real-valued convolutions and the classifier; binary weights and BatchNorm have none
    augment          whether the data set's augmentation is used
    settle           last share of the steps that trains with the quantizers' grids held still, 0 to 1
    """

    spec: ModelSpec
    dataset: str
    epochs: int
    seed: int = 0
    batch: int = 64
    learning_rate: float = 2e-3
    label_smoothing: float = 0.1
    weight_decay: float = 0.0
    augment: bool = True
    settle: float = 0.25

    def __post_init__(self) -> None:
        for name, good, allowed in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("seed", self.seed >= 0, "at least 0"),
            ("batch", self.batch >= 2, "at least 2"),
            ("learning_rate", self.learning_rate > 0, "above 0"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "0 to 1"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            ("settle", 0 <= self.settle <= 1, "0 to 1"),
        ):
            if not good:
                raise out_of_range(name, getattr(self, name), allowed)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self) | {"spec": self.spec.to_json()}


def default_config(spec: ModelSpec, dataset: str, epochs: int | None = None, seed: int = 0) -> TrainConfig:
    """Return the recipe of a data set for a network; epochs None takes the data set's own."""
    defaults = dataset_defaults(dataset)
    return TrainConfig(spec, dataset, epochs or defaults.epochs, seed, defaults.batch)


def train(
    config: TrainConfig, data: Data, out: Path, partial: Path | None = None, progress: bool = True
) -> dict[str, Any]:
    """Train, evaluate the deploy model, and leave checkpoint.ckpt, train.json, metrics.csv and curves.png in `out`.

    Args:
        config: the run; the same config and data give the same files (but for times), interrupted or not.
        data: images and labels; must have the spec's image size, channels and classes.
        out: folder that exists.
        partial: file that holds the state after every epoch. If it exists the training goes on from there. A file
            named here stays for the caller to remove once the results are where they belong; None takes
            out/partial.ckpt, which is removed at the end.
        progress: show a progress bar, or lines where the output is no terminal.

    Returns:
        The content of train.json.

    Raises BirealError for data that does not fit the spec, for a partial file of another run, and when the loss is no
    longer a finite number (the partial file of the last good epoch stays). KeyboardInterrupt leaves the partial file.
    """
    spec = config.spec
    _check(spec, data)
    state = partial or out / PARTIAL
    resume = _resumable(state, config)
    torch.manual_seed(config.seed)
    bar = progress and Console().is_terminal
    fitting = _Fitting(config, data, out, say=progress and not bar)
    callbacks: list[Callback] = [_SaveEveryEpoch(state), *([_progress_bar()] if bar else [])]
    with _exact_float32(), _quiet():
        trainer = pl.Trainer(
            max_epochs=config.epochs,
            accelerator="cuda" if torch.cuda.is_available() else "cpu",
            devices=1,
            deterministic=torch.cuda.is_available(),  # CPU kernels are; on a GPU they must be chosen
            logger=False,
            enable_model_summary=False,
            enable_progress_bar=bar,
            num_sanity_val_steps=0,
            callbacks=callbacks,
            default_root_dir=out,
            use_distributed_sampler=False,
        )
        _fit(trainer, fitting, resume)
        result = _finish(fitting, config, data)
    save_checkpoint(out / "checkpoint.ckpt", fitting.model, spec, result)
    with replacing(out / "train.json") as part:
        part.write_text(json.dumps(result, indent=2) + "\n")
    if partial is None:
        state.unlink(missing_ok=True)
    return result


def _check(spec: ModelSpec, data: Data) -> None:
    for name, want, got in (
        ("image", spec.image, data.image),
        ("channels", spec.channels, data.channels),
        ("classes", spec.classes, data.classes),
    ):
        if want != got:
            raise BirealError(f"the network has {name}={want} but data set '{data.name}' was loaded with {name}={got}")


def _resumable(partial: Path, config: TrainConfig) -> Path | None:
    """Return the partial file if there is one of the same run; one of another run raises BirealError."""
    if not partial.exists():
        return None
    found = read(partial).get("bireal", {}).get("config", {})
    for name, want in config.to_json().items():
        if found.get(name) != want:
            raise BirealError(
                f"{partial} is an unfinished training with {name}={found.get(name)}, not {want}; "
                f"choose another run=, or remove the file to start again"
            )
    return partial


def _fit(trainer: pl.Trainer, fitting: _Fitting, resume: Path | None) -> None:
    """Run the trainer; Ctrl-C comes out as KeyboardInterrupt (Lightning leaves with SystemExit, SIGINT ignored)."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(fitting, ckpt_path=str(resume) if resume else None, weights_only=True)
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _finish(fitting: _Fitting, config: TrainConfig, data: Data) -> dict[str, Any]:
    """Evaluate the trained network and its deploy model, and describe the run."""
    started = time.monotonic()
    spec = config.spec
    model = fitting.model.cpu().eval()
    binary, real = spec.parameters()
    top1_float = top1(predict(model, data.test_images), data.test_labels)
    top1_deploy = top1(predict(to_deploy(model, spec), data.test_images), data.test_labels)
    trained = sum(row["seconds"] for row in fitting.history)
    return {
        "model": spec.model,
        "dataset": config.dataset,
        "width": spec.width,
        "image": list(spec.image),
        "channels": spec.channels,
        "classes": spec.classes,
        "class_names": list(data.class_names),
        "shortcut_bits": spec.shortcut_bits,
        "epochs": config.epochs,
        "seed": config.seed,
        "batch": config.batch,
        "learning_rate": config.learning_rate,
        "label_smoothing": config.label_smoothing,
        "params_binary": binary,
        "params_real": real,
        "train_images": len(data.train_images),
        "test_images": len(data.test_images),
        "top1_float": round(top1_float, 4),
        "top1_deploy": round(top1_deploy, 4),
        "seconds": round(trained + time.monotonic() - started, 1),
    }


# ---- Lightning ----


class _Rows(Dataset[tuple[Tensor, Tensor]]):
    """Images and labels, indexed by a tensor of positions."""

    def __init__(self, data: Data) -> None:
        self.images, self.labels = data.train_images, data.train_labels

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


class _Order(Sampler[Tensor]):
    """Positions of each batch; the order depends on seed and epoch alone, so a resumed run sees the same batches.

    The last incomplete batch is left out, unless it is the only one: BatchNorm over a few images is noise.
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed, self.epoch = count, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, self.count // self.batch)

    def __iter__(self) -> Iterator[Tensor]:
        # A generator, as Lightning makes the iterator before it sets the epoch: what counts is the first batch.
        order = torch.randperm(self.count, generator=_generator(self.seed, self.epoch, 0))
        yield from order[: len(self) * self.batch].split(self.batch)


def _generator(seed: int, epoch: int, step: int) -> torch.Generator:
    """Return a source of randomness that depends on where in the training it is used, and on nothing else."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) * 1_000_003 + step)


class _Fitting(pl.LightningModule):
    """One training run: steps, schedule, and a row of metrics per epoch."""

    model: BiReal

    def __init__(self, config: TrainConfig, data: Data, out: Path, say: bool) -> None:
        super().__init__()
        self.config, self.data, self.out, self.say = config, data, out, say
        self.model = build_model(config.spec)
        self.augment = dataset_defaults(config.dataset).augment if config.augment else None
        self.history: list[dict[str, Any]] = []
        self.order = _Order(len(data.train_images), config.batch, config.seed)
        self._started = 0.0
        self._sums = torch.zeros(3, dtype=torch.float64)  # loss, hits, images

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Rows(self.data), sampler=self.order, batch_size=None)

    def configure_optimizers(self) -> Any:
        decayed: list[Tensor] = []
        free: list[Tensor] = []
        for name, parameter in self.model.named_parameters():
            (free if parameter.dim() == 1 or "binary_conv" in name else decayed).append(parameter)
        groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": self.config.weight_decay}, {"params": free}]
        optimizer = torch.optim.Adam(groups, lr=self.config.learning_rate, fused=True)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _falling(self.config.epochs * len(self.order)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        self._started = time.monotonic()
        self._sums.zero_()
        set_observing(self.model, self.current_epoch < self.config.epochs * (1 - self.config.settle))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        if self.augment:
            pixels = self.augment(images, _generator(self.config.seed, self.current_epoch, batch_idx + 1))
        else:
            pixels = images.float()
        logits = self.model(pixels)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        value = float(loss.detach())
        if not torch.isfinite(loss):
            raise BirealError(
                f"the loss is {value} at step {batch_idx} of epoch {self.current_epoch + 1}; the state after the epoch "
                f"before is kept; try a learning rate below {self.config.learning_rate:g}"
            )
        hits = int((logits.argmax(1) == labels).sum())
        self._sums += torch.tensor([value * len(labels), hits, len(labels)], dtype=torch.float64)
        self.log("loss", value, prog_bar=True, logger=False)
        return loss

    def on_train_epoch_end(self) -> None:
        loss, hits, count = self._sums.tolist()
        test = top1(predict(self.model, self.data.test_images), self.data.test_labels)
        row = {
            "epoch": self.current_epoch + 1,
            "train_loss": round(loss / count, 6),
            "train_top1": round(100 * hits / count, 3),
            "test_top1": round(test, 3),
            "learning_rate": float(f"{self.trainer.optimizers[0].param_groups[0]['lr']:.4g}"),
            "seconds": round(time.monotonic() - self._started, 2),
        }
        self.history.append(row)
        self.log("test", test, prog_bar=True, logger=False)
        write_metrics(self.history, self.out / "metrics.csv")
        spec = self.config.spec
        title = f"{spec.model}, width {spec.width:g}, {spec.image_text}, {self.config.dataset}, seed {self.config.seed}"
        save_curves(self.history, title, self.out / "curves.png")
        if self.say:
            Console(soft_wrap=True, highlight=False).print(
                f"epoch {row['epoch']}/{self.config.epochs}: loss {row['train_loss']:.3f}, "
                f"training {row['train_top1']:.1f} %, test {row['test_top1']:.1f} %, {row['seconds']:.1f} s"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["bireal"] = {"config": self.config.to_json(), "history": self.history}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["bireal"]["history"])


def _falling(steps: int) -> Callable[[int], float]:
    """Return the learning rate's factor: 1 at step 0, falling linearly to 0 at the end."""
    return lambda step: max(0.0, 1 - step / steps)


def write_metrics(history: list[dict[str, Any]], path: Path) -> None:
    """Write one line per epoch, replacing the file in one move."""
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, METRICS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


class _SaveEveryEpoch(Checkpoint):
    """Keep the state after the last finished epoch in one file: weights, optimizer, schedule, position, metrics.

    Being a Checkpoint, it runs after the module's own hook, so the file holds this epoch's row of metrics.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        with replacing(self.path) as part:
            trainer.save_checkpoint(part)


def _progress_bar() -> Callback:
    return RichProgressBar(leave=False, theme=RichProgressBarTheme(metrics_format=".3f"))


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
