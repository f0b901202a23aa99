"""Calibrates the cost model: synthesises a grid of instances with Yosys and fits the coefficients of LUT and FF.

`python -m bireal_hw.analysis.calibrate [CACHE [MODULE...]]` writes `coefficients.toml` beside this file and prints the
error of every module type, or of those that are named; the coefficients of the others stay. Synthesised instances are
remembered in the folder CACHE (default `build/synth-cache`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bireal_hw.analysis.cost import COEFFICIENTS, MODULES, anatomy_of, coefficients, complete_features, lut_ram_luts
from bireal_hw.errors import unknown
from bireal_hw.ops import Array, Binding, Op
from bireal_hw.passes import streams
from bireal_hw.synth.resources import Resources, count
from bireal_hw.synth.units import Unit, synthesise, unit

FAMILY = "7series"

Sample = tuple[Binding, int]
"""An instance and the handshakes on its output."""


def draw(low: int, high: int, *shape: int) -> Array:
    """Return random constants that depend on nothing but their number and range."""
    return np.random.default_rng((high, *shape)).integers(low, high + 1, shape).astype(np.int32)


def instances() -> Iterator[Sample]:
    """Instances of every module type: those that the layers and the modules between them give."""
    for kind in Op.registry.values():
        for op, inputs, fold in kind.calibration(draw):
            yield op.rtl(fold, *inputs), 1
    for binding in streams.calibration():
        yield binding, binding.parameters.get("Outputs", 1)


def fit(features: list[dict[str, float]], targets: NDArray[np.float64]) -> dict[str, float]:
    """Return coefficients, none negative, that give the least sum of squared relative errors."""
    from scipy.optimize import nnls

    names = sorted({name for one in features for name in one})
    weight = 1 / np.maximum(targets, 20)
    matrix = np.array([[one.get(name, 0.0) for name in names] for one in features])
    solution, _ = nnls(matrix * weight[:, None], targets * weight)
    return {name: round(float(value), 4) for name, value in zip(names, solution, strict=True) if value > 1e-4}


Errors = dict[str, NDArray[np.float64]]
"""Relative errors of LUT and of FF, one for each instance."""


def calibrate(
    cache: Path, progress: Callable[[int, int], None], modules: Collection[str] = MODULES
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, Errors]]:
    """Return the coefficients and the errors on the grid, both by module and kind."""
    samples = [sample for sample in instances() if sample[0].module in modules]
    units: list[Unit] = [unit(binding, outputs) for binding, outputs in samples]
    found = [count(cells, FAMILY) for cells in synthesise(units, FAMILY, cache, progress)]
    fitted, errors = {}, {}
    for module in modules:
        rows = [(binding, used) for (binding, _), used in zip(samples, found, strict=True) if binding.module == module]
        fitted[module], errors[module] = _fit_module(rows)
    return fitted, errors


def _fit_module(rows: list[tuple[Binding, Resources]]) -> tuple[dict[str, dict[str, float]], Errors]:
    anatomies = [anatomy_of(binding.module, binding.parameters) for binding, _ in rows]
    features = [complete_features(anatomy) for anatomy in anatomies]
    memory = np.array([lut_ram_luts(anatomy) for anatomy in anatomies])
    fitted, errors = {}, {}
    for kind, known in (("lut", memory), ("ff", 0 * memory)):
        target = np.array([getattr(used, kind) for _, used in rows])
        chosen = fit(features, target - known)
        predicted = known + np.array(
            [sum(chosen.get(name, 0) * size for name, size in one.items()) for one in features]
        )
        fitted[kind], errors[kind] = chosen, (predicted - target) / np.maximum(target, 20)
    return fitted, errors


def text(fitted: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the coefficients as TOML."""
    lines = [
        "# LUT and FF per feature of a module (bireal_hw/analysis/cost.py),",
        "# made by python -m bireal_hw.analysis.calibrate",
    ]
    for module, kinds in fitted.items():
        for kind, values in kinds.items():
            lines += ["", f"[{module}.{kind}]", *(f"{name} = {value}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Calibrate, write the file, print the errors."""
    console = Console()
    cache, *modules = sys.argv[1:] or ["build/synth-cache"]
    for name in modules:
        if name not in MODULES:
            sys.exit(f"error: {unknown('module', name, MODULES)}")
    found, errors = calibrate(
        Path(cache), lambda done, total: console.print(f"{done} of {total}"), tuple(modules) or MODULES
    )
    COEFFICIENTS.write_text(text((coefficients() if modules else {}) | found))
    table = Table("module", "instances", "LUT error", "at most", "FF error", "at most")
    for module, by_kind in errors.items():
        sizes = [np.abs(error) for error in by_kind.values()]
        figures = [f"{figure:.1%}" for size in sizes for figure in (size.mean(), size.max())]
        table.add_row(module, str(len(sizes[0])), *figures)
    console.print(table)


if __name__ == "__main__":
    main()
