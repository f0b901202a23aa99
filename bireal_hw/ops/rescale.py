"""Rescale: a linear function of each channel, or one of two linear pieces, rounded to another grid and clipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Rom, index_bits
from bireal_hw.ir.encoding import field_words, signed_width
from bireal_hw.ir.op import (
    Array,
    Binding,
    Cost,
    Draw,
    Fold,
    Look,
    Memory,
    Op,
    Port,
    QonnxWriter,
    per_channel,
    require,
    with_beats,
)
from bireal_hw.ir.parts import Affine
from bireal_hw.ir.types import DataType, TensorType

INPUT_WIDTH, GAIN_WIDTH, SUM_WIDTH, OUTPUT_WIDTH = 25, 16, 47, 31
"""Bits of x, of a gain, of gain*x + bias and of y, at most: a multiplier and its adder are 25 x 18 and 48 bits."""
LEAST_PRODUCT = 9
"""Bits of the narrowest product for which synthesis takes a multiplier."""
BELOW = ("knee", "gain_below", "bias_below")
"""Fields of the second piece."""


@dataclass(frozen=True, eq=False)
class Rescale(Op):
    """y = clip(((gain*x + bias) >> shift), low, high) per channel; below the knee with a gain and a bias of its own.

    Any BatchNorm, with a ReLU, a PReLU, a hardtanh behind it, or such a function alone. The bias holds the rounding
    half. What lies beyond the format is clipped to it, with or without limits.

    Attributes:
        gain: (C,) integers of at most 16 bits.
        bias: (C,) integers; gain*x + bias needs at most 47 bits, as does the bias alone.
        shift: right shift, common to the layer, 0 or more.
        dtype: format of y, signed, at most 31 bits.
        knee: (C,) integers on the grid of x: the first one where gain and bias hold; None for a linear function.
        gain_below, bias_below: (C,) those of x < knee; None without a knee.
        low, high: least and largest y; None for those of the format.
    """

    kind: ClassVar[str] = "rescale"
    look: ClassVar[Look] = Look("#c3e6c8", "(G*x + H) >> s of each channel, in one or two pieces", 6)
    gain: Array
    bias: Array
    shift: int
    dtype: DataType
    knee: Array | None = None
    gain_below: Array | None = None
    bias_below: Array | None = None
    low: int | None = None
    high: int | None = None

    @property
    def limits(self) -> tuple[int, int]:
        """Least and largest y that are possible: the limits inside the format."""
        low = self.dtype.low if self.low is None else max(self.low, self.dtype.low)
        high = self.dtype.high if self.high is None else min(self.high, self.dtype.high)
        return low, high

    @property
    def pieces(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Gain and bias of each piece, that from the knee on first."""
        found = [(self.gain, self.bias)]
        if self.gain_below is not None and self.bias_below is not None:
            found.append((self.gain_below, self.bias_below))
        return [(gain.astype(np.int64), bias.astype(np.int64)) for gain, bias in found]

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        self._check(x)
        ends = self._ends(x)
        needed = max(
            signed_width(int(end.min()), int(end.max())) for end in (*ends, *(bias for _, bias in self.pieces))
        )
        require(
            needed <= SUM_WIDTH,
            f"rescale: gain*x + bias needs {needed} bits; {SUM_WIDTH} are supported, choose a smaller shift",
        )
        low, high = (int(np.clip(end, *self.limits)) for end in self.reach(x))
        return TensorType(*x.shape, self.dtype, low, high)

    def reach(self, x: TensorType) -> tuple[int, int]:
        """Exact range of what the shift gives, before it is clipped."""
        ends = np.concatenate(self._ends(x)) >> self.shift
        return int(ends.min()), int(ends.max())

    def _check(self, x: TensorType) -> None:
        """Raise BirealError for constants that are not possible or an input that is not."""
        require(
            x.dtype.signed and not x.dtype.bipolar and x.dtype.width <= INPUT_WIDTH,
            f"rescale: input is {x.dtype}; signed numbers of at most {INPUT_WIDTH} bits are supported",
        )
        require(
            self.dtype.signed and not self.dtype.bipolar and self.dtype.width <= OUTPUT_WIDTH,
            f"rescale: output is {self.dtype}; signed numbers of at most {OUTPUT_WIDTH} bits are supported",
        )
        require(self.shift >= 0, f"rescale: shift={self.shift} must be 0 or more")
        given = [name for name in BELOW if getattr(self, name) is not None]
        require(len(given) in (0, len(BELOW)), f"rescale: {', '.join(given)} without the rest of {', '.join(BELOW)}")
        for name in ("gain", "bias", *given):
            count = len(getattr(self, name))
            require(count == x.channels, f"rescale: {count} values of {name} for {x.channels} channels")
        width = max(signed_width(int(gain.min()), int(gain.max())) for gain, _ in self.pieces)
        require(width <= GAIN_WIDTH, f"rescale: a gain needs {width} bits; {GAIN_WIDTH} are supported")
        if self.knee is not None:
            width = signed_width(int(self.knee.min()), int(self.knee.max()))
            require(width <= 32, f"rescale: a knee needs {width} bits; 32 are supported")
        low, high = self.limits
        require(
            low <= high,
            f"rescale: no {self.dtype} lies in low={self.low}..high={self.high};"
            f" the format is {self.dtype.low}..{self.dtype.high}",
        )

    def _ends(self, x: TensorType) -> list[NDArray[np.int64]]:
        """Sums gain*x + bias of the channels at both ends of each piece, where it has any x: between them lie all."""
        if self.knee is None:
            spans = [(np.full(x.channels, x.low), np.full(x.channels, x.high))]
        else:
            knee = self.knee.astype(np.int64)
            spans = [
                (np.maximum(knee, x.low), np.full(x.channels, x.high)),
                (np.full(x.channels, x.low), np.minimum(knee - 1, x.high)),
            ]
        found = []
        for (gain, bias), (first, last) in zip(self.pieces, spans, strict=True):
            there = first <= last
            found += [(gain * end + bias)[there] for end in (first, last) if there.any()]
        return found

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        channels = x.shape[-1]
        out = np.empty(x.shape, np.int32)
        (gain, bias), (gain_below, bias_below) = self.pieces[0], self.pieces[-1]
        knee = np.full(channels, np.iinfo(np.int64).min) if self.knee is None else self.knee.astype(np.int64)
        _rescale(
            np.ascontiguousarray(x, np.int32).reshape(-1, channels),
            *(gain, bias, knee, gain_below, bias_below),
            self.shift,
            *self.limits,
            out.reshape(-1, channels),
        )
        return out

    def summary(self) -> str:
        pieces = "(G*x + H)" if self.knee is None else "(G*x + H from a knee on, G'*x + H' below)"
        limits = "" if self.low is None and self.high is None else ", {} to {}".format(*self.limits)
        return f"{pieces} >> {self.shift}{limits}"

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        names = ("gain", "bias", *BELOW[: None if self.knee is not None else 0])
        fields: dict[str, Any] = {name: per_channel(getattr(self, name), channels) for name in names}
        return replace(self, **fields)

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        """Write one Mul and one Add, or two of each and a Where; a Clip for limits that are not the format's.

        Of the linear function alone the rounding is a Quant of its own, as in front of a shortcut that is added.
        """
        (x,), frac = inputs, types[0].dtype.frac
        step = 2.0 ** -(self.shift + self.dtype.frac)

        def constant(what: str, values: Array, scale: float) -> str:
            return write.constant(f"{name}_{what}", (values * scale).reshape(1, -1, 1, 1))

        pieces = []
        for suffix, (gain, bias) in zip(("", "_below"), self.pieces, strict=False):
            t = write.node("Mul", f"{name}_mul{suffix}", [x, constant(f"g{suffix}", gain, step * 2.0**frac)])
            pieces.append(write.node("Add", f"{name}_bias{suffix}", [t, constant(f"h{suffix}", bias, step)]))
        y = pieces[0]
        if self.knee is not None:
            above = write.node("GreaterOrEqual", f"{name}_above", [x, constant("knee", self.knee, 2.0**-frac)])
            y = write.node("Where", f"{name}_piece", [above, *pieces])
        if self.limits != (self.dtype.low, self.dtype.high):
            ends = zip(("low", "high"), self.limits, strict=True)
            limits = [write.constant(f"{name}_{end}", limit * 2.0**-self.dtype.frac) for end, limit in ends]
            y = write.node("Clip", f"{name}_clip", [y, *limits])
        elif self.knee is None:
            y = write.quant(f"{name}_affine", y, max(24, self.dtype.width), 2.0**-self.dtype.frac)
        return write.quant(name, y, self.dtype.width, 2.0**-self.dtype.frac)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), latency=4 if self.knee is None else 5)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        return (Port("s_axis", fold.lanes, inputs[0].dtype),), Port("m_axis", fold.lanes, self.dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        gains, biases = (np.stack(values) for values in zip(*self.pieces, strict=True))
        gain_width, bias_width = (signed_width(int(v.min()), int(v.max())) for v in (gains, biases))

        def memory(*fields: tuple[Array, int]) -> Memory:
            entry = sum(width for _, width in fields)
            return Memory(fold.lanes * entry, field_words(list(fields), fold.lanes), entry)

        names = ("AffineFile", "BelowFile")
        memories = {
            name: memory((gain, gain_width), (bias, bias_width))
            for name, (gain, bias) in zip(names, self.pieces, strict=False)
        }
        knee_width = 0
        if self.knee is not None:
            knee_width = signed_width(int(self.knee.min()), int(self.knee.max()))
            memories["KneeFile"] = memory((self.knee, knee_width))
        low, high = self.limits
        return Binding(
            self.module(),
            {
                "Channels": x.channels,
                "Lanes": fold.lanes,
                "InWidth": x.dtype.width,
                "GWidth": gain_width,
                "HWidth": bias_width,
                "KneeWidth": knee_width,
                "Shift": self.shift,
                "OutWidth": self.dtype.width,
                "Low": low,
                "High": high,
            },
            *self.rtl_ports(fold, x),
            memories,
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])

    def engine(self, *inputs: TensorType) -> Affine | None:
        return Affine(self.gain, self.bias, self.shift, *self.limits) if self.knee is None else None

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        lanes, affine, groups = p["Lanes"], p["GWidth"] + p["HWidth"], p["Channels"] // p["Lanes"]
        format_low, format_high = -(1 << p["OutWidth"] - 1), (1 << p["OutWidth"] - 1) - 1
        limits = (p["Low"] > format_low) + (p["High"] < format_high)
        sizes: Features = {
            "in": lanes * p["InWidth"],
            "sum": lanes * max(p["InWidth"] + p["GWidth"], p["HWidth"]),
            "out": lanes * p["OutWidth"],
            "limit": lanes * p["OutWidth"] * limits,
            "counter": index_bits(groups),
        }
        memories: list[Rom] = [Rom(groups, lanes * affine, "affine")]
        if p["KneeWidth"]:
            sizes |= {"compare": lanes * max(p["InWidth"], p["KneeWidth"]), "select": lanes * affine}
            memories += [Rom(groups, lanes * affine, "below"), Rom(groups, lanes * p["KneeWidth"], "knees")]
        multiplied = p["GWidth"] > 1 and p["InWidth"] + p["GWidth"] >= LEAST_PRODUCT  # a gain of one bit is 0 or -1
        return Anatomy(sizes, [*memories], dsp=lanes if multiplied else 0)

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        grids = ((16, 1, 16), (64, 1, 20), (64, 2, 12), (256, 4, 16), (512, 2, 25), (128, 8, 9))
        for channels, lanes, width in grids:
            x = TensorType.full(8, 8, channels, DataType(width, frac=6))
            gain, bias = draw(-9000, 9000, channels), draw(-900_000, 900_000, channels)
            below, bias_below = draw(-9001, 9001, channels), draw(-900_001, 900_001, channels)
            knee = draw(-(1 << width - 2), 1 << width - 2, channels)
            for out in (DataType(16, frac=10), DataType(8, frac=6)):
                yield cls(gain, bias, 12, out), (x,), Fold(lanes=lanes)
                yield cls(gain, bias, 12, out, low=0), (x,), Fold(lanes=lanes)
                yield cls(gain, bias, 12, out, knee, below, bias_below), (x,), Fold(lanes=lanes)
                yield cls(gain, bias, 12, out, knee, below, bias_below, -100, 100), (x,), Fold(lanes=lanes)


@njit(parallel=True, cache=True)
def _rescale(x, gain, bias, knee, gain_below, bias_below, shift, low, high, out):  # type: ignore[no-untyped-def]
    """The definition, one pixel a row: x and out (pixels, C), the constants (C,)."""
    for pixel in prange(x.shape[0]):
        for c in range(x.shape[1]):
            if x[pixel, c] >= knee[c]:
                t = gain[c] * x[pixel, c] + bias[c]
            else:
                t = gain_below[c] * x[pixel, c] + bias_below[c]
            out[pixel, c] = min(max(t >> shift, low), high)
