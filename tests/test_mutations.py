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
from bireal_hw.ops import (
    AvgPool,
    BinaryConv,
    Center,
    Concat,
    Duplicate,
    Flatten,
    LeakyClip,
    MaxPool,
    Merge,
    RealConv,
    Rescale,
    Sign,
    Sum,
    Upsample,
)
from bireal_hw.sim.runner import Dut, simulate
from tests.conformance import BUILDS, FOUR_MODES, draw
from tests.engine.tails import engine
from tests.faults import marked, planted
from tests.rtl_lib.test_axi import FAULTS as OF_MASTERS
from tests.sim.test_checks import FAULTS as BROKEN_RULES
from tests.zynq.test_memory import FAULTS as OF_GATES

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
BORDER = Layer(replace(CONV.op, border=np.array([1, -1, -1, 1], np.int8)), CONV.types, CONV.fold)  # type: ignore[type-var]
REAL = Layer(
    RealConv(
        RNG.integers(-127, 128, (4, 3, 3, 2)).astype(np.int32),
        RNG.integers(-4000, 4000, 4).astype(np.int32),
        np.array([2, 5, 7, 3], np.int32),
        STREAM,
        pads=(1,) * 4,
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
RSIGN = Layer(Sign(np.array([5, -6, 0], np.int32)), (TensorType.full(3, 4, 3, DataType(4)),), Fold(lanes=1))
CLIP = Layer(LeakyClip(60, 205, 11), (TensorType.full(2, 5, 2, STREAM),), Fold(lanes=2))
ENGINE = Layer(engine(6, 4, 8, leaky=True), (engine(6, 4, 8).graph.input,), Fold(4, 16, lanes=4))
SUM = Layer(Sum(STREAM), (TensorType.full(3, 4, 2, STREAM),) * 2, Fold(lanes=1))
RESCALE = Layer(
    Rescale(
        np.array([900, -700], np.int32),
        np.array([8, -300], np.int32),
        4,
        STREAM,
        np.array([1, -1], np.int32),
        np.array([200, 300], np.int32),
        np.array([-9, 90], np.int32),
        low=-60,
        high=150,
    ),
    (TensorType.full(3, 4, 2, DataType(3)),),
    Fold(lanes=1),
)
OPEN = Layer(MaxPool(pads=(0, 0, 0, 0)), (TensorType.full(4, 7, 2, STREAM),), Fold(lanes=1))
BITS = Layer(MaxPool.tiled(2, 2), (TensorType.full(5, 5, 4, BIPOLAR),), Fold(lanes=2))
FLATTEN = Layer(Flatten(), (TensorType.full(2, 3, 4, STREAM),), Fold(lanes=2))
UPSAMPLE = Layer(Upsample(2), (TensorType.full(3, 4, 2, STREAM),), Fold(lanes=1))
CONCAT = Layer(
    Concat(), (TensorType.full(2, 3, 2, STREAM), TensorType.full(2, 3, 4, DataType(7, frac=4))), Fold(lanes=1)
)
DUPLICATE = Layer(Duplicate(2), (TensorType.full(2, 3, 4, STREAM),), Fold(lanes=1))
CENTER = Layer(Center(np.array([124, 116])), (TensorType.full(2, 3, 2, PIXEL),), Fold(lanes=2))

FAULTS: dict[str, tuple[Layer, str]] = {
    "padding-counts": (CONV, ".half_i(1'b0),"),
    "border-of-ones": (BORDER, "assign tap_tdata = window_tpad ? '1 : window_tdata;"),
    "window-column": (
        CONV,
        "assign pad = (PadColumns != 0 && 32'(col_q) >= Width - 1) || (PadRows != 0 && 32'(row_q) >= Height);",
    ),
    "window-early": (CONV, "surplus_q <= SurplusWidth'(int'(PadTop * Width + PadLeft + Width) - int'(Span));"),
    "window-overwrites": (CONV, "localparam int unsigned Capacity = Span / 2;"),
    "xor": (
        CONV,
        "count_o <= half_i ? CountWidth'(Width / 2) : CountWidth'($countones(a_i[Width-1:1] ^ b_i[Width-1:1]));",
    ),
    "sum-not-cleared": (CONV, "assign {sum, unused_low} = {addend, carry} - {~sum_q, 1'b1};"),
    "wraps": (MERGE, "if (1'b0) begin"),
    "logical-shift": (
        MERGE,
        "assign sum = SumWidth'(shortcut_q[Stages-2]) + SumWidth'(unsigned'(affine_sum_q) >> Shift);",
    ),
    "shortcut-early": (MERGE, "assign sum = SumWidth'(shortcut_q[Stages-3]) + SumWidth'(affine_sum_q >>> Shift);"),
    "offset-dropped": (REAL, "sum_q <= x;"),
    "padding-not-zero": (REAL, "assign m_axis_tdata = data_q;"),
    "right-edge-as-row": (REAL, "if (consume && row_in) end_col_q <= '0;"),
    "pixel-of-next-row": (REAL, "else end_col_q <= EndWidth'(col_q);"),
    "beat-in-flight": (REAL, "if (out_free) out_q <= {s_axis_tlast, s_axis_tdata};"),
    "half-of-average": (
        POOL,
        "assign rounded = (RoundWidth'(signed'(sum_q[l*SumWidth+:SumWidth])) <<< Left) >>> Right;",
    ),
    "two-windows": (POOL, "assign partial = stored[l*SumWidth+:SumWidth];"),
    "written-with-read": (POOL, "newer_valid_q <= behind_read;"),
    "written-behind-read": (Layer(POOL.op, POOL.types, Fold(lanes=2)), "newer_valid_q <= with_read_q;"),
    "sign-of-zero": (SIGN, "assign m_axis_tdata[l] = |s_axis_tdata[l*InWidth+:InWidth-1];"),
    "half-of-prelu": (PRELU, "assign activated = sum_q < 0 ? sum_q >>> slope_q[Stages-2] : sum_q;"),
    "both-sides-prelu": (PRELU, "assign activated = (sum_q + half) >>> slope_q[Stages-2];"),
    "slope-early": (PRELU, "for (int i = 1; i < Stages - 1; i++) slope_q[i] <= slope_q[0];"),
    "threshold-itself": (
        RSIGN,
        "assign m_axis_tdata[l] = CompareWidth'(signed'(x_q[l*InWidth+:InWidth])) >"
        " CompareWidth'(signed'(thresholds_q[l*TWidth+:TWidth]));",
    ),
    "other-channel": (
        RSIGN,
        "assign end_of_words = line_q == LineWidth'((Depth - 2) % Lines) && row_q == RowWidth'(Rows - 1);",
    ),
    "half-of-clip": (CLIP, "assign leak = ExcessWidth'(product_q >>> Shift);"),
    "one-side-only": (CLIP, "assign core = x > High ? High : x;"),
    "clip-saturates": (CLIP, "m_axis_tdata[l*OutWidth+:OutWidth] <= OutWidth'(core_q[1]);"),
    "other-offset": (
        CENTER,
        "assign m_axis_tdata[l*OutWidth+:OutWidth] ="
        " OutWidth'({1'b0, pixels_q[l*8+:8]} - offsets_q[(Lanes-1-l)*OffsetWidth+:OffsetWidth]);",
    ),
    "addend-dropped": (SUM, ".in_i(SumWidth'(a_q)),"),
    "ring-overflows": (UPSAMPLE, "assign s_axis_tready = 1'b1;"),
    "knee-itself": (
        RESCALE,
        "chosen_q[l*FieldWidth+:FieldWidth] <= x > knee"
        " ? affine_q[l*FieldWidth+:FieldWidth] : below_q[l*FieldWidth+:FieldWidth];",
    ),
    "bias-late": (RESCALE, "sum_q <= SumWidth'(product_q) + SumWidth'(bias);"),
    "limit-above-only": (RESCALE, "if (1'b0) out = OutWidth'(Low);"),
    "compares-otherwise": (BITS, "lane_max[l*InWidth+:InWidth] = signed'(x) > signed'(y) ? x : y;"),
    "left-over-column": (BITS, "assign whole_x = wrap_x || col_end;"),
    "left-over-row": (BITS, "assign whole_y = wrap_y || row_end;"),
    "column-of-no-window": (OPEN, "localparam bit AloneX = 0;"),
    "row-of-no-window": (OPEN, "localparam bit AloneY = 0;"),
    "lanes-turned": (FLATTEN, "assign m_axis_tdata = {<<InWidth{s_axis_tdata}};"),
    "other-lane": (CONCAT, "assign b = OtherWidth'(unsigned'(s_axis_tdata[l*InWidth+:InWidth]));"),
    "copies-short": (DUPLICATE, ".FactorW (Copies - 1),"),
    "engine-padding-counts": (ENGINE, "assign pad = 1'b0;"),
    "engine-channels-beyond": (ENGINE, "if (advance) bits2_q[s*Channels+:Channels] <= read_q;"),
    "engine-sum-not-cleared": (
        ENGINE,
        "sum5_q[p*AccWidth+:AccWidth] <= read4_q[p*AccWidth+:AccWidth] + (pass.binary ? part4[p] : real4[p]);",
    ),
    "engine-logical-shift": (
        ENGINE,
        "u4_q <= SumWidth'(signed'(r3_q[l*Wide+:Wide])) + SumWidth'(unsigned'(affine3_q) >> pass.shift);",
    ),
    "engine-prelu-half": (ENGINE, "u5_q <= u4_q < 0 ? u4_q >>> k4 : u4_q;"),
    "engine-other-constants": (ENGINE, "if (group_done) read_side_q <= read_side_q;"),
    "engine-two-windows": (ENGINE, "assign sum6[l*Wide+:Wide] = stored6[l*Wide+:Wide] + y6;"),
    "engine-bits-elsewhere": (ENGINE, "bits_pixel_q <= bits_pixel_q;"),
    "engine-same-frame": (ENGINE, "if (release_i) side_o <= side_o;"),
    "engine-map-stays": (ENGINE, "addr_q <= group_end ? band_addr_q + band_i : addr_q;"),
    "engine-segments-stop": (ENGINE, "segment_q <= segment_q + SegmentWidth'(1);"),
    "copy-of-next-row": (UPSAMPLE, "assign first_copy = across_q == '0;"),
}
"""By the name that stands in the source: the layer that shows the fault, and what stands there instead."""


def mismatches(
    layer: Layer, sources: tuple[Path, ...] = (), change: Callable[[Binding], Binding] = lambda b: b
) -> bool:
    """Whether the hardware gives anything but golden's integers, in any stall mode, or breaks a rule of the streams."""
    inputs = [draw(tensor, 3, 7 + i) for i, tensor in enumerate(layer.types)]
    binding = change(layer.op.rtl(layer.fold, *layer.types))
    beats = layer.op.infer(*layer.types).beats(binding.output.lanes)
    want = layer.op.golden(*inputs).reshape(3, -1)
    dut = Dut(binding, sources, dram=binding.image, maps=binding.maps)
    try:
        runs = simulate(dut, *inputs, output_beats=beats, stalls=FOUR_MODES, builds=BUILDS)
    except BirealError as error:
        if "does not build" in str(error):
            raise
        return True
    return any(not np.array_equal(run.outputs, want) for run in runs)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_source_is_caught(fault: str, tmp_path: Path) -> None:
    layer, code = FAULTS[fault]
    assert mismatches(layer, planted(fault, code, layer.op.rtl(layer.fold, *layer.types).module, tmp_path))


def test_every_mark_has_a_fault() -> None:
    assert sorted(marked()) == sorted([*FAULTS, *BROKEN_RULES, *OF_MASTERS, *OF_GATES])


@pytest.mark.parametrize(
    "layer",
    [CONV, BORDER, REAL, MERGE, PRELU, RESCALE, RSIGN, CENTER],
    ids=["binary_conv", "border", "real_conv", "merge", "prelu", "rescale", "rsign", "center"],
)
def test_one_flipped_bit_in_a_memory_is_caught(layer: Layer) -> None:
    def flip(binding: Binding) -> Binding:
        name, memory = list(binding.memories.items())[-1]
        words = [memory.words[0] ^ 1 << memory.width - 1, *memory.words[1:]]
        return replace(binding, memories={**binding.memories, name: Memory(memory.width, words)})

    assert not mismatches(layer)
    assert mismatches(layer, change=flip)


@pytest.mark.parametrize(
    "layer",
    [POOL, MAX, BITS, SIGN, CLIP, SUM, UPSAMPLE, CONCAT, DUPLICATE, FLATTEN, ENGINE],
    ids=[
        "avg_pool",
        "max_pool",
        "bits",
        "sign",
        "leaky_clip",
        "sum",
        "upsample",
        "concat",
        "duplicate",
        "flatten",
        "engine",
    ],
)
def test_sound_layers_pass_the_same_check(layer: Layer) -> None:
    assert not mismatches(layer)
