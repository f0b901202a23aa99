"""Types of tensors in the integer graph: shape, number format and the exact range of the values."""

from __future__ import annotations

from dataclasses import dataclass

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import signed_width


@dataclass(frozen=True, slots=True)
class DataType:
    """A number format; value = integer * 2^-frac.

    Attributes:
        width: bits of one element, 1 to 63.
        signed: two's complement if true.
        frac: fractional bits; negative for a grid coarser than 1.
        bipolar: one bit that stands for -1 (bit 0) or +1 (bit 1).
    """

    width: int
    signed: bool = True
    frac: int = 0
    bipolar: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 63:
            raise BirealError(f"a number of {self.width} bits cannot be built: widths are 1 to 63")

    @property
    def low(self) -> int:
        """Smallest integer of the format."""
        return -1 if self.bipolar else -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer of the format."""
        return 1 if self.bipolar else (1 << (self.width - self.signed)) - 1

    def __str__(self) -> str:
        return "bit" if self.bipolar else f"{'s' if self.signed else 'u'}{self.width}.{self.frac}"


BIPOLAR = DataType(1, signed=True, bipolar=True)
PIXEL = DataType(8, signed=False)


@dataclass(frozen=True, slots=True)
class TensorType:
    """One frame of a stream: (height, width, channels) of a format, and the exact range of its integers."""

    height: int
    width: int
    channels: int
    dtype: DataType
    low: int
    high: int

    @classmethod
    def full(cls, height: int, width: int, channels: int, dtype: DataType) -> TensorType:
        """A tensor that may hold every value of its format."""
        return cls(height, width, channels, dtype, dtype.low, dtype.high)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return self.height * self.width

    @property
    def size(self) -> int:
        """Numbers of a frame."""
        return self.pixels * self.channels

    def beats(self, lanes: int) -> int:
        """Beats of a frame when one beat holds `lanes` channels of a pixel."""
        return self.pixels * (self.channels // lanes)

    def __str__(self) -> str:
        return f"{self.height}x{self.width}x{self.channels} {self.dtype}"


def ranged(low: int, high: int, frac: int) -> DataType:
    """The narrowest signed format that holds low..high."""
    return DataType(signed_width(low, high), frac=frac)
