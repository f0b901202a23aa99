"""The headers themselves: warnings, limits that do not compile, pragmas, wide beats, the paths only synthesis takes."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise, takewhile
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.hls import generate
from bireal_hw.hls.csim import run_kernel
from bireal_hw.hls.gpp import QUICK, build, headers
from bireal_hw.ir.op import Binding, Fold, Op, Port
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, Merge, RealConv, Sign
from bireal_hw.passes.folding import fold
from tests.conformance import BUILDS, draw
from tests.networks import tiny

pytestmark = pytest.mark.hls

HEADERS = sorted((asset("hls/include") / "bireal").glob("*.hpp"))
AS_SYNTHESISED = (*QUICK, "-DBIREAL_AS_SYNTHESISED")
RNG = np.random.default_rng(8)


def agree(op: Op, types: list[TensorType], fold: Fold, flags: tuple[str, ...] = QUICK) -> bool:
    op.check_fold(fold, *types)
    arrays = [draw(tensor, 3, seed) for seed, tensor in enumerate(types)]
    got = run_kernel(op.hls(fold, *types), *arrays, builds=BUILDS, flags=flags).outputs
    want = op.golden(*arrays)
    return bool(np.array_equal(got.reshape(want.shape), want))


def compile_alone(text: str, *flags: str) -> str:
    """What g++ says about a text that uses the library, under all warnings."""
    command = ["g++", "-Wall", "-Wextra", "-fsyntax-only", *flags, "-isystem", str(headers())]
    command += ["-I", str(asset("hls/include")), "-x", "c++", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("standard", ["c++14", "c++17"])
def test_a_network_compiles_without_warnings(standard: str, tmp_path: Path) -> None:
    graph = tiny()
    generate(graph, fold(graph, 2_000), tmp_path / "hls", "xc7z020clg400-1", 100)
    for name in ("top.cpp", "tb.cpp"):
        command = ["g++", f"-std={standard}", "-Wall", "-Wextra", "-fsyntax-only", "-isystem", str(headers())]
        command += [str(tmp_path / "hls" / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.stem)
def test_a_header_stands_alone(path: Path) -> None:
    assert compile_alone(f'#include "bireal/{path.name}"\n', "-std=c++14") == ""


def test_every_layer_has_a_header() -> None:
    assert set(Op.registry) <= {path.stem for path in HEADERS}


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.stem)
def test_every_inner_loop_is_pipelined_or_unrolled(path: Path) -> None:
    """A loop without a loop inside it begins with PIPELINE II=1, or is one of the unrolled loops inside such a loop.

    One around others, or around processes, tells how often it is run.
    """
    if path.stem == "watch":
        return  # no hardware
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\s*(for|while) \(.*\{$", line):
            following = lines[number + 1].strip()
            end = f"{line[: len(line) - len(line.lstrip())]}}}"
            inside = takewhile(end.__ne__, lines[number + 1 :])
            around = any(
                re.match(r"\s*(for|while) \(", text) and "PIPELINE" in after for text, after in pairwise(inside)
            )
            wanted = "LOOP_TRIPCOUNT min=.*" if around else "(PIPELINE II=1 style=flp|UNROLL)"
            assert re.match(rf"BIREAL_PRAGMA\(HLS {wanted}\)", following), (path.name, line)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Pe": 3}, "binary_conv: OutChannels must be a multiple of Pe"),
        ({"Simd": 3}, "binary_conv: InChannels must be a multiple of Simd"),
        ({"PadTop": 2}, "window: PadTop + PadBottom must be less than KernelH"),
        ({"Height": 0}, "window: the image must be as high as the kernel"),
        ({"Stride": 0}, "window: strides must be at least 1"),
    ],
)
def test_a_wrong_size_does_not_compile(change: dict[str, int | None], message: str) -> None:
    assert message in _binary_conv(change)


def test_a_missing_size_does_not_compile() -> None:
    assert _binary_conv({}) == ""
    assert "‘Simd’ is not a member of ‘Config’" in _binary_conv({"Simd": None})


def _binary_conv(change: dict[str, int | None]) -> str:
    op = BinaryConv(np.ones((4, 3, 3, 8), np.int8))
    binding = op.hls(Fold(2, 4), TensorType.full(4, 4, 8, BIPOLAR))
    parameters = {name: value for name, value in (binding.parameters | change).items() if value is not None}
    fields = "".join(f"static constexpr int {name} = {value}; " for name, value in parameters.items())
    return compile_alone(
        f'#include "bireal/binary_conv.hpp"\nstruct Config {{ {fields}}};\n'
        "static const bireal::Entry<4> weight[36][2] = {};\n"
        "void f(hls::stream<ap_uint<4>>& in, hls::stream<ap_uint<16>>& out) "
        "{ bireal::binary_conv<Config>(in, out, weight, 1); }\n",
        "-std=c++14",
        "-fmax-errors=3",
    )


def test_blanks_in_paths_do_no_harm(tmp_path: Path) -> None:
    text = '#include "bireal/common.hpp"\nint main() { return bireal::popcount<3>(7u) == 3 ? 0 : 1; }\n'
    assert subprocess.run([build("blanks", text, tmp_path / "two words" / "x", QUICK)], check=False).returncode == 0


def test_both_popcounts_are_the_same() -> None:
    """Hardware adds the bits one by one, g++ has an instruction: every value of 12 bits, and random ones of 64."""
    text = """
#include "bireal/common.hpp"
int main() {
  for (unsigned x = 0; x < 4096; ++x)
    if (bireal::popcount<12>(x) != bireal::popcount_by_bits<12>(x)) return 1;
  std::uint64_t x = 88172645463325252ull;
  for (int i = 0; i < 20000; ++i) {
    x ^= x << 13; x ^= x >> 7; x ^= x << 17;
    if (bireal::popcount<64>(x) != bireal::popcount_by_bits<64>(x)) return 2;
  }
  return bireal::popcount<64>(~0ull) == 64 ? 0 : 3;
}
"""
    assert subprocess.run([build("popcount", text, BUILDS, QUICK)], check=False).returncode == 0


SYNTHESISED = {
    "binary, one limb": (
        BinaryConv(RNG.choice(np.array([-1, 1], np.int8), (4, 3, 3, 8))),
        [TensorType.full(4, 4, 8, BIPOLAR)],
        Fold(2, 8),
    ),
    "binary, limbs of 48 bits": (
        BinaryConv(RNG.choice(np.array([-1, 1], np.int8), (4, 3, 3, 96))),
        [TensorType.full(3, 3, 96, BIPOLAR)],
        Fold(4, 96),
    ),
    "binary, a border in limbs of 48 bits": (
        BinaryConv(
            RNG.choice(np.array([-1, 1], np.int8), (4, 3, 3, 96)), border=RNG.choice(np.array([-1, 1], np.int8), 96)
        ),
        [TensorType.full(3, 3, 96, BIPOLAR)],
        Fold(4, 48),
    ),
    "real": (
        RealConv(
            RNG.integers(-127, 128, (4, 3, 3, 3)).astype(np.int32),
            RNG.integers(-5000, 5001, 4).astype(np.int32),
            np.array([-1, 3, 5, 9], np.int32),
            DataType(12),
            pads=(1,) * 4,
        ),
        [TensorType.full(4, 4, 3, DataType(8))],
        Fold(2, 3),
    ),
    "merge": (
        Merge(np.array([90, -70], np.int32), np.array([8, -300], np.int32), 4, DataType(10)),
        [TensorType.full(2, 2, 2, DataType(10)), TensorType(2, 2, 2, DataType(7), -36, 36)],
        Fold(lanes=2),
    ),
}


@pytest.mark.parametrize("case", SYNTHESISED)
def test_what_only_synthesis_compiles_gives_the_same(case: str) -> None:
    assert agree(*SYNTHESISED[case], AS_SYNTHESISED)


WIDE = {
    "4,800-bit beats": (Sign(), [TensorType.full(2, 2, 300, DataType(16))], Fold(lanes=300)),
    "9,216-bit weights": (
        BinaryConv(RNG.choice(np.array([-1, 1], np.int8), (48, 1, 1, 192)), pads=(0,) * 4),
        [TensorType.full(2, 2, 192, BIPOLAR)],
        Fold(48, 192),
    ),
    "5,120-bit pixels": (
        RealConv(
            RNG.integers(-127, 128, (2, 1, 1, 640)).astype(np.int32),
            np.zeros(2, np.int32),
            np.zeros(2, np.int32),
            DataType(26),
        ),
        [TensorType.full(1, 2, 640, DataType(8))],
        Fold(1, 640),
    ),
    "5,400-bit sums": (AvgPool((2, 2), 2, DataType(8)), [TensorType.full(2, 4, 300, DataType(16))], Fold(lanes=300)),
}


@pytest.mark.parametrize("case", WIDE)
def test_beats_and_words_of_any_width(case: str) -> None:
    assert agree(*WIDE[case])


@pytest.mark.parametrize(("before", "after"), [(6, 2), (2, 6), (12, 1), (5, 5)])
def test_width_converter(before: int, after: int) -> None:
    x = RNG.integers(-64, 64, (3, 2, 5, before * after))
    ports = (Port("s_axis", before, DataType(7)),), Port("m_axis", after, DataType(7))
    beats = x[0].size // min(before, after)
    parameters = {"Beats": beats, "ElemWidth": 7, "InLanes": before, "OutLanes": after}
    result = run_kernel(Binding("width_converter", parameters, *ports), x, builds=BUILDS, flags=QUICK)
    np.testing.assert_array_equal(result.outputs.reshape(x.shape), x)
    assert result.cycles == (beats, 2 * beats, 3 * beats)


def test_zero_is_plus_one() -> None:
    x = np.array([[[[-1, 0, 1, -32768, 32767]]]])
    kernel = Sign().hls(Fold(lanes=5), TensorType.full(1, 1, 5, DataType(16)))
    assert run_kernel(kernel, x, builds=BUILDS, flags=QUICK).outputs.tolist() == [[-1, 1, 1, -1, 1]]


def test_input_that_ends_early_is_an_error_not_a_hang() -> None:
    op, (tensor,), fold = SYNTHESISED["binary, one limb"]
    x = draw(tensor, 2, 1)[:, :2]
    with pytest.raises(BirealError) as error:
        run_kernel(op.hls(fold, tensor), x, builds=BUILDS, flags=QUICK)
    assert str(error.value) == (
        "binary_conv: the C simulation ended with status 3: binary_conv: its input ended before its frames"
    )


def test_reading_an_empty_stream_is_an_error() -> None:
    x = np.ones((2, 1, 1, 4), np.int64)
    ports = (Port("s_axis", 2, DataType(4)),), Port("m_axis", 2, BIPOLAR)
    with pytest.raises(BirealError, match=r"sign: Hls::stream 's_axis' is read while empty"):
        run_kernel(Binding("sign", {"Beats": 3, "Lanes": 2, "InWidth": 4}, *ports), x, builds=BUILDS, flags=QUICK)
