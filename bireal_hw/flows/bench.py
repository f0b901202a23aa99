"""The benchmark: how fast the golden model and the training are, each beside its yardstick in the same process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from bireal_hw.flows.images import to_pixels
from bireal_hw.golden import run
from bireal_hw.lowering import lower
from bireal_hw.models.spec import ModelSpec

BATCH = 64
"""Images per call, in training and evaluation."""
SEED = 0


def bench(spec: ModelSpec) -> dict[str, Any]:
    """Measure a network of random weights (speed does not depend on them) and return the content of bench.json.

    Keys: golden_images_per_second and torch_images_per_second (the Brevitas model in eval mode; same images, batch and
    threads), train_images_per_second and train_reference_images_per_second (the authors' block in plain PyTorch), their
    quotients golden_speedup and train_speedup, and the conditions.
    """
    from bireal_hw.export.deploy import to_deploy
    from bireal_hw.export.qonnx import export_qonnx
    from bireal_hw.models.bireal import build_model
    from bireal_hw.models.randomise import random_images, randomise
    from bireal_hw.training.bench import alternate, training_throughput
    from bireal_hw.training.evaluate import predict

    model = randomise(build_model(spec), spec, SEED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_qonnx(to_deploy(model, spec), spec, path, [str(index) for index in range(spec.classes)])
        graph = lower(path)
    images = random_images(spec, BATCH, SEED)
    pixels = to_pixels(images)
    median = alternate(
        {"golden": lambda: run(graph, pixels, batch=BATCH), "torch": lambda: predict(model, images, batch=BATCH)}
    )
    return {
        "golden_images_per_second": round(BATCH / median["golden"], 1),
        "torch_images_per_second": round(BATCH / median["torch"], 1),
        "golden_speedup": round(median["torch"] / median["golden"], 3),
        **training_throughput(spec, BATCH),
    }
