"""How fast the golden model, evaluation and training are, each beside its yardstick in the same process."""

from __future__ import annotations

from typing import Any

from bireal_hw.bench.page import Cell, Found
from bireal_hw.export.random import SEED, random_network
from bireal_hw.golden import run
from bireal_hw.run.images import to_pixels

BATCH = 64
"""Images per call, in training and evaluation."""
PLAIN = "plain PyTorch"


def throughput() -> Found:
    """Measure the golden model beside the Brevitas model in eval mode, and that and training beside plain PyTorch.

    Same images and threads; the contenders take turns. The golden model takes the frames of a call as it always does.
    Plain PyTorch: the authors' block, see `ReferenceBiReal`.
    """
    from bireal_hw.models.randomise import random_images
    from bireal_hw.models.reference import ReferenceBiReal
    from bireal_hw.training.bench import (
        BENCH_SPEC,
        WIDE_SPEC,
        alternate,
        evaluation_bytes_per_image,
        training_throughput,
    )
    from bireal_hw.training.evaluate import predict

    model, graph = random_network(BENCH_SPEC)
    reference = ReferenceBiReal(BENCH_SPEC)
    images = random_images(BENCH_SPEC, BATCH, SEED)
    pixels = to_pixels(images)
    median = alternate(
        {
            "golden": lambda: run(graph, pixels),
            "torch": lambda: predict(model, images, batch=BATCH),
            "reference": lambda: predict(reference, images, batch=BATCH),
        }
    )
    figures: dict[str, Any] = {
        "golden_images_per_second": round(BATCH / median["golden"], 1),
        "torch_images_per_second": round(BATCH / median["torch"], 1),
        "torch_reference_images_per_second": round(BATCH / median["reference"], 1),
        "golden_speedup": round(median["torch"] / median["golden"], 3),
        "torch_speedup": round(median["reference"] / median["torch"], 3),
        "torch_bytes_per_image": evaluation_bytes_per_image(model, images),
        "torch_reference_bytes_per_image": evaluation_bytes_per_image(reference, images),
        **training_throughput(BENCH_SPEC, BATCH),
    }
    wide = training_throughput(WIDE_SPEC, BATCH, rounds=5)
    figures |= {key.replace("train_", "train_wide_", 1): value for key, value in wide.items()}
    names = {
        "golden model, images per second": ("golden_images_per_second", "torch_images_per_second", "Brevitas model"),
        "evaluation, images per second": ("torch_images_per_second", "torch_reference_images_per_second", PLAIN),
        "evaluation, bytes per image": ("torch_bytes_per_image", "torch_reference_bytes_per_image", PLAIN),
        "training, images per second": ("train_images_per_second", "train_reference_images_per_second", PLAIN),
        "the same in bfloat16": ("train_bf16_images_per_second", "train_reference_images_per_second", PLAIN),
        "training, width 0.5": ("train_wide_images_per_second", "train_wide_reference_images_per_second", PLAIN),
        "the same in bfloat16, width 0.5": (
            "train_wide_bf16_images_per_second",
            "train_wide_reference_images_per_second",
            PLAIN,
        ),
        "training, bytes per image": ("train_bytes_per_image", "train_reference_bytes_per_image", PLAIN),
    }
    rows: list[list[Cell]] = [
        [what, figures[here], figures[there], yardstick, round(figures[here] / figures[there], 2)]
        for what, (here, there, yardstick) in names.items()
    ]
    note = (
        "Bi-Real-18, 32x32 RGB, width 0.25 if not said. Evaluation: the Brevitas model. bfloat16: our convolutions; "
        "plain PyTorch stays in float32. Bytes per image: what one more image of a batch adds to the tensors alive at "
        "once in evaluation, and to those kept for the backward pass in training."
    )
    return Found(["", "here", "yardstick", "which is", "quotient"], rows, figures, note)
