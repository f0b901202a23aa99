"""Logic of the matrix unit, by Yosys."""

from __future__ import annotations

import itertools
import math

from bireal_hw.bench.page import Cell, Found
from bireal_hw.steps.synth import progress
from bireal_hw.synth.datapath import matrix_unit

FOLDINGS = ((1, 8), (4, 16), (8, 32), (16, 32), (32, 32), (8, 64))
HEADLINE = (8, 64)
"""Pe and Simd of the matrix unit whose figure stands at the head of the page."""
FAMILIES = {"7series": "LUT6", "ecp5": "LUT4"}


def datapath() -> Found:
    """Synthesise matrix units alone."""
    rows: list[list[Cell]] = []
    figures = {}
    units = list(itertools.product(FOLDINGS, FAMILIES))
    luts: dict[tuple[tuple[int, int], str], float] = {}
    with progress() as advance:
        for fold, family in units:
            luts[fold, family] = matrix_unit(*fold, family)[0].lut
            advance(len(luts), len(units))
    for fold in FOLDINGS:
        row: list[Cell] = [f"{fold[0]} x {fold[1]}"]
        for family in FAMILIES:
            each = luts[fold, family] / math.prod(fold)
            row += [int(luts[fold, family]), each]
            if fold == HEADLINE:
                figures[f"{FAMILIES[family].lower()}_per_binary_mac"] = round(each, 3)
        rows.append(row)
    columns = ["Pe x Simd", *(word for lut in FAMILIES.values() for word in (lut, f"{lut} per MAC"))]
    note = (
        "The matrix unit of a 3x3 convolution with 64 channels: counters, accumulators and control. "
        "LUT6: 7-series and UltraScale+; LUT4: ECP5."
    )
    return Found(columns, rows, {"lut_per_binary_mac": figures["lut6_per_binary_mac"]} | figures, note)
