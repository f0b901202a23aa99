"""What the engine's C++ kernel has besides the program: what arrives during a pass, and how long its loops are."""

from __future__ import annotations

import numpy as np

from bireal_hw.engine.program import LANES, Pass, Program, pass_cycles

ENTRY = 32
"""Bits of a number of the schedule."""


def schedule(program: Program) -> list[tuple[int, int, int]]:
    """Return for every pass the pixels of the next frame that arrive meanwhile, and the words of operands it makes.

    A frame arrives evenly while the one before it is computed.
    """
    pairs = zip(program.passes, program.beats, strict=True)
    cycles = np.cumsum([pass_cycles(one, program.sizes, beats) for one, beats in pairs])
    arrived = [0, *(program.graph.input.pixels * cycles // cycles[-1]).tolist()]
    return [
        (after - before, _bits(one), _numbers(one))
        for one, before, after in zip(program.passes, arrived, arrived[1:], strict=False)
    ]


def sizes(program: Program) -> dict[str, int]:
    """Return iterations of loops for the report of synthesis, by the names of the kernel's parameters.

    Dealt, Swept and Finished are those of a mean pass, Groups, Burst, Outputs and Copied the most.
    """
    passes, beats = program.passes, program.sizes.channels // LANES
    dealt = sum(one.bands * count for one, count in zip(passes, program.beats, strict=True))
    made = [one for one in passes if one.binary or one.real]
    swept = sum(one.bands * one.groups * one.words * (one.pixels + one.idle) for one in made)
    finished = sum(one.bands * one.groups * one.pixels * beats for one in passes)
    bursts = [beats for _, beats in program.segments]
    return {
        "Dealt": -(-dealt // len(passes)),
        "Swept": -(-swept // len(passes)),
        "Finished": -(-finished // len(passes)),
        "Groups": max(one.bands * one.groups for one in passes),
        "Burst": max(*bursts, *(max(one.shortcut_beats, one.store_beats) for one in passes)),
        "Outputs": passes[-1].groups * program.sizes.channels,
        "Copied": max(max(_bits(one), _numbers(one)) for one in passes) or 1,
    }


def _bits(one: Pass) -> int:
    """Words of bits that a pass makes."""
    return one.sign * one.bands * one.pixels * one.bits_chunks


def _numbers(one: Pass) -> int:
    """Words of 8-bit numbers that it makes: of windows that lie whole in a band."""
    windows = one.pixels // one.columns // one.pool_height * (one.columns // one.pool_width)
    return one.pool_real * one.bands * windows * one.real_chunks
