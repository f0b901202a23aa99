"""A call takes its own data whole and nothing of the next call's: every kernel twice on the same streams."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jinja2
import numpy as np
import pytest

from bireal_hw.assets import asset
from bireal_hw.golden import run
from bireal_hw.hls import generate
from bireal_hw.hls.gpp import headers
from bireal_hw.hls.tables import table, table_name
from bireal_hw.ir.op import Array, Fold, Op
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType
from bireal_hw.ops import BinaryConv, RealConv
from bireal_hw.passes.folding import fold
from bireal_hw.sim.packing import hex_beats, parse_beats
from tests.conformance import draw
from tests.networks import mixed, random_images
from tests.test_mutations import (
    BITS,
    CENTER,
    CLIP,
    CONCAT,
    CONV,
    DUPLICATE,
    FLATTEN,
    MAX,
    MERGE,
    POOL,
    PRELU,
    REAL,
    RESCALE,
    RSIGN,
    SIGN,
    SUM,
    UPSAMPLE,
    Layer,
)

pytestmark = pytest.mark.hls

SLOW = Path(__file__).with_name("slow")
CALLS = (2, 3)
"""Frames of the first call and of the second."""
RNG = np.random.default_rng(15)


def binary(size: tuple[int, int], kernel: int, stride: int, pad: int, fold: Fold) -> Layer:
    weights = RNG.choice(np.array([-1, 1], np.int8), (4, kernel, kernel, 4))
    return Layer(BinaryConv(weights, stride, (pad,) * 4), (TensorType.full(*size, 4, BIPOLAR),), fold)


def real(size: tuple[int, int], kernel: int, stride: int, pad: int, fold: Fold) -> Layer:
    weights = RNG.integers(-127, 128, (4, kernel, kernel, 2)).astype(np.int32)
    offsets, shifts = RNG.integers(-999, 999, 4).astype(np.int32), np.array([2, 5, 7, 3], np.int32)
    op = RealConv(weights, offsets, shifts, DataType(10), stride, (pad,) * 4)
    return Layer(op, (TensorType.full(*size, 2, DataType(8)),), fold)


SIZES = {
    "1x1 stride 2": ((6, 6), 1, 2, 0),
    "1x1 stride 2, odd": ((5, 7), 1, 2, 0),
    "6x6 3x3 stride 2": ((6, 6), 3, 2, 0),
    "6x6 3x3 stride 2 pad 1": ((6, 6), 3, 2, 1),
    "8x8 3x3 stride 3": ((8, 8), 3, 3, 0),
    "7x9 3x3 stride 2": ((7, 9), 3, 2, 0),
    "9x7 3x3 stride 2 pad 1": ((9, 7), 3, 2, 1),
    "5x5 3x3": ((5, 5), 3, 1, 0),
}
"""Convolutions whose last window ends before the last pixel, or with it, or behind it."""
WHOLE = [
    CONV,
    REAL,
    MERGE,
    PRELU,
    POOL,
    MAX,
    BITS,
    SIGN,
    RSIGN,
    CLIP,
    SUM,
    RESCALE,
    FLATTEN,
    UPSAMPLE,
    CONCAT,
    DUPLICATE,
    CENTER,
]
LAYERS = (
    {f"{layer.op.kind} {number}": layer for number, layer in enumerate(WHOLE)}
    | {f"binary_conv {name}": binary(*size, Fold(2, 2)) for name, size in SIZES.items()}
    | {f"real_conv {name}": real(*size, Fold(2, 1)) for name, size in SIZES.items()}
    # more beats in than out of the window, and the other way round
    | {"binary_conv, quick": binary((6, 6), 3, 2, 0, Fold(4, 4)), "real_conv, quick": real((8, 8), 1, 2, 0, Fold(4, 2))}
)

BENCH = """
#include "bireal/{{ header }}.hpp"
#include "bireal/watch.hpp"
namespace {
struct Config {
{% for name, value in binding.parameters.items() %}
  static constexpr int {{ name }} = {{ value }};
{% endfor %}
};
{% for memory in tables %}{{ memory }}
{% endfor %}
template <int Width>
void give(const std::string& path, long skip, long count, hls::stream<ap_uint<Width>>& stream) {
  std::ifstream file(path);
  std::string line;
  for (long i = 0; i < skip + count && std::getline(file, line); ++i)
    if (i >= skip) stream.write(bireal::from_hex<Width>(line));
}
}  // namespace
int main(int, char** words) {
  const std::string folder = words[1];
  hls::slowness() = std::stoi(words[2]);
  const bool waiting = words[3][0] == '1';  // the data of the second call are there before the first one begins
{% for port, beats in inputs %}
  hls::stream<ap_uint<{{ port.width }}>> {{ port.name }}("{{ port.name }}");
  give(folder + "/{{ port.name }}.hex", 0, {{ beats * calls[0] }}, {{ port.name }});
  if (waiting) give(folder + "/{{ port.name }}.hex", {{ beats * calls[0] }}, {{ beats * calls[1] }}, {{ port.name }});
{% endfor %}
  hls::stream<ap_uint<{{ binding.output.width }}>> m_axis("m_axis");
  bireal::{{ binding.module }}<Config>({{ call.replace("count", calls[0] | string) }});
{% for port, beats in inputs %}
  const long next_{{ loop.index }} = waiting ? {{ beats * calls[1] }} : 0;
  std::printf("{{ port.name }} %ld\\n", static_cast<long>({{ port.name }}.size()) - next_{{ loop.index }});
  if (!waiting) give(folder + "/{{ port.name }}.hex", {{ beats * calls[0] }}, {{ beats * calls[1] }}, {{ port.name }});
{% endfor %}
  bireal::{{ binding.module }}<Config>({{ call.replace("count", calls[1] | string) }});
{% for port, beats in inputs %}
  std::printf("{{ port.name }} %ld\\n", static_cast<long>({{ port.name }}.size()));
{% endfor %}
  bireal::write_beats(folder + "/m_axis.hex", m_axis);
}
"""


def compiled(text: str, folder: Path, include: Path) -> Path:
    """A program whose streams are slow."""
    (folder / "bench.cpp").write_text(text)
    command = ["g++", "-std=c++14", "-O0", "-DBIREAL_THREADS", "-I", str(SLOW), "-I", str(include)]
    command += [
        "-DAP_INT_MAX_W=4096",
        "-isystem",
        str(headers()),
        str(folder / "bench.cpp"),
        "-o",
        str(folder / "bench"),
    ]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "bench"


def called_twice(layer: Layer, folder: Path, slowness: int, waiting: bool, include: Path | None = None) -> Array:
    """The output of both calls, once it is sure that each took exactly its data."""
    include = include or asset("hls/include")
    binding = layer.op.hls(layer.fold, *layer.types)
    arrays = [draw(tensor, sum(CALLS), 3 + number) for number, tensor in enumerate(layer.types)]
    tables = {table_name(name): memory for name, memory in binding.memories.items()}
    ports = [port.name for port in (*binding.inputs, binding.output)]
    if not (folder / "bench").exists():
        template = jinja2.Template(BENCH, undefined=jinja2.StrictUndefined, trim_blocks=True)
        text = template.render(
            header=binding.module,
            binding=binding,
            tables=[table(name, memory) for name, memory in tables.items()],
            inputs=[(port, x[0].size // port.lanes) for port, x in zip(binding.inputs, arrays, strict=True)],
            call=", ".join([*ports, *tables, "count"]),
            calls=CALLS,
        )
        compiled(text, folder, include)
    for port, x in zip(binding.inputs, arrays, strict=True):
        (folder / f"{port.name}.hex").write_bytes(hex_beats(x, port))
    command = [str(folder / "bench"), str(folder), str(slowness), str(int(waiting))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    left = [f"{port.name} 0" for port in binding.inputs]
    assert done.stdout.splitlines() == left + left, "beats left of the first call, then of the second"
    want = layer.op.golden(*arrays)
    got = parse_beats((folder / "m_axis.hex").read_bytes(), binding.output).reshape(want.shape)
    np.testing.assert_array_equal(got, want)
    return got


def test_every_kernel_is_here() -> None:
    with_memory = {"engine"}  # its calls: test_engine.py
    assert {layer.op.kind for layer in LAYERS.values()} == set(Op.registry) - with_memory


@pytest.mark.parametrize("name", LAYERS)
def test_two_calls_take_exactly_their_data(name: str, tmp_path: Path) -> None:
    for slowness in (0, 128, 230):
        for waiting in (False, True):
            called_twice(LAYERS[name], tmp_path, slowness, waiting)


NETWORK = """
#include "bireal/watch.hpp"
#include "top.hpp"
int main(int, char** words) {
  hls::slowness() = std::stoi(words[2]);
  std::ifstream file(std::string(words[1]) + "/images.bin", std::ios::binary);
  const std::string images{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  hls::stream<pixel_beat> s_axis("s_axis");
  hls::stream<logit_beat> m_axis("m_axis");
  for (std::size_t i = 0; i < images.size(); i += image_channels) {
    pixel_beat beat;
    for (int c = 0; c < image_channels; ++c)
      beat.data.range(8 * c + 7, 8 * c) = static_cast<unsigned char>(images[i + c]);
    s_axis.write(beat);
  }
  for (int frames : {2, 3}) {
    bireal_top(s_axis, m_axis, frames);
    std::fprintf(stderr, "%zu\\n", s_axis.size() / (image_height * image_width));
    for (int i = 0; i < frames * classes / logit_lanes; ++i) {
      const logit_beat beat = m_axis.read();
      for (int l = 0; l < logit_lanes; ++l) std::printf("%d\\n", bireal::element<32>(beat.data, l).to_int());
      if (beat.last != (i == frames * classes / logit_lanes - 1)) return 7;
    }
    if (m_axis.size()) return 8;
  }
}
"""


def test_two_calls_of_a_network(tmp_path: Path) -> None:
    """Streams between its kernels belong to a call; what a kernel left in one would be lost, or another image's."""
    graph = mixed(9, 7, 3, 6, seed=35)
    generate(graph, fold(graph, 3_000), tmp_path / "hls", "xc7z020clg400-1", 100)
    images = random_images(graph, sum(CALLS))
    (tmp_path / "images.bin").write_bytes(images.tobytes())
    project = tmp_path / "hls"
    program = compiled(f'{NETWORK}\n#include "{project}/top.cpp"\n', tmp_path, project)
    done = subprocess.run([str(program), str(tmp_path), "128"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.split()) == (0, ["3", "0"])
    got = np.array(done.stdout.split(), np.int64)
    np.testing.assert_array_equal(got.reshape(len(images), -1), run(graph, images).reshape(len(images), -1))
