"""Run a network over a data set in batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bireal_hw.training.images import LazyImages
from bireal_hw.training.parallel import total

BATCH = 256


def predict(model: nn.Module, images: Tensor | LazyImages, batch: int = BATCH) -> Tensor:
    """Return the logits of every image, in eval mode and without gradients.

    Args:
        model: maps float32 (N, C, H, W) in 0..255 to logits (N, classes); its mode is restored afterwards.
        images: uint8 (N, C, H, W), here or where the model is.
        batch: images per call.

    Returns:
        float32 (N, classes) on the CPU.
    """
    return torch.cat(list(answers(model, images, batch))).cpu()


def answers(
    model: nn.Module, images: Tensor | LazyImages, batch: int = BATCH, part: tuple[int, int] = (0, 1)
) -> Iterator[Tensor]:
    """Give the logits of one batch after another where the model is, as `predict` does; `part` as in `accuracy`."""
    device = device_of(model)
    training = model.training
    model.eval()
    try:
        for start in range(batch * part[0], len(images), batch * part[1]):
            with torch.inference_mode():
                logits = model(images[start : start + batch].to(device, torch.float32, non_blocking=True))
            yield logits
    finally:
        model.train(training)


def device_of(model: nn.Module) -> torch.device:
    """Return where a model is."""
    return next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))


def top1(logits: Tensor, labels: Tensor) -> float:
    """Return the accuracy in percent; the class is the lowest index of the largest logit.

    >>> top1(torch.tensor([[1.0, 1.0], [0.0, 2.0]]), torch.tensor([0, 0]))
    50.0
    """
    return 100 * int((logits.argmax(1) == labels).sum()) / len(labels)


def accuracy(model: nn.Module, images: Tensor | LazyImages, labels: Tensor, part: tuple[int, int] = (0, 1)) -> float:
    """Return the top-1 accuracy in percent; each of several processes evaluates its part of the batches.

    Args:
        model: as in `predict`.
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        part: this process and how many there are; all of them must call.
    """
    device = device_of(model)
    labels = labels.to(device)
    hits = torch.zeros(1, dtype=torch.int64, device=device)
    for number, logits in enumerate(answers(model, images, BATCH, part)):
        start = BATCH * (part[0] + number * part[1])
        hits += (logits.argmax(1) == labels[start : start + BATCH]).sum()
    return 100 * int(total(hits) if part[1] > 1 else hits) / len(labels)
