"""How wide a text may become. A picture does not know the font it will be shown in, so it leaves room for a wide one.

The widths are those of DejaVu Sans, the widest sans-serif that is commonly the only one installed.
"""

from __future__ import annotations

import unicodedata

_REGULAR = {
    300: "'IJijl",
    350: " ,./:;\\|·",
    400: "()-[]ft",
    450: "!r",
    500: '"*_`',
    550: "?csz",
    600: "FLkvxy",
    650: "$0123456789EPSTYabdeghnopqu{}",
    700: "ABCKRVXZ",
    750: "NU",
    800: "&DGHOQ",
    850: "#+<=>^w~×→≥",
    900: "M",
    1000: "%@Wm…",
}
_BOLD = {
    350: " 'ijl",
    400: ",./:;IJ\\|·",
    450: "-f",
    500: "!()[]_`rt",
    550: '"*',
    600: "?csz",
    650: "Lx",
    700: "$0123456789EFTaekovy",
    750: "CPSYZbdghnpqu{}",
    800: "ABKRVX",
    850: "#+<=>DGHNU^~×→≥",
    900: "&OQ",
    950: "w",
    1000: "@M…",
    1050: "%m",
    1150: "W",
}
"""Characters by their width in thousandths of the font size, rounded up."""
_WIDTHS = {
    bold: {one: width for width, some in table.items() for one in some}
    for bold, table in ((False, _REGULAR), (True, _BOLD))
}
_WIDEST = {False: 1200, True: 1450}
"""Width of a letter that no table holds, such as a Cyrillic one: as wide as they come."""
_CARON = "\N{COMBINING CARON}"
"""The one accent that takes room: beside the letter in d, l and t with it."""


def width(text: str, size: float, bold: bool = False) -> float:
    """Return how wide a text is at most, in the unit of its font size.

    Accents take no room, Chinese, Japanese and Korean characters a square.

    >>> width("lane", 10), width("lane", 10, bold=True), width("für", 10) == width("fur", 10), width("層", 10)
    (22.5, 25.0, True, 10.5)
    """
    return sum(_width(one, bold) for one in unicodedata.normalize("NFD", text)) * size / 1000


def _width(one: str, bold: bool) -> int:
    if one == _CARON:
        return 150
    if unicodedata.category(one) in ("Mn", "Me", "Cf"):
        return 0
    if unicodedata.east_asian_width(one) in "WF":
        return 1050
    return _WIDTHS[bold].get(one, _WIDEST[bold])


def fit(text: str, room: float, size: float, bold: bool = False) -> str:
    """Leave out the middle of a text that is wider than its place; both ends stay, as names differ at either.

    >>> fit("layer1_0_binary_conv", 80, 12), fit("layer1_0", 80, 12)
    ('layer…_conv', 'layer1_0')
    """
    if width(text, size, bold) <= room:
        return text
    kept = len(text) - 1
    while kept and width(_without_middle(text, kept), size, bold) > room:
        kept -= 1
    return _without_middle(text, kept)


def _without_middle(text: str, kept: int) -> str:
    return f"{text[: (kept + 1) // 2].rstrip()}…{text[len(text) - kept // 2 :].lstrip()}"


def wrap(text: str, room: float, size: float, bold: bool = False) -> list[str]:
    """Break a text between words into lines that fit; a word that is too wide by itself loses its middle.

    >>> wrap("1-bit convolution, XNOR and popcount", 130, 11.5)
    ['1-bit convolution,', 'XNOR and popcount']
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size, bold) <= room:
            lines[-1] = longer
        else:
            lines.append(fit(word, room, size, bold))
    return lines or [""]
