"""What the picture of a graph looks like and what that means: layers by their type, streams, notation."""

from __future__ import annotations

LAYERS = {
    "center": ("#e4e7eb", "pixel minus its mean"),
    "real_conv": ("#f7d9ae", "convolution with 8-bit weights, BatchNorm folded in"),
    "max_pool": ("#dfd8f0", "largest value of a window"),
    "avg_pool": ("#dfd8f0", "sum over a window, rounded to 8 bits"),
    "sign": ("#dceaf8", "+1 where x >= 0, else -1"),
    "binary_conv": ("#a5cdf0", "1-bit convolution, XNOR and popcount; padding adds nothing"),
    "affine": ("#c3e6c8", "BatchNorm of the sums: (G*dot + H) >> s"),
    "leaky_clip": ("#fbdfe0", "x inside -1..1, a flatter line outside"),
    "merge": ("#c3e6c8", "adds the shortcut r and saturates; G and H hold BatchNorm"),
}
"""Colour and meaning by the type of a layer."""

TEXT, FAINT, PAPER, BAND, FRAME, SLOW = "#1b1f24", "#57606a", "#ffffff", "#eff2f5", "#c8ced6", "#a40e26"
"""Colours: of text, outlines, the ground, a block's background, the legend's frame, the slowest layers."""

REAL, BIT, PLAIN = "real", "bit", "plain"
STREAMS = {
    REAL: ("#1a7f37", 4.0, "real-valued stream (r), fixed point, from the first layer to the last"),
    BIT: ("#0b63c5", 1.6, "1-bit stream, input of a 1-bit convolution"),
    PLAIN: (FAINT, 1.6, "pixels; sums of a 1-bit convolution (dot)"),
}
"""Colour, width and meaning of a stream's line."""
NOTATION = (
    ("16x16x64", "height x width x channels of what a layer gives"),
    ("s16.11", "signed (u: unsigned), 16 bits, 11 of them fraction"),
    ("bit", "-1 or +1"),
    ("K", "products in one sum: kernel * kernel * input channels"),
)
FOLDING = (
    ("Pe, Simd", "output and input channels of a convolution in a cycle"),
    ("lanes", "channels of any other layer in a cycle"),
    ("cycles", "clock cycles a frame takes in a layer; all layers work at once"),
)
