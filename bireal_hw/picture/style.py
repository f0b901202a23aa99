"""What the picture of a graph looks like and what that means: streams and notation; layers know theirs themselves."""

from __future__ import annotations

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
