"""Measure throughput fairly: the contenders take turns in one process, same batch and threads, medians reported."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bireal_hw.models.bireal import build_model
from bireal_hw.models.randomise import random_images
from bireal_hw.models.reference import ReferenceBiReal
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training.evaluate import predict

PASSES = 5
"""Over which memory is measured."""


def alternate(contenders: Mapping[str, Callable[[], object]], rounds: int = 9) -> dict[str, float]:
    """Return the median seconds of each contender over `rounds`, in which all take turns, after one unmeasured round.

    Taking turns lets a slow moment of the machine fall on all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            started = time.perf_counter()
            contender()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


BENCH_SPEC = ModelSpec("bireal18", width=0.25, image=(32, 32))
"""Narrow enough that what is measured is not the convolutions alone, which both networks take from PyTorch."""
WIDE_SPEC = ModelSpec("bireal18", width=0.5, image=(32, 32))
"""Twice as wide: convolutions take three quarters of a step."""


def training_throughput(
    spec: ModelSpec = BENCH_SPEC, batch: int = 64, rounds: int = 9, steps: int = 2
) -> dict[str, Any]:
    """Measure training steps (forward, loss, backward, Adam) of our network and of the plain PyTorch reference.

    Args:
        spec: the network; both have its shapes.
        batch: images per step.
        rounds: measured turns of each.
        steps: training steps per turn.

    Returns:
        train_images_per_second, train_bf16_images_per_second (convolutions in bfloat16, as `precision = "bf16-mixed"`),
        train_reference_images_per_second (float32), train_speedup and train_bf16_speedup (quotients by the last);
        train_bytes_per_image, train_reference_bytes_per_image (see `kept_bytes_per_image`); and the conditions.
    """
    images = random_images(spec, batch, seed=0).float()
    labels = torch.randint(spec.classes, (batch,), generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ours, half, reference = build_model(spec), build_model(spec), ReferenceBiReal(spec)
    median = alternate(
        {
            "ours": _steps(ours, images, labels, steps),
            "bf16": _steps(half, images, labels, steps, bf16=True),
            "reference": _steps(reference, images, labels, steps),
        },
        rounds,
    )
    return {
        "train_images_per_second": round(batch * steps / median["ours"], 1),
        "train_bf16_images_per_second": round(batch * steps / median["bf16"], 1),
        "train_reference_images_per_second": round(batch * steps / median["reference"], 1),
        "train_speedup": round(median["reference"] / median["ours"], 3),
        "train_bf16_speedup": round(median["reference"] / median["bf16"], 3),
        "train_bytes_per_image": kept_bytes_per_image(ours, images, labels),
        "train_reference_bytes_per_image": kept_bytes_per_image(reference, images, labels),
        "train_conditions": _conditions(spec, batch),
    }


def evaluation_bytes_per_image(model: nn.Module, images: Tensor) -> int:
    """Return the bytes by which each further image of a batch adds to what an evaluation holds at once.

    Args:
        model: as in `predict`.
        images: uint8 (N, C, H, W); they count too.
    """
    few = len(images) // 2
    more = _peak_bytes(model, images) - _peak_bytes(model, images[:few].clone())
    return more // (len(images) - few)


def _peak_bytes(model: nn.Module, images: Tensor) -> int:
    """Bytes of the tensors that are alive at the same time in an evaluation, where they are most."""
    peak = 0
    alive: dict[int, tuple[StorageWeakRef, int]] = {}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal peak
            results = func(*args, **(kwargs or {}))
            for tensor in tree_leaves(results):
                if isinstance(tensor, Tensor):
                    reference = StorageWeakRef(tensor.untyped_storage())
                    alive[reference.cdata] = reference, tensor.untyped_storage().nbytes()
            for key in [key for key, (reference, _) in alive.items() if reference.expired()]:
                del alive[key]
            peak = max(peak, sum(size for _, size in alive.values()))
            return results

    with Watch():
        predict(model, images, batch=len(images))
    return peak


def kept_bytes_per_image(model: nn.Module, images: Tensor, labels: Tensor) -> int:
    """Return the bytes by which each further image of a batch adds to what is kept for the backward pass.

    A quantizer that moves its grid keeps some numbers more in that pass: the least of several passes counts.
    """
    few = len(images) // 2
    sizes = {len(images): (images, labels), few: (images[:few].clone(), labels[:few].clone())}
    passes = [{size: _kept_bytes(model, *batch) for size, batch in sizes.items()} for _ in range(1 + PASSES)]
    kept = {size: min(one[size] for one in passes[1:]) for size in sizes}  # the first finds the grids
    return (kept[len(images)] - kept[few]) // (len(images) - few)


def _kept_bytes(model: nn.Module, images: Tensor, labels: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass; tensors that share their memory count once."""
    kept: dict[int, torch.UntypedStorage] = {}  # holds the memory, so none is used twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor.detach()  # the tensor itself would hold the graph that holds it

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        F.cross_entropy(model(images), labels)
    return sum(storage.nbytes() for storage in kept.values())


def _steps(model: nn.Module, images: Tensor, labels: Tensor, steps: int, bf16: bool = False) -> Callable[[], None]:
    """Return a function that trains for some steps."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def run() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()

    return run


def _conditions(spec: ModelSpec, batch: int) -> dict[str, Any]:
    return {
        "model": spec.model,
        "width": spec.width,
        "image": spec.image_text,
        "batch": batch,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
