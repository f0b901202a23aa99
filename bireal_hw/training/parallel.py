"""Training in several processes: started by torchrun, on one machine or many, each with its part of every batch.

All processes hold the same network. BatchNorm and the quantizers' grids see the whole batch, not a process's part, so
the result is that of one process with the same batch, but for the order of floating-point sums.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.autograd import Function


@dataclass(frozen=True)
class Processes:
    """Which one of how many processes this is, as torchrun says: number `rank` of `count`, `here` on this machine."""

    rank: int = 0
    count: int = 1
    here: int = 1

    @classmethod
    def from_environment(cls) -> Processes:
        """Read what torchrun sets; without it there is one process."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        return cls(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")))

    @property
    def first(self) -> bool:
        """Tell whether this process writes the files."""
        return self.rank == 0

    @property
    def part(self) -> tuple[int, int]:
        """Which images of a batch belong to this process: from `rank` in steps of `count`."""
        return self.rank, self.count

    def trainer_options(self) -> dict[str, Any]:
        """Return what Lightning's Trainer is told."""
        cuda = torch.cuda.is_available()
        options: dict[str, Any] = {"accelerator": "cuda" if cuda else "cpu", "devices": self.here}
        if self.count > 1:
            # Every buffer is computed from the whole batch by all processes alike; none needs to be sent.
            options |= {"strategy": DDPStrategy(broadcast_buffers=False), "num_nodes": self.count // self.here}
            options |= {"sync_batchnorm": cuda}  # torch's own runs on GPUs only; see `share_batchnorm`
        return options


def device() -> str:
    """Name what networks are trained on."""
    threads = torch.get_num_threads()
    cpu = "1 CPU thread" if threads == 1 else f"{threads} CPU threads"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else cpu


def total(values: Tensor) -> Tensor:
    """Add up a tensor over all processes."""
    if dist.is_initialized():
        values = values.clone()
        dist.all_reduce(values)
    return values


def wait() -> None:
    """Wait until all processes are here."""
    if dist.is_initialized():
        dist.barrier()


class _Total(Function):
    """Add up a tensor over all processes; so are the gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return total(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return total(grad)


class SharedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over the parts of a batch that all processes hold; parts are equally large."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        count = dist.get_world_size()
        mean = _Total.apply(x.mean(dim=(0, 2, 3))) / count
        centred = x - mean.view(1, -1, 1, 1)
        variance = _Total.apply(centred.square().mean(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            pixels = count * x[:, 0].numel()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (pixels / max(1, pixels - 1)), self.momentum)
        factor = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias.view(1, -1, 1, 1), centred, factor.view(1, -1, 1, 1))


def share_batchnorm(model: nn.Module, share: bool) -> None:
    """Let the BatchNorm layers of a network see the batches of all processes, or their own again; CPU only."""
    for module in model.modules():
        if type(module) in (nn.BatchNorm2d, SharedBatchNorm2d):
            module.__class__ = SharedBatchNorm2d if share else nn.BatchNorm2d
