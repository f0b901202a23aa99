"""One suite for every layer: naive loops = golden = HLS C++ = RTL, under any stall pattern, in the cycles foretold.

A test file gives an op, its input types, a folding and a naive reference; `check_op` does the rest. `check_module` does
the same for a hand-made binding of a module that is no layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bireal_hw.hls.csim import run_kernel
from bireal_hw.hls.gpp import QUICK
from bireal_hw.ir.op import Array, Cost, Fold, Op
from bireal_hw.ir.types import TensorType
from bireal_hw.sim.runner import FREE, Dut, SimResult, StallMode, simulate

BUILDS = Path(__file__).parents[1] / "build" / "sim"
FRAMES = 3

FOUR_MODES = (
    FREE,
    StallMode(source=0.5, seed=11),
    StallMode(sink=0.5, seed=12),
    StallMode(source=0.4, sink=0.6, seed=13),
)
"""Free, source idles, sink stalls, both; seeds are even and odd because an odd one makes ready wait for valid."""


def draw(tensor: TensorType, frames: int, seed: int) -> Array:
    """Frames over the whole range of a type; the first is all low, the second all high, both ends in every other."""
    rng = np.random.default_rng(seed)
    shape = (frames, *tensor.shape)
    x = rng.integers(tensor.low, tensor.high + 1, shape)
    if tensor.dtype.bipolar:
        x = np.where(x > 0, 1, -1)
    ends = rng.random(shape)
    x = np.where(ends < 0.05, tensor.low, np.where(ends > 0.95, tensor.high, x))
    if frames > 2:
        x[0], x[1] = tensor.low, tensor.high
    return x


def check_op(
    op: Op,
    types: Sequence[TensorType],
    fold: Fold,
    naive: Callable[..., Array],
    *,
    frames: int = FRAMES,
    stalls: Sequence[StallMode] = FOUR_MODES,
    inputs: Sequence[Array] | None = None,
    seed: int = 1,
) -> list[SimResult]:
    """Compare naive, golden, HLS and RTL exactly, and the cycles of both with `op.cost`.

    Args:
        op: the layer.
        types: its input types.
        fold: a legal folding.
        naive: reference for (N, H, W, C) inputs, written independently of `op.golden`.
        frames: frames sent back to back; 3 or more show two intervals.
        stalls: runs; the first one free, for its cycles.
        inputs: input frames; drawn from `types` with `seed` if None.
        seed: of the draw.
    """
    print(f"{op.kind}: fold {fold}, seed {seed}")  # noqa: T201 - pytest shows it with a failure
    op.check_fold(fold, *types)
    out = op.infer(*types)
    arrays = (
        [draw(tensor, frames, seed + number) for number, tensor in enumerate(types)] if inputs is None else list(inputs)
    )
    want = naive(*arrays)
    golden = op.golden(*arrays)
    np.testing.assert_array_equal(golden, want, err_msg="golden model against the naive reference")
    assert golden.min() >= out.low, f"golden gives {golden.min()}, infer promises {out.low} or more"
    assert golden.max() <= out.high, f"golden gives {golden.max()}, infer promises {out.high} or less"

    cost = op.cost(fold, *types)
    kernel = run_kernel(op.hls(fold, *types), *arrays, builds=BUILDS, flags=QUICK)
    np.testing.assert_array_equal(kernel.outputs.reshape(golden.shape), golden, err_msg=f"{op.kind}.hpp against golden")
    binding = op.rtl(fold, *types)
    bound = bool(binding.axi)
    taken = set(np.diff(kernel.cycles))
    fine = len(taken) < 2 and max(taken) <= cost.cycles if bound else taken <= {cost.cycles}
    assert fine, f"{op.kind}.hpp: cycles for 1, 2, .. frames {kernel.cycles}, cost() says {cost.cycles}"
    results = simulate(
        Dut(binding, dram=binding.image, maps=binding.maps),
        *arrays,
        output_beats=out.beats(binding.output.lanes),
        stalls=stalls,
        builds=BUILDS,
    )
    for stall, result in zip(stalls, results, strict=True):
        got = result.outputs.reshape(golden.shape)
        np.testing.assert_array_equal(got, golden, err_msg=f"{binding.module} against golden, {stall}")
        assert result.status == 0, f"{binding.module}: status {result.status}, {stall}"
    check_cycles(results[0], cost, bound)
    return results


def check_cycles(result: SimResult, cost: Cost, bound: bool = False) -> None:
    """Check an unstalled run: every distance of two frames and the latency are the cycles foretold, or within them."""
    intervals = np.diff(result.tlast)
    if bound:
        assert intervals.max() <= cost.cycles, f"{intervals.max()} cycles per frame, cost() says {cost.cycles} at most"
        assert result.latency <= cost.latency, f"latency is {result.latency} cycles, cost() says {cost.latency} at most"
        return
    np.testing.assert_array_equal(intervals, np.full_like(intervals, cost.cycles), err_msg="cycles per frame")
    assert result.latency == cost.latency, f"latency is {result.latency} cycles, cost() says {cost.latency}"
