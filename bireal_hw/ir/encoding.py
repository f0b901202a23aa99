"""The conventions that bite, in one place: sign of 0, bit of +1, rounding, saturation, order of weights in a word.

Golden model, exporters, generators and test benches all call these functions; none restates them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLOAT32_EXACT = 1 << 24
"""Integers of a smaller magnitude are exact in float32, which PyTorch and QONNX compute in."""


def sign(x: ArrayLike) -> NDArray[np.int8]:
    """Binarise: +1 where x >= 0, else -1 (paper, section 3.1; 0 and -0.0 give +1).

    >>> sign([-1, 0, 1]).tolist()
    [-1, 1, 1]
    """
    return (np.atleast_1d(x) >= 0).view(np.int8).reshape(np.shape(x)) * np.int8(2) - np.int8(1)


def bit(x: ArrayLike) -> NDArray[np.uint8]:
    """Map -1/+1 to the hardware bit 0/1.

    >>> bit([-1, 1]).tolist()
    [0, 1]
    """
    return (np.asarray(x) > 0).astype(np.uint8)


def signed_width(low: int, high: int) -> int:
    """Bits of the narrowest two's complement number that holds low..high.

    >>> [signed_width(-128, 127), signed_width(0, 128), signed_width(0, 0)]
    [8, 9, 1]
    """
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1


def half(shift: int) -> int:
    """The constant that turns a right shift by `shift` into rounding half up; 0 where nothing is shifted out.

    >>> [half(3), half(1), half(0), half(-2)]
    [4, 1, 0, 0]
    """
    return 1 << (shift - 1) if shift > 0 else 0


def shift_right(x: NDArray[np.integer], shift: int) -> NDArray[np.integer]:
    """Shift arithmetically to the right (floor); a negative shift goes left.

    >>> shift_right(np.array([-3, 3]), 1).tolist(), shift_right(np.array([-3, 3]), -1).tolist()
    ([-2, 1], [-6, 6])
    """
    return x >> shift if shift >= 0 else x << -shift


def saturate(x: NDArray[np.integer], width: int) -> NDArray[np.integer]:
    """Clip to the range of a signed number of `width` bits.

    >>> saturate(np.array([-200, 5, 200]), 8).tolist()
    [-128, 5, 127]
    """
    return np.clip(x, -(1 << (width - 1)), (1 << (width - 1)) - 1)


def pack_words(elements: NDArray[np.integer], width: int) -> list[int]:
    """Pack rows of integers into memory words: element j of a row at bits [j*width +: width], two's complement.

    Args:
        elements: (words, elements per word) integers.
        width: bits of one element, 1 to 63.

    >>> [hex(word) for word in pack_words(np.array([[1, -1], [0, 2]]), 4)]
    ['0xf1', '0x20']
    """
    rows, count = elements.shape
    values = elements.astype(np.int64).reshape(rows, count, 1)
    bits = ((values >> np.arange(width, dtype=np.int64)) & 1).astype(np.uint8).reshape(rows, count * width)
    packed = np.packbits(bits, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def weight_words(weights: NDArray[np.integer], pe: int, simd: int, width: int) -> list[int]:
    """Lay out convolution weights for Pe x Simd lanes.

    Word `fold*(K/simd) + chunk` holds, for lane p, elements `chunk*simd ..` of the K axis of output channel
    `fold*pe + p`; K runs over (ky, kx, channel), channel fastest.

    Args:
        weights: (Cout, kernel, kernel, Cin) integers; -1/+1 when width is 1.
        pe: output channels in a word; divides Cout.
        simd: K elements of each in a word; divides K.
        width: bits of one weight; at 1 the weight is stored as its bit.
    """
    cout = weights.shape[0]
    flat = weights.reshape(cout // pe, pe, -1, simd)
    words = flat.transpose(0, 2, 1, 3).reshape(-1, pe * simd)
    return pack_words(bit(words) if width == 1 else words, width)


def dense(depth: int, width: int) -> bool:
    """Tell whether a ROM of so many words is kept as `dense_lines`: the rule of `br_pkg::is_dense`.

    Words that are nine times a power of two leave nearly half of their last block RAM empty. Where that is the only
    one, or the memory is logic, nothing is won, nor where it takes whole block RAMs of 8192 words and more.
    """
    nine_times_power = depth % 9 == 0 and (depth // 9).bit_count() == 1
    return nine_times_power and 512 < depth <= 4608 and width % 8 == 0 and width * depth > 1 << 14


def dense_shape(depth: int, width: int) -> tuple[int, int]:
    """Return how many lines of what width a ROM has after `dense_lines`, where that is its layout.

    >>> dense_shape(1152, 512), dense_shape(1024, 512)
    ((1024, 576), (1024, 512))
    """
    return (depth // 9 * 8, width // 8 * 9) if dense(depth, width) else (depth, width)


def dense_lines(words: list[int], width: int) -> list[int]:
    """Lay out the memory of a `br_dense`: eight lines for nine words, each an eighth of the ninth wider.

    Args:
        words: in address order, a multiple of nine.
        width: of a word, a multiple of eight; that of a line is width * 9/8.

    >>> [hex(line) for line in dense_lines([1, 2, 3, 4, 5, 6, 7, 8, 0b11000001], 8)]
    ['0x101', '0x2', '0x3', '0x4', '0x5', '0x6', '0x107', '0x108']
    """
    extra = width // 8
    part = (1 << extra) - 1
    return [
        words[start + i] | (words[start + 8] >> i * extra & part) << width
        for start in range(0, len(words), 9)
        for i in range(8)
    ]


def limb_width(width: int) -> int:
    """Bits of the widest part, at most 64, into which `width` bits can be cut evenly.

    >>> [limb_width(48), limb_width(96), limb_width(512)]
    [48, 48, 64]
    """
    return max(part for part in range(1, min(width, 64) + 1) if width % part == 0)


def field_words(fields: list[tuple[NDArray[np.integer], int]], lanes: int) -> list[int]:
    """Lay out per-channel constants: `lanes` channels a word, in each lane the first field in the low bits.

    Args:
        fields: (values (C,), width in bits) from the low bits up.
        lanes: channels in a word; divides C.
    """
    lane_width = sum(width for _, width in fields)
    words = []
    for base in range(0, len(fields[0][0]), lanes):
        word = 0
        for lane in range(lanes):
            at = lane * lane_width
            for values, width in fields:
                word |= (int(values[base + lane]) & ((1 << width) - 1)) << at
                at += width
        words.append(word)
    return words


BLOCK_SHAPES = tuple((1 << bits, 1 << 14 - bits if bits > 11 else 9 << 11 - bits) for bits in range(14, 8, -1))
"""Lines and width of a block RAM of 18 Kb: 16384 x 1, 8192 x 2, 4096 x 4, 2048 x 9, 1024 x 18, 512 x 36."""


def rom_shape(depth: int, width: int) -> tuple[int, int]:
    """Return the lines of a ROM that is not dense, and the words in each: fewest block RAMs, then fewest words.

    The rule of `br_pkg::rom_lines`.

    Line j holds the words j, j + lines, j + 2 * lines, .. from the low bits up. Behind a block RAM is a register, so to
    choose between words of a line takes a cycle of its own; between block RAMs it would be in that of the memory.

    >>> rom_shape(9216, 16), rom_shape(1152, 512), rom_shape(600, 16)
    ((1024, 9), (512, 3), (600, 1))
    """

    def blocks(lines: int, unit: int) -> int:
        return -(-(-(-depth // lines) * width) // unit)

    lines = min(min(BLOCK_SHAPES, key=lambda shape: blocks(*shape))[0], depth)
    return lines, -(-depth // lines)


def rom_lines(words: list[int], width: int) -> tuple[list[int], int]:
    """Return the lines of the memory of a `br_constants` and their width.

    Args:
        words: in address order.
        width: of a word.

    >>> rom_lines([1, 2, 3], 2)
    ([1, 2, 3], 2)
    """
    if dense(len(words), width):
        words, width = dense_lines(words, width), width // 8 * 9
    lines, rows = rom_shape(len(words), width)
    if rows == 1:
        return words, width
    return [
        sum(word << row * width for row, word in enumerate(words[line::lines])) for line in range(lines)
    ], rows * width
