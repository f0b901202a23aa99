"""Cost model: LUT, FF, block RAM and DSP of a library module as functions of its parameters.

Block RAM and DSP follow from rules and are exact: every memory of the library is described here by depth and width
(`bireal_hw.synth.memory` says how it is built), and each multiplication takes one DSP, or two of them where a layer
packs them (`Fold.pack`). LUT and FF are sums over the
features of a module, which name what grows with what (adders with their bits, multiplexers with their inputs), times
coefficients that `python -m bireal_hw.analysis.calibrate` fits to Yosys and writes to `coefficients.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import ceil, expm1, log1p, log2
from pathlib import Path

from bireal_hw.ir.encoding import dense, dense_shape, rom_shape
from bireal_hw.ir.op import conv_output
from bireal_hw.synth.memory import Mapping as MemoryMapping
from bireal_hw.synth.memory import map_memory, map_rom
from bireal_hw.synth.resources import Resources

COEFFICIENTS = Path(__file__).with_name("coefficients.toml")
WEIGHT_WIDTH = 8
WIDEST = 16
"""Inputs of the widest multiplexer behind block RAMs that the calibration covers; more are counted in units of it."""

Parameters = Mapping[str, int]
Features = dict[str, float]


@dataclass(frozen=True)
class Rom:
    """A memory that is only read: its words stand in the bitstream."""

    depth: int
    width: int
    name: str = ""

    @property
    def bits(self) -> int:
        """What it keeps."""
        return self.depth * self.width

    @property
    def mapping(self) -> MemoryMapping:
        """How it is built."""
        return map_rom(self.depth, self.width)


@dataclass(frozen=True)
class Ram:
    """A memory with one write and one read port.

    Attributes:
        words: that are needed, if less than there are addresses.
    """

    depth: int
    width: int
    name: str = ""
    words: int | None = None

    @property
    def bits(self) -> int:
        """What it keeps when it is full."""
        return (self.depth if self.words is None else self.words) * self.width

    @property
    def mapping(self) -> MemoryMapping:
        """How it is built."""
        return map_memory(self.depth, self.width, writable=True)


@dataclass(frozen=True)
class Anatomy:
    """What a module consists of.

    Attributes:
        features: sizes that LUT and FF grow with, by name.
        memories: all it holds, those of registers excepted.
        dsp: multipliers.
    """

    features: Features
    memories: list[Rom | Ram] = field(default_factory=list)
    dsp: int = 0


def predict(module: str, parameters: Parameters) -> Resources:
    """Return what an instance needs, LUT and FF as fractions since they are estimates."""
    coefficients, anatomy = _coefficients()[module], anatomy_of(module, parameters)
    features = complete_features(anatomy)
    lut, ff = (sum(coefficients[kind].get(name, 0) * size for name, size in features.items()) for kind in ("lut", "ff"))
    lut += lut_ram_luts(anatomy)
    return Resources(lut=lut, ff=ff, bram36=block_ram(anatomy), dsp=anatomy.dsp)


def complete_features(anatomy: Anatomy) -> Features:
    """Return a module's features with those of its memories: one for its existence, bits read from logic, selection."""
    features = {"one": 1.0, **anatomy.features}
    for memory in anatomy.memories:
        more = _rom_features(memory) if isinstance(memory, Rom) else _ram_features(memory)
        for name, size in more.items():
            features[name] = features.get(name, 0) + size
    return features


def _rom_features(rom: Rom) -> Features:
    """br_constants: a ROM and a register; between them registers for the words of a line, and an OR of LUT6.

    Behind that, where every ninth word is spread over eight others, what brings it together.
    """
    if rom.mapping.style == "logic":
        columns = different_columns(rom.depth, rom.width)
        words = _power_of_two(ceil(rom.depth / 64))  # LUTs under multiplexers of two inputs
        return {"rom_lut": columns * words, "rom_bit": columns}
    depth, width = dense_shape(rom.depth, rom.width)
    _, words = rom_shape(depth, width)
    rows: Features = {"row_bit": width * words, "row_or": width * ceil((words - 1) / 5)} if words > 1 else {}
    return {"rom_word": width, "spread": rom.width if dense(rom.depth, rom.width) else 0, **rows}


def _ram_features(ram: Ram) -> Features:
    """Multiplexers between rows of LUT RAM or block RAM."""
    mapping = ram.mapping
    if mapping.style == "lut":
        return {"ram_bit": ram.width, "ram_row": ram.width * (mapping.rows - 1)}
    if mapping.rows == 1:
        return {}
    way = min(_power_of_two(mapping.rows), WIDEST)
    return {f"select{way}": ram.width * mapping.rows / way}


def different_columns(depth: int, width: int) -> float:
    """Return how many of so many random columns of bits are expected to differ: equal ones become one in synthesis.

    >>> different_columns(144, 64), round(different_columns(6, 1152)), round(different_columns(9, 256))
    (64, 64, 202)
    """
    return width if depth > 40 else -(2**depth) * expm1(width * log1p(-(2.0**-depth)))


def _power_of_two(number: int) -> int:
    """The least power of two that is no less."""
    return 1 << (number - 1).bit_length()


def lut_ram_luts(anatomy: Anatomy) -> int:
    """Return the LUTs that are memory."""
    return sum(memory.mapping.luts for memory in anatomy.memories)


def block_ram(anatomy: Anatomy) -> float:
    """Return block RAM in units of 36 Kb."""
    return sum(memory.mapping.bram36 for memory in anatomy.memories)


@cache
def _coefficients() -> dict[str, dict[str, dict[str, float]]]:
    return tomllib.loads(COEFFICIENTS.read_text())


def anatomy_of(module: str, parameters: Parameters) -> Anatomy:
    """Return what a module consists of.

    Raises:
        KeyError: the module never stands alone in a network.
    """
    return _ANATOMIES[module](parameters)


def index_bits(count: int) -> int:
    """Return the bits of an index 0 .. count-1, at least 1, as `br_pkg::idx_width` does."""
    return max(1, (count - 1).bit_length())


# ---- modules, each the mirror of one file in rtl/ ----


def _window(
    image: tuple[int, int],
    chunks: int,
    width: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> tuple[Features, Ram]:
    """br_window: `chunks` beats a pixel, `width` bits a beat."""
    out_height, out_width = (conv_output(*sides) for sides in zip(image, kernel, stride, pad, strict=True))
    span = (kernel[0] - 1) * image[1] + kernel[1]
    column = stride[1] if out_width > 1 else 0
    row = stride[0] * image[1] - (out_width - 1) * stride[1]
    frame = image[0] * image[1] - (out_height - 1) * stride[0] * image[1] - (out_width - 1) * stride[1]
    capacity = span + max(column, row if out_height > 1 else 0, frame) + 1
    address = index_bits(capacity * chunks)
    return {"address": address, "beat": width}, Ram(2**address, width, "window", capacity * chunks)


def _popcount(positions: int) -> tuple[int, int]:
    """br_popcount: LUTs of six inputs, registers.

    >>> _popcount(16), _popcount(64)
    ((15, 5), (73, 20))
    """
    luts, registers = _popcount_tree(positions - 1)
    return 1 + luts, 1 + registers


def _popcount_tree(positions: int) -> tuple[int, int]:
    """br_popcount_tree: LUTs of six inputs, registers."""
    if positions <= 1:
        luts = positions
    elif positions <= 3:
        luts = 2
    elif positions <= 7:
        luts = 4 + max(positions - 5, 0)
    elif positions <= 15:
        luts = 4 + 2 * ceil(positions / 3)
    else:
        first = (positions - 1) // 2
        halves = _popcount_tree(first), _popcount_tree(positions - 1 - first)
        luts, registers = (sum(amounts) for amounts in zip(*halves, strict=True))
        return 1 + luts + index_bits(first + 1), 1 + registers
    return luts, positions.bit_length()


def _binary_conv(p: Parameters) -> Anatomy:
    kernel, chunks, folds = p["Kernel"], p["InChannels"] // p["Simd"], p["OutChannels"] // p["Pe"]
    window, buffer = _window(
        (p["Height"], p["Width"]),
        chunks,
        p["Simd"],
        (kernel, kernel),
        (p["Stride"], p["Stride"]),
        (p["Pad"], p["Pad"]),
    )
    depth, product = folds * kernel * kernel * chunks, p["Pe"] * p["Simd"]
    luts, registers = _popcount(p["Simd"])
    sizes: Features = {
        "counter": index_bits(depth) + index_bits(folds) + index_bits(chunks),
        "popcount": p["Pe"] * luts,
        "sum": p["Pe"] * p["AccWidth"],
        "count": p["Pe"] * registers,
    }
    return Anatomy(window | sizes, [buffer, Rom(depth, product, "weights")])


def _real_conv(p: Parameters) -> Anatomy:
    kernel, channels, folds = p["Kernel"], p["InChannels"], p["OutChannels"] // p["Pe"]
    row, bits = kernel * channels, p["InWidth"]
    width = conv_output(p["Width"], kernel, p["Stride"], p["Pad"]) if kernel > 1 else p["Width"]
    chunks = row // p["Simd"]
    window, buffer = _window(
        (p["Height"], width),
        chunks,
        p["Simd"] * bits,
        (kernel, 1),
        (p["Stride"], 1 if kernel > 1 else p["Stride"]),
        (p["Pad"], 0),
    )
    depth, products, lanes = folds * kernel * chunks, p["Pe"] * p["Simd"], p["OutLanes"]
    pairs = p["Pe"] // 2 * p["Simd"] if p["Pack"] == 2 else 0
    full = p["AccWidth"] + p["LeftShift"]
    sizes: Features = {
        "counter": index_bits(depth) + index_bits(folds) + index_bits(chunks),
        "unfolded": row * bits if kernel > 1 else 0,
        "split": row * bits if kernel > 1 and chunks > 1 else 0,
        "mask": p["Simd"] * bits if p["Pad"] else 0,
        "carry_save": p["Pe"] * max(p["Simd"] - 2, 0) * (bits + WEIGHT_WIDTH),
        "add": p["Pe"] * min(p["AccWidth"], bits + WEIGHT_WIDTH + ceil(log2(p["Simd"]))) if p["Simd"] > 1 else 0,
        "sum": p["Pe"] * p["AccWidth"],
        "single": (products - 2 * pairs) * (bits + WEIGHT_WIDTH),  # registers of products outside the multipliers
        "pair": pairs,
        "share": p["Pe"] * p["AccWidth"] if p["Pe"] > lanes else 0,
        "lane": lanes * full,
        "shift": lanes * full * p["SWidth"],
        "out": lanes * p["OutWidth"],
    }
    scales = Rom(p["OutChannels"] // lanes, lanes * (p["SWidth"] + p["HWidth"]), "scales")
    weights = Rom(depth, products * WEIGHT_WIDTH, "weights")
    return Anatomy(window | sizes, [buffer, weights, scales], dsp=products - pairs)


def _merge(p: Parameters) -> Anatomy:
    lanes, product = p["Lanes"], p["GWidth"] + p["DotWidth"]
    sizes: Features = {
        "shortcut": lanes * p["ShortcutWidth"],
        "dot": lanes * p["DotWidth"],
        "affine": lanes * max(product, p["HWidth"]),
        "out": lanes * p["OutWidth"],
        "counter": index_bits(p["Channels"] // lanes),
    }
    slope = p.get("KWidth", 0)
    if slope:
        sizes["prelu"] = lanes * max(product, p["HWidth"], p["ShortcutWidth"]) * slope
    affine = Rom(p["Channels"] // lanes, lanes * (p["GWidth"] + p["HWidth"] + slope), "affine")
    return Anatomy(sizes, [affine], dsp=lanes)


def _affine(p: Parameters) -> Anatomy:
    return _merge({**p, "ShortcutWidth": 0})


def _leaky_clip(p: Parameters) -> Anatomy:
    return Anatomy({"in": p["Lanes"] * p["InWidth"], "out": p["Lanes"] * p["OutWidth"]}, dsp=p["Lanes"])


def _sign(p: Parameters) -> Anatomy:
    threshold = p.get("TWidth", 0)
    if not threshold:
        return Anatomy({"lane": p["Lanes"]})
    groups = p["Channels"] // p["Lanes"]
    sizes: Features = {"compare": p["Lanes"] * max(threshold, p["InWidth"]), "counter": index_bits(groups)}
    return Anatomy(sizes, [Rom(groups, p["Lanes"] * threshold, "thresholds")])


def _avg_pool(p: Parameters) -> Anatomy:
    if p["KernelH"] * p["KernelW"] == 1:
        return Anatomy({"round": p["Lanes"] * p["InWidth"]})  # sums nothing
    groups = p["Channels"] // p["Lanes"]
    depth, width = p["Width"] // p["KernelW"] * groups, p["Lanes"] * p["SumWidth"]
    sizes: Features = {
        "counter": index_bits(depth) + index_bits(groups) + index_bits(p["KernelW"]) + index_bits(p["KernelH"]),
        "in": p["Lanes"] * p["InWidth"],
        "sum": width,
        "out": p["Lanes"] * p["OutWidth"],
        "address": index_bits(depth),
    }
    return Anatomy(sizes, [Ram(depth, width, "sums")])


def _max_pool(p: Parameters) -> Anatomy:
    groups, width = p["Channels"] // p["Lanes"], p["Lanes"] * p["InWidth"]
    pairs = p["Width"] // 2 * groups
    sizes: Features = {"counter": index_bits(pairs) + index_bits(groups) + index_bits(p["Height"]), "beat": width}
    return Anatomy(sizes, [Ram(groups, width, "row"), Ram(pairs, width, "column")])


def _center(p: Parameters) -> Anatomy:
    return Anatomy({"out": p["Lanes"] * p["OutWidth"]}, [Rom(p["Channels"] // p["Lanes"], p["Lanes"] * 9, "offsets")])


def _fifo(p: Parameters) -> Anatomy:
    depth, width = p["Depth"] - 1, p["Width"] + 1
    if depth < 1:
        return Anatomy({"register": width})
    return Anatomy({"beat": width, "counter": index_bits(depth)}, [Ram(depth, width, "queue")])


def _width_converter(p: Parameters) -> Anatomy:
    into, out = p["InLanes"] * p["ElemWidth"], p["OutLanes"] * p["ElemWidth"]
    split, join = (into, 0) if into > out else (0, out)
    return Anatomy(
        {
            "split": split,
            "join": join,
            "kept": max(split - out, 0),
            "counter": index_bits(max(into, out) // min(into, out)),
        }
    )


_ANATOMIES: dict[str, Callable[[Parameters], Anatomy]] = {
    "br_binary_conv": _binary_conv,
    "br_real_conv": _real_conv,
    "br_merge": _merge,
    "br_affine": _affine,
    "br_leaky_clip": _leaky_clip,
    "br_avg_pool": _avg_pool,
    "br_max_pool": _max_pool,
    "br_center": _center,
    "br_sign": _sign,
    "br_fifo": _fifo,
    "br_fork": lambda p: Anatomy({"output": p["Outputs"]}),
    "br_reg_slice": lambda p: Anatomy({"beat": p["Width"] + 1}),
    "br_width_converter": _width_converter,
}
MODULES = tuple(_ANATOMIES)
"""Modules that stand between streams, as the generator instantiates them."""


def total(instances: Iterable[tuple[str, Parameters]]) -> Resources:
    """Return the sum over (module, parameters)."""
    result = Resources()
    for module, parameters in instances:
        result += predict(module, parameters)
    return result
