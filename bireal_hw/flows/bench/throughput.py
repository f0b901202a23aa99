"""How fast the golden model and the training are, each beside its yardstick in the same process."""

from __future__ import annotations

from typing import Any

from bireal_hw.flows.bench.networks import SEED, random_network
from bireal_hw.flows.bench.page import Cell, Found
from bireal_hw.flows.images import to_pixels
from bireal_hw.golden import run

BATCH = 64
"""Images per call, in training and evaluation."""


def throughput() -> Found:
    """Measure the golden model beside the Brevitas model in eval mode, training beside the authors' block in PyTorch.

    Same images, batch and threads; the contenders take turns.
    """
    from bireal_hw.models.randomise import random_images
    from bireal_hw.training.bench import BENCH_SPEC, alternate, training_throughput
    from bireal_hw.training.evaluate import predict

    model, graph = random_network(BENCH_SPEC)
    images = random_images(BENCH_SPEC, BATCH, SEED)
    pixels = to_pixels(images)
    median = alternate(
        {"golden": lambda: run(graph, pixels, batch=BATCH), "torch": lambda: predict(model, images, batch=BATCH)}
    )
    figures: dict[str, Any] = {
        "golden_images_per_second": round(BATCH / median["golden"], 1),
        "torch_images_per_second": round(BATCH / median["torch"], 1),
        "golden_speedup": round(median["torch"] / median["golden"], 3),
        **training_throughput(BENCH_SPEC, BATCH),
    }
    rows: list[list[Cell]] = [
        ["evaluation, golden model", figures["golden_images_per_second"], figures["torch_images_per_second"]],
        ["training", figures["train_images_per_second"], figures["train_reference_images_per_second"]],
    ]
    return Found(["images per second", "here", "yardstick"], rows, figures, "")
