"""Cost model: LUT, FF, block RAM and DSP of a library module as functions of its parameters.

Each module says what it consists of (`Op.anatomy`, `bireal_hw.passes.streams`). Block RAM and DSP follow from rules and
are exact: a memory has depth and width (`bireal_hw.synth.memory` says how it is built), and each multiplication takes
one DSP, or two of them where a layer packs them (`Fold.pack`). LUT and FF are sums over the features of a module, which
name what grows with what (adders with their bits, multiplexers with their inputs), times coefficients that
`python -m bireal_hw.analysis.calibrate` fits to Yosys and writes to `coefficients.toml`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from math import ceil, expm1, log1p
from pathlib import Path

from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Ram, Rom
from bireal_hw.ir.encoding import dense, dense_shape, rom_shape
from bireal_hw.ops import Op
from bireal_hw.passes.streams import ANATOMIES
from bireal_hw.synth.memory import Mapping, map_memory, map_rom
from bireal_hw.synth.resources import Resources
from bireal_hw.toml import read_toml

COEFFICIENTS = Path(__file__).with_name("coefficients.toml")
WIDEST = 16
"""Inputs of the widest multiplexer behind block RAMs that the calibration covers; more are counted in units of it."""


def mapping(memory: Rom | Ram, family: str = "7series") -> Mapping:
    """Return how a memory is built."""
    if isinstance(memory, Ram):
        return map_memory(memory.depth, memory.width, True, family)
    return map_rom(memory.depth, memory.width, family)


def predict(module: str, parameters: Parameters) -> Resources:
    """Return what an instance needs, LUT and FF as fractions since they are estimates."""
    factors, anatomy = coefficients()[module], anatomy_of(module, parameters)
    features = complete_features(anatomy)
    lut, ff = (sum(factors[kind].get(name, 0) * size for name, size in features.items()) for kind in ("lut", "ff"))
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
    if mapping(rom).style == "logic":
        columns = different_columns(rom.depth, rom.width)
        words = _power_of_two(ceil(rom.depth / 64))  # LUTs under multiplexers of two inputs
        return {"rom_lut": columns * words, "rom_bit": columns}
    depth, width = dense_shape(rom.depth, rom.width)
    _, words = rom_shape(depth, width)
    rows: Features = {"row_bit": width * words, "row_or": width * ceil((words - 1) / 5)} if words > 1 else {}
    return {"rom_word": width, "spread": rom.width if dense(rom.depth, rom.width) else 0, **rows}


def _ram_features(ram: Ram) -> Features:
    """Multiplexers between rows of LUT RAM or block RAM."""
    built = mapping(ram)
    if built.style == "lut":
        return {"ram_bit": ram.width, "ram_row": ram.width * (built.rows - 1)}
    if built.rows == 1:
        return {}
    way = min(_power_of_two(built.rows), WIDEST)
    return {f"select{way}": ram.width * built.rows / way}


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
    return sum(mapping(memory).luts for memory in anatomy.memories)


def block_ram(anatomy: Anatomy) -> float:
    """Return block RAM in units of 36 Kb."""
    return sum(mapping(memory).bram36 for memory in anatomy.memories)


@cache
def coefficients() -> dict[str, dict[str, dict[str, float]]]:
    """Return the coefficients of LUT and FF by module and feature."""
    return read_toml(COEFFICIENTS, str(COEFFICIENTS))


ANATOMY = {op.module(): op.anatomy for op in Op.registry.values()} | ANATOMIES
MODULES = tuple(ANATOMY)
"""Modules that stand between streams, as the generator instantiates them."""


def anatomy_of(module: str, parameters: Parameters) -> Anatomy:
    """Return what a module consists of.

    Raises:
        KeyError: the module never stands alone in a network.
    """
    return ANATOMY[module](parameters)


def total(instances: Iterable[tuple[str, Parameters]]) -> Resources:
    """Return the sum over (module, parameters)."""
    result = Resources()
    for module, parameters in instances:
        result += predict(module, parameters)
    return result
