"""Calibrates the cost model: synthesises a grid of instances with Yosys and fits the coefficients of LUT and FF.

`python -m bireal_hw.analysis.calibrate [CACHE]` writes `coefficients.toml` beside this file and prints the error of
every module type. Synthesised instances are remembered in the folder CACHE (default `build/synth-cache`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bireal_hw.analysis.cost import COEFFICIENTS, MODULES, anatomy_of, complete_features, lut_ram_luts
from bireal_hw.ir.op import Array, Binding, Fold, Op, Port
from bireal_hw.ir.types import BIPOLAR, PIXEL, DataType, TensorType, ranged
from bireal_hw.ops import Affine, AvgPool, BinaryConv, Center, LeakyClip, MaxPool, Merge, RealConv, Sign
from bireal_hw.ops.real_conv import PACKS
from bireal_hw.synth.resources import Resources, count
from bireal_hw.synth.units import Unit, synthesise, unit

FAMILY = "7series"
STREAM = DataType(16, frac=10)
SHIFTS = (4, 9)
"""Right shifts of a convolution's outputs, lowest and highest, as trained networks have them."""

DEEPEST = 4608
"""Words of the deepest weight memory where every folding is taken; `_large` has a few deeper ones."""

Sample = tuple[Binding, int]
"""An instance and the handshakes on its output."""


class Grid:
    """Instances of every module type, with random constants that depend on nothing but their number and range."""

    def samples(self) -> Iterator[Sample]:
        """All instances of the grid."""
        for make in (self._binary, self._real, self._merge, self._activations, self._pools, self._streams):
            for binding in make():
                yield binding, 1
        for width in (8, 16, 32, 128):
            for outputs in (2, 3):
                yield _pipe("br_fork", width, {"Outputs": outputs}), outputs
        for binding in self._large():
            yield binding, 1

    def _large(self) -> Iterator[Binding]:
        """What only networks for large images or with many classes have."""
        for channels, side, fold in ((128, 16, Fold(16, 64)), (128, 28, Fold(8, 128)), (256, 14, Fold(2, 32))):
            yield BinaryConv(self._bits(channels, channels)).rtl(fold, TensorType.full(side, side, channels, BIPOLAR))
        yield self._real_conv(32, 7, 3, 2, STREAM, Fold(8, 21, pack=2), 64)
        yield self._real_conv(128, 1, 64, 1, DataType(20, frac=10), Fold(16, 16, pack=2), 28)
        for fold in (Fold(1, 1), Fold(4, 8, pack=2)):
            yield self._real_conv(1000, 1, 64, 1, DataType(22, frac=12), fold, 1, scaled=False)
        yield _pipe("br_fifo", 16, {"Depth": 4500})
        yield _pipe("br_fifo", 8, {"Depth": 9000})

    def _integers(self, low: int, high: int, *shape: int) -> Array:
        return np.random.default_rng((high, *shape)).integers(low, high + 1, shape).astype(np.int32)

    def _bits(self, out: int, channels: int) -> Array:
        return (2 * self._integers(0, 1, out, 3, 3, channels) - 1).astype(np.int8)

    def _binary(self) -> Iterator[Binding]:
        for channels, side in ((16, 16), (32, 32), (64, 16), (128, 8), (256, 7), (64, 56)):
            for pe, simd in ((1, 2), (1, 8), (2, 8), (4, 16), (8, 16), (16, 16), (8, 32), (16, 32), (4, 64)):
                if simd > channels or 9 * channels * channels > DEEPEST * pe * simd:
                    continue
                stride = 2 if (pe + simd) % 5 == 0 else 1
                weights = self._bits(channels * stride, channels)
                x = TensorType.full(side, side, channels, BIPOLAR)
                yield BinaryConv(weights, stride).rtl(Fold(pe, simd), x)

    def _real(self) -> Iterator[Binding]:
        stems = ((1, 1), (2, 1), (1, 3), (2, 3), (4, 3), (4, 9), (8, 9), (16, 9))
        for channels, side, kernel in ((1, 16, 3), (3, 32, 3), (3, 64, 7)):
            row = kernel * channels
            for pe, simd in stems[: 5 if kernel == 7 else None]:
                simd = {1: 1, 3: kernel, 9: row}[simd]
                for pack in PACKS[:pe]:
                    fold = Fold(pe, simd, pack=pack)
                    yield self._real_conv(32, kernel, channels, 2 if kernel == 7 else 1, STREAM, fold, side)
        for channels, side in ((16, 8), (64, 8), (128, 4)):
            for pe, simd in ((1, 1), (1, 4), (2, 4), (4, 8), (8, 8), (4, 2), (16, 2), (16, 4)):
                if 2 * channels * channels > DEEPEST * pe * simd:
                    continue
                fold = Fold(pe, simd, pack=min(pe, 2))
                yield self._real_conv(2 * channels, 1, channels, 1, DataType(20, frac=10), fold, side)
        for channels in (64, 256):
            yield self._real_conv(10, 1, channels, 1, DataType(22, frac=12), Fold(1, 1), 1, scaled=False)
            yield self._real_conv(10, 1, channels, 1, DataType(22, frac=12), Fold(2, 4, pack=2), 1, scaled=False)

    def _real_conv(
        self,
        out: int,
        kernel: int,
        channels: int,
        stride: int,
        dtype: DataType,
        fold: Fold,
        side: int,
        scaled: bool = True,
    ) -> Binding:
        shift = self._integers(*SHIFTS, out) if scaled else np.zeros(out, np.int32)
        op = RealConv(
            self._integers(-127, 127, out, kernel, kernel, channels),
            self._integers(-30_000, 30_000, out),
            shift,
            dtype,
            stride,
            kernel // 2,
        )
        return op.rtl(fold, TensorType.full(side, side, channels, DataType(8, frac=7)))

    def _merge(self) -> Iterator[Binding]:
        for channels, taps in ((16, 144), (64, 576), (256, 2304), (512, 4608)):
            for lanes in (1, 2, 4, 8):
                gain = self._integers(-900, 900, channels)
                bias = self._integers(-60_000, 60_000, channels)
                op: Op = Merge(gain, bias, 8, STREAM)
                dot = BinaryConv(np.ones((channels, 3, 3, taps // 9), np.int8)).infer(
                    TensorType.full(8, 8, taps // 9, BIPOLAR)
                )
                r = TensorType.full(8, 8, channels, STREAM if lanes != 2 else DataType(20, frac=10))
                yield op.rtl(Fold(lanes=lanes), r, dot)

    def _activations(self) -> Iterator[Binding]:
        for channels, taps, lanes in ((16, 144, 1), (64, 576, 1), (64, 576, 2), (256, 256, 4), (512, 4608, 2)):
            gain, bias = self._integers(-900, 900, channels), self._integers(-60_000, 60_000, channels)
            dot = TensorType(8, 8, channels, ranged(-taps, taps, 0), -taps, taps)
            r, fold = TensorType.full(8, 8, channels, STREAM), Fold(lanes=lanes)
            yield Merge(gain, bias, 8, STREAM, self._integers(0, 7, channels)).rtl(fold, r, dot)
            yield Affine(gain, bias, 8, STREAM).rtl(fold, dot)
            yield Sign(self._integers(-9_000, 9_000, channels)).rtl(fold, r)
            yield LeakyClip(1 << 10, 205, 11).rtl(fold, r)
            yield AvgPool((1, 1), 4, DataType(8, frac=6)).rtl(fold, r)

    def _pools(self) -> Iterator[Binding]:
        for channels, side, lanes in ((16, 16, 1), (32, 32, 1), (64, 16, 2), (64, 56, 4), (128, 8, 8), (256, 8, 1)):
            x = TensorType.full(side, side, channels, STREAM)
            yield AvgPool((2, 2), 4, DataType(8, frac=6)).rtl(Fold(lanes=lanes), x)
            yield AvgPool((side, side), 9, DataType(8, frac=6)).rtl(Fold(lanes=lanes), x)
            yield MaxPool().rtl(Fold(lanes=lanes), x)
            yield Sign().rtl(Fold(lanes=lanes), x)
        for channels, lanes in ((1, 1), (3, 3), (3, 1)):
            x = TensorType.full(8, 8, channels, PIXEL)
            yield Center(np.full(channels, 128, np.int32)).rtl(Fold(lanes=lanes), x)

    def _streams(self) -> Iterator[Binding]:
        for width in (8, 16, 32, 64, 128):
            yield _pipe("br_reg_slice", width, {})
            for depth in (40, 130, 300, 700, 1300, 2500):
                if width * depth <= 50_000:
                    yield _pipe("br_fifo", width, {"Depth": depth})
        for element, lanes in (
            (1, (1, 2)),
            (1, (1, 16)),
            (1, (4, 64)),
            (1, (1, 256)),
            (13, (1, 4)),
            (16, (1, 8)),
            (16, (2, 4)),
        ):
            for into, out in (lanes, lanes[::-1]):
                yield Binding(
                    "br_width_converter",
                    {"ElemWidth": element, "InLanes": into, "OutLanes": out},
                    (Port("s_axis", into, DataType(element, frac=0)),),
                    Port("m_axis", out, DataType(element, frac=0)),
                )


def _pipe(module: str, width: int, parameters: dict[str, int]) -> Binding:
    source, sink = (Port(name, width // 8, DataType(8, frac=0)) for name in ("s_axis", "m_axis"))
    return Binding(module, {"Width": width, **parameters}, (source,), sink)


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
    cache: Path, progress: Callable[[int, int], None]
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, Errors]]:
    """Return the coefficients and the errors on the grid, both by module and kind."""
    samples = list(Grid().samples())
    units: list[Unit] = [unit(binding, outputs) for binding, outputs in samples]
    found = [count(cells, FAMILY) for cells in synthesise(units, FAMILY, cache, progress)]
    coefficients, errors = {}, {}
    for module in MODULES:
        rows = [(binding, used) for (binding, _), used in zip(samples, found, strict=True) if binding.module == module]
        coefficients[module], errors[module] = _fit_module(rows)
    return coefficients, errors


def _fit_module(rows: list[tuple[Binding, Resources]]) -> tuple[dict[str, dict[str, float]], Errors]:
    anatomies = [anatomy_of(binding.module, binding.parameters) for binding, _ in rows]
    features = [complete_features(anatomy) for anatomy in anatomies]
    memory = np.array([lut_ram_luts(anatomy) for anatomy in anatomies])
    coefficients, errors = {}, {}
    for kind, known in (("lut", memory), ("ff", 0 * memory)):
        target = np.array([getattr(used, kind) for _, used in rows])
        chosen = fit(features, target - known)
        predicted = known + np.array(
            [sum(chosen.get(name, 0) * size for name, size in one.items()) for one in features]
        )
        coefficients[kind], errors[kind] = chosen, (predicted - target) / np.maximum(target, 20)
    return coefficients, errors


def text(coefficients: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the coefficients as TOML."""
    lines = [
        "# LUT and FF per feature of a module (bireal_hw/analysis/cost.py),",
        "# made by python -m bireal_hw.analysis.calibrate",
    ]
    for module, kinds in coefficients.items():
        for kind, values in kinds.items():
            lines += ["", f"[{module}.{kind}]", *(f"{name} = {value}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Calibrate, write the file, print the errors."""
    console = Console()
    cache = Path(sys.argv[1] if len(sys.argv) > 1 else "build/synth-cache")
    coefficients, errors = calibrate(cache, lambda done, total: console.print(f"{done} of {total}"))
    COEFFICIENTS.write_text(text(coefficients))
    table = Table("module", "instances", "LUT error", "at most", "FF error", "at most")
    for module, by_kind in errors.items():
        sizes = [np.abs(error) for error in by_kind.values()]
        figures = [f"{figure:.1%}" for size in sizes for figure in (size.mean(), size.max())]
        table.add_row(module, str(len(sizes[0])), *figures)
    console.print(table)


if __name__ == "__main__":
    main()
