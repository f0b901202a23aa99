"""Train a depth network: the stages of `bireal_hw.training` with another network, loss and measure."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bireal_hw.models.depth import DepthNet
from bireal_hw.training.augment import Augment
from bireal_hw.training.checkpoint import load_network
from bireal_hw.training.depth.data import DepthData, LazyPictures
from bireal_hw.training.depth.measures import MEASURES, known, measures, scale_invariant
from bireal_hw.training.evaluate import predict
from bireal_hw.training.fit import PARTIAL, Run, TrainConfig
from bireal_hw.training.parallel import total
from bireal_hw.training.recipe import Recipe, Stage
from bireal_hw.training.stage import Setting, StageTraining

BATCH = 32
"""Images that are evaluated at once."""

BINARY = Stage("binary", learning_rate=2e-3)
REAL = dataclasses.replace(BINARY, name="real", activation="relu", weights="real")
RECIPES = {stage.name: Recipe(stage.name, (stage,)) for stage in (BINARY, REAL)}
"""The network, and the same one with ReLU for its signs and real weights; trained alike, both from random weights."""


class DepthTraining(StageTraining):
    """Train a `DepthNet`: scale-invariant loss, images mirrored with their depth, `delta1` in percent."""

    score, scored = "delta1", "depth within a factor of 1.25"

    def _augmentation(self) -> Augment:
        return Augment()  # depth would have to follow: see `_prepared`

    def _alternate(self) -> bool:
        return False  # as depth would have to here

    def _prepared(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mirror half of the images and their depths left to right."""
        index, parts = self.setting.processes.part
        flip = (torch.rand(len(images) * parts, generator=generator)[index::parts] < 0.5).to(images.device)
        flip = flip.view(-1, 1, 1, 1)
        return torch.where(flip, images.flip(3), images).float(), torch.where(flip, labels.flip(3), labels)

    def _loss(self, pixels: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        return scale_invariant(logits, labels)

    def _hits(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the sum over images of the share of pixels that are right."""
        return measures(logits, labels)[:, MEASURES.index("delta1")].sum() / 100

    def _test(self) -> dict[str, float]:
        data = self.setting.data
        assert isinstance(data, DepthData)
        found = evaluate(self.model, data.test_images, data.test_labels, self.setting.processes.part)
        return {f"test_{name}": round(found[name], 5) for name in ("delta1", "rmse", "rel")}


class DepthRun(Run):
    """The training of one depth network."""

    def built(self) -> nn.Module:
        """Build the network with fresh weights from torch's random generator."""
        return DepthNet(self.config.spec)

    def checked_hardware(self) -> None:
        """Let everything pass: it runs in float."""

    def fitting(self, stage: Stage, setting: Setting, teacher: nn.Module | None) -> StageTraining:
        """Return how it is trained."""
        return DepthTraining(stage, setting, self.model, teacher)

    def finished(self) -> dict[str, Any]:
        """Evaluate the network and describe the run."""
        started = time.monotonic()
        config, data, spec = self.config, self.data, self.config.spec
        assert isinstance(data, DepthData)
        assert isinstance(self.model, DepthNet)
        found = evaluate(self.model, data.test_images, data.test_labels)
        stage = config.recipe.stages[0]
        return {
            "network": config.recipe.name,
            "model": spec.model,
            "dataset": config.dataset,
            "width": spec.width,
            "image": list(spec.image),
            "shortcut_bits": spec.shortcut_bits,
            "epochs": config.epochs,
            "seed": config.seed,
            "batch": config.batch,
            "activation": stage.activation,
            "weights": stage.weights,
            "learning_rate": stage.learning_rate,
            "train_images": len(data.train_images),
            "test_images": len(data.test_images),
            "parameters": self.model.parameters_of(),
            "measures": {name: round(value, 6) for name, value in found.items()},
            "seconds": round(sum(row["seconds"] for row in self.history) + time.monotonic() - started, 1),
        }


def train_depth(
    config: TrainConfig, data: DepthData, out: Path, partial: Path | None = None, progress: bool = True
) -> dict[str, Any]:
    """Train a depth network; leave checkpoint.ckpt, train.json, metrics.csv and curves.png in `out`.

    Arguments, interruptions and errors as in `bireal_hw.training.fit.train`; returns the content of train.json.
    """
    return DepthRun(config, data, out, partial or out / PARTIAL, progress).train(keep_state=partial is not None)


def load_depth_net(path: Path) -> tuple[DepthNet, dict[str, Any]]:
    """Read a finished depth network and what train.json says; raises BirealError as `load_network` does."""
    model, _, info = load_network(path, DepthNet)
    return model, info


def evaluate(
    model: nn.Module,
    images: Tensor | LazyPictures,
    depth: Tensor | LazyPictures,
    part: tuple[int, int] = (0, 1),
) -> dict[str, float]:
    """Return MEASURES, each the mean over images; each of several processes evaluates its part of the batches.

    Args:
        model: maps float32 (N, C, H, W) in 0..255 to metres (N, 1, H, W).
        images: uint8 (N, C, H, W).
        depth: float32 (N, 1, H, W) in metres, not known where outside of NEAR to FAR.
        part: this process and how many there are; all of them must call.
    """
    device = next(model.parameters()).device
    sums = torch.zeros(len(MEASURES), dtype=torch.float64, device=device)
    for start in range(BATCH * part[0], len(images), BATCH * part[1]):
        chosen = slice(start, start + BATCH)
        sums += measures(predict(model, images[chosen], BATCH), depth[chosen]).sum(0).to(device)
    sums = total(sums) if part[1] > 1 else sums
    return dict(zip(MEASURES, (sums / len(images)).tolist(), strict=True))


def average(data: DepthData) -> dict[str, float]:
    """Return MEASURES of the answer that looks at no image: for every pixel the mean depth of the training images.

    The mean is geometric, over the images that know the pixel; a pixel that none knows has the mean of all.
    """
    sums = torch.zeros(2, *data.image, dtype=torch.float64)
    for start in range(0, len(data.train_labels), BATCH):
        some = data.train_labels[start : start + BATCH].double()
        mask = known(some)
        sums += torch.stack([torch.where(mask, some, 1.0).log().sum((0, 1)), mask.double().sum((0, 1))])
    logs = torch.where(sums[1] > 0, sums[0] / sums[1].clamp(min=1), sums[0].sum() / sums[1].sum())
    return evaluate(_Always(logs.exp().float()), data.test_images, data.test_labels)


class _Always(nn.Module):
    """Give the same depth (H, W) for every image."""

    def __init__(self, depth: Tensor) -> None:
        super().__init__()
        self.depth = nn.Parameter(depth)

    def forward(self, p: Tensor) -> Tensor:
        return self.depth.expand(len(p), 1, *self.depth.shape)
