"""Faults planted in the hardware are caught: every layer's bench fails when its layer is wrong in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Binding, Fold, Memory, Op
from bireal_hw.ir.types import BIPOLAR, PIXEL, DataType, TensorType, ranged
from bireal_hw.ops import Affine, AvgPool, BinaryConv, Center, LeakyClip, MaxPool, Merge, RealConv, Sign
from bireal_hw.rtl import closure
from bireal_hw.sim.runner import Dut, simulate
from tests.conformance import BUILDS, FOUR_MODES, draw

pytestmark = pytest.mark.rtl

RNG = np.random.default_rng(4)
STREAM = DataType(10, frac=4)


@dataclass(frozen=True)
class Layer:
    """A layer with its inputs and folding."""

    op: Op
    types: tuple[TensorType, ...]
    fold: Fold


CONV = Layer(
    BinaryConv(RNG.choice(np.array([-1, 1], np.int8), (4, 3, 3, 4))), (TensorType.full(5, 4, 4, BIPOLAR),), Fold(2, 2)
)
REAL = Layer(
    RealConv(
        RNG.integers(-127, 128, (4, 3, 3, 2)).astype(np.int32),
        RNG.integers(-4000, 4000, 4).astype(np.int32),
        np.array([2, 5, 7, 3], np.int32),
        STREAM,
        pad=1,
    ),
    (TensorType.full(4, 5, 2, DataType(8)),),
    Fold(2, 3),
)
MERGE = Layer(
    Merge(np.array([90, -70], np.int32), np.array([8, -300], np.int32), 4, STREAM),
    (TensorType.full(3, 4, 2, STREAM), TensorType(3, 4, 2, ranged(-36, 36, 0), -36, 36)),
    Fold(lanes=1),
)
POOL = Layer(AvgPool((2, 2), 3, DataType(8)), (TensorType.full(4, 4, 2, STREAM),), Fold(lanes=1))
MAX = Layer(MaxPool(), (TensorType.full(4, 6, 2, STREAM),), Fold(lanes=1))
SIGN = Layer(Sign(), (TensorType.full(2, 3, 2, STREAM),), Fold(lanes=2))
PRELU = Layer(
    Merge(np.array([90, -70], np.int32), np.array([8, -300], np.int32), 4, STREAM, np.array([2, 5], np.int32)),
    MERGE.types,
    Fold(lanes=1),
)
AFFINE = Layer(
    Affine(np.array([900, -700], np.int32), np.array([8, -300], np.int32), 4, STREAM),
    (TensorType(3, 4, 2, ranged(-36, 36, 0), -36, 36),),
    Fold(lanes=1),
)
RSIGN = Layer(Sign(np.array([5, -6, 0], np.int32)), (TensorType.full(3, 4, 3, DataType(4)),), Fold(lanes=1))
CLIP = Layer(LeakyClip(60, 205, 11), (TensorType.full(2, 5, 2, STREAM),), Fold(lanes=2))
CENTER = Layer(Center(np.array([124, 116])), (TensorType.full(2, 3, 2, PIXEL),), Fold(lanes=2))

FAULTS: dict[str, tuple[Layer, str, str, str]] = {
    "padded tap counts": (CONV, "br_binary_mvu", ".half_i (pad1_q)", ".half_i (1'b0)"),
    "window off by one column": (CONV, "br_window", "32'(col_q) >= Width", "32'(col_q) >= Width - 1"),
    "window reads before the pixel is there": (CONV, "br_window", "- int'(Span)", "- int'(Span) + int'(Width)"),
    "buffer overwrites a row in use": (CONV, "br_window", "Capacity = Span + MaxStep + 1", "Capacity = Span / 2"),
    "xor in place of xnor": (CONV, "br_popcount", "$countones(~(", "$countones(("),
    "accumulator not cleared": (CONV, "br_binary_mvu", "first_q ? ~Start : ~sum_q", "~sum_q"),
    "merge wraps": (MERGE, "br_saturate", "if (!fits)", "if (1'b0)"),
    "logical shift of the affine": (MERGE, "br_merge", "affine_sum_q >>> Shift", "unsigned'(affine_sum_q) >> Shift"),
    "shortcut one stage early": (MERGE, "br_merge", "SumW'(shortcut_q[Stages-2])", "SumW'(shortcut_q[Stages-3])"),
    "offset dropped": (REAL, "br_requantize", "x + AccWidth'(h)", "x"),
    "padding is not zero": (REAL, "br_window", "(MaskPad && pad_q) ? '0", "(1'b0) ? '0"),
    "unfold begins the right edge as a row": (REAL, "br_unfold", "(Right != 0) ? EndWidth'(Width) : '0", "'0"),
    "unfold forgets a pixel of the next row": (
        REAL,
        "br_unfold",
        "EndWidth'(col_q) + EndWidth'(consume)",
        "EndWidth'(col_q)",
    ),
    "slice drops the beat in flight": (REAL, "br_reg_slice", "spare_valid_q ? spare_q : ", ""),
    "half dropped": (POOL, "br_avg_pool", "+ Half)", ")"),
    "pool adds up two windows": (POOL, "br_avg_pool", "first2_q ? '0", "1'b0 ? '0"),
    "pool misses a sum written while it was read": (POOL, "br_ram", "behind_read || with_read_q", "behind_read"),
    "pool misses a sum written after it was read": (
        Layer(POOL.op, POOL.types, Fold(lanes=2)),
        "br_ram",
        "behind_read || with_read_q",
        "with_read_q",
    ),
    "sign of zero": (SIGN, "br_sign", "!s_axis_tdata[(l+1)*InWidth-1]", "|s_axis_tdata[l*InWidth+:InWidth-1]"),
    "PReLU drops the half": (PRELU, "br_merge", "(sum_q + half) >>>", "sum_q >>>"),
    "slope one beat early": (
        PRELU,
        "br_merge",
        "i < Stages - 1; i++) slope_q[i] <= slope_q[i-1]",
        "i < Stages - 1; i++) slope_q[i] <= slope_q[0]",
    ),
    "PReLU on both sides": (PRELU, "br_merge", "sum_q < 0 ?", "1'b1 ?"),
    "affine adds one": (AFFINE, "br_affine", "tdata ('0)", "tdata ('1)"),
    "threshold itself is -1": (RSIGN, "br_sign", ">=\n", ">\n"),
    "threshold of another channel": (
        RSIGN,
        "br_fetch",
        "LineWidth'((Depth - 1) % Lines)",
        "LineWidth'((Depth - 2) % Lines)",
    ),
    "clip drops the half": (CLIP, "br_leaky_clip", "(product_q + Half)", "product_q"),
    "clip on one side only": (CLIP, "br_leaky_clip", "x < -High ? -High : x", "x"),
    "clip saturates": (CLIP, "br_leaky_clip", "core_q[1] + leak", "core_q[1]"),
    "offset of another channel": (CENTER, "br_center", "offsets_q[l*OffsetW", "offsets_q[(Lanes-1-l)*OffsetW"),
}


def mismatches(
    layer: Layer, sources: tuple[Path, ...] = (), change: Callable[[Binding], Binding] = lambda b: b
) -> bool:
    """Whether the hardware gives anything but golden's integers, in any stall mode, or breaks a rule of the streams."""
    inputs = [draw(tensor, 3, 7 + i) for i, tensor in enumerate(layer.types)]
    binding = change(layer.op.rtl(layer.fold, *layer.types))
    beats = layer.op.infer(*layer.types).beats(binding.output.lanes)
    want = layer.op.golden(*inputs).reshape(3, -1)
    try:
        runs = simulate(Dut(binding, sources), *inputs, output_beats=beats, stalls=FOUR_MODES, builds=BUILDS)
    except BirealError as error:
        if "does not build" in str(error):
            raise
        return True
    return any(not np.array_equal(run.outputs, want) for run in runs)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_source_is_caught(fault: str, tmp_path: Path) -> None:
    layer, module, old, new = FAULTS[fault]
    sources = []
    for path in closure({layer.op.rtl(layer.fold, *layer.types).module}):
        text = path.read_text()
        if path.stem == module:
            assert text.count(old) == 1, f"{module} has {text.count(old)} times '{old}'"
            text = text.replace(old, new)
        sources.append(tmp_path / path.name)
        sources[-1].write_text(text)
    assert mismatches(layer, tuple(sources))


@pytest.mark.parametrize(
    "layer",
    [CONV, REAL, MERGE, PRELU, AFFINE, RSIGN, CENTER],
    ids=["binary_conv", "real_conv", "merge", "prelu", "affine", "rsign", "center"],
)
def test_one_flipped_bit_in_a_memory_is_caught(layer: Layer) -> None:
    def flip(binding: Binding) -> Binding:
        name, memory = next(iter(binding.memories.items()))
        words = [memory.words[0] ^ 1 << memory.width - 1, *memory.words[1:]]
        return replace(binding, memories={**binding.memories, name: Memory(memory.width, words)})

    assert not mismatches(layer)
    assert mismatches(layer, change=flip)


@pytest.mark.parametrize("layer", [POOL, MAX, SIGN, CLIP], ids=["avg_pool", "max_pool", "sign", "leaky_clip"])
def test_sound_layers_pass_the_same_check(layer: Layer) -> None:
    assert not mismatches(layer)
