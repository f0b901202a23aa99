"""Faults planted in the C++ headers are caught by the comparison that every layer passes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.hls.csim import run_kernel
from bireal_hw.hls.gpp import QUICK
from bireal_hw.ir.op import Fold
from tests.conformance import BUILDS, draw
from tests.ops.test_engine import tail
from tests.test_mutations import (
    BITS,
    BORDER,
    CENTER,
    CLIP,
    CONV,
    MAX,
    MERGE,
    POOL,
    PRELU,
    REAL,
    RESCALE,
    RSIGN,
    SIGN,
    Layer,
)

pytestmark = pytest.mark.hls

TAIL = tail(4, 6, 8, seed=3)
ENGINE = Layer(TAIL, (TAIL.graph.input,), Fold(pe=8, simd=32, lanes=8))
FAULTS: dict[str, tuple[Layer, str, str, str]] = {
    "padded tap counts": (CONV, "binary_conv", "if (inside || HasBorder)", "if (inside || at == 0)"),
    "border of another channel": (BORDER, "binary_conv", "border[window.chunk()][i]", "border[0][i]"),
    "xor in place of xnor": (CONV, "binary_conv", "Config::Simd - 2 * different", "2 * different - Config::Simd"),
    "accumulator not cleared": (CONV, "binary_conv", "sum = first ?", "sum = first && word == 0 ?"),
    "window off by one column": (CONV, "window", "column_ < Shape::Width;", "column_ < Shape::Width - 1;"),
    "window reads before the pixel is there": (CONV, "window", "- Span;  // pixels in", ";  // pixels in"),
    "buffer overwrites a row in use": (CONV, "window", "(Span + MaxStep + 1) * Shape", "(Span / 2) * Shape"),
    "merge wraps": (MERGE, "common", "if (kept == x) return kept;", "return kept;"),
    "shift before the offset": (MERGE, "merge", "(t >> Config::Shift)", "(t >> (Config::Shift - 1))"),
    "offset dropped": (REAL, "real_conv", "(sums, l) + offset", "(sums, l) + 0 * offset"),
    "padding is not zero": (REAL, "real_conv", "if (window.inside()) taps", "taps"),
    "pool drops the half": (POOL, "avg_pool", "<< Left) + Half)", "<< Left))"),
    "pool adds up two windows": (POOL, "avg_pool", "if (column != 0 || row != 0)", "if (latest_address >= 0)"),
    "maximum of the row starts late": (MAX, "max_pool", "if (!first_x) {", "if (!first_x && x != 1) {"),
    "largest bit is -1": (BITS, "max_pool", "(Signed ? y > x", "(true ? y > x"),
    "a column that is left over": (
        BITS,
        "max_pool",
        "(OverX && x_end)",
        "(!OverX && x_end)",
    ),
    "lowest bit in place of the sign": (SIGN, "sign", "(l + 1) * Config::InWidth - 1", "l * Config::InWidth"),
    "PReLU drops the half": (PRELU, "merge", "Wide((u + half) >> k)", "Wide(u >> k)"),
    "PReLU on both sides": (PRELU, "merge", "return u < 0 ?", "return true ?"),
    "one piece on both sides": (RESCALE, "rescale", "x >= knee ?", "true ?"),
    "the knee itself is below": (RESCALE, "rescale", "x >= knee ?", "x > knee ?"),
    "no lower limit": (RESCALE, "rescale", "if (shifted < Config::Low) return", "if (false) return"),
    "threshold itself is -1": (RSIGN, "sign", ">= threshold", "> threshold"),
    "threshold of another channel": (RSIGN, "sign", "thresholds[group][l]", "thresholds[Groups - 1 - group][l]"),
    "clip on one side only": (CLIP, "leaky_clip", "if (x < -Config::Limit) core", "if (false) core"),
    "engine: the other map of the input": (ENGINE, "engine", "load<Config>(pass, !side", "load<Config>(pass, side"),
    "engine: a frame arrives in the wrong map": (ENGINE, "engine", "(side ? Config::InSize / 8 : 0)", "(side ? 0 : 0)"),
    "engine: sums not cleared": (ENGINE, "engine", "(first ? Sum(0) :", "(first && sweep.pixel() != 0 ? Sum(0) :"),
    "engine: short words": (ENGINE, "engine", "short_word ? pass.offset_last", "false ? pass.offset_last"),
    "engine: nothing is lent": (ENGINE, "engine", "lent = p % 2 == 1 &&", "lent = p % 2 == 2 &&"),
    "engine: knee on one side": (ENGINE, "engine", "if (pass.knee && value < -pass.limit)", "if (false)"),
    "engine: PReLU drops the half": (ENGINE, "engine", "half = (Number<Wide>(1) << k) >> 1", "half = 0"),
    "engine: pool drops the half": (ENGINE, "engine", "(Number<33>(sum) + pass.pool_half)", "(Number<33>(sum))"),
    "engine: constants of the group before": (
        ENGINE,
        "engine",
        "const bool ready = complete != 0;",
        "const bool ready = true;",
    ),
    "engine: bits are not kept": (ENGINE, "engine", "bits[pass.bits_first + i][s] =", "bits[i][s] ="),
    "offset of another channel": (CENTER, "center", "offsets[group][l]", "offsets[group][Config::Lanes - 1 - l]"),
}


def differs(layer: Layer, include: Path) -> bool:
    """Whether the kernel gives anything but golden's integers, or does not end."""
    inputs = [draw(tensor, 3, 7 + i) for i, tensor in enumerate(layer.types)]
    want = layer.op.golden(*inputs)
    try:
        kernel = layer.op.hls(layer.fold, *layer.types)
        got = run_kernel(kernel, *inputs, builds=BUILDS, include=include, flags=QUICK).outputs
    except BirealError as error:
        if "does not compile" in str(error):
            raise
        return True
    return got.size != want.size or not np.array_equal(got.reshape(want.shape), want)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_header_is_caught(fault: str, tmp_path: Path) -> None:
    layer, header, old, new = FAULTS[fault]
    shutil.copytree(asset("hls/include"), tmp_path / "include")
    path = tmp_path / "include" / "bireal" / f"{header}.hpp"
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name} has {text.count(old)} times '{old}'"
    path.write_text(text.replace(old, new))
    assert differs(layer, tmp_path / "include")


@pytest.mark.parametrize(
    "layer",
    [CONV, REAL, MERGE, PRELU, RESCALE, POOL, MAX, BITS, SIGN, RSIGN, CLIP, CENTER, ENGINE],
    ids=lambda layer: layer.op.kind,
)
def test_sound_headers_pass_the_same_check(layer: Layer) -> None:
    assert not differs(layer, asset("hls/include"))
