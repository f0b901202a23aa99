"""A picture that goes into a file of its own, onto a page in one piece, and onto paper in strips."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise


@dataclass(frozen=True)
class Drawing:
    """A picture in pixels.

    Attributes:
        body: SVG elements, the texts in it escaped.
        title: what it shows, in words.
        width, height: its size.
        cuts: heights at which a page may end, ascending.
    """

    body: str
    title: str
    width: float
    height: float
    cuts: tuple[float, ...]

    @property
    def svg(self) -> str:
        """The picture as the text of an SVG file."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:g}" height="{self.height:g}" '
            f'viewBox="0 0 {self.width:g} {self.height:g}" role="img">\n'
            f"<title>{escape(self.title)}</title>\n{self.body}\n</svg>\n"
        )

    def strips(self) -> list[tuple[float, float]]:
        """Return top and height of the pieces that the cuts leave.

        >>> Drawing("", "", 100, 300, (90, 200)).strips()
        [(0.0, 90.0), (90.0, 110.0), (200.0, 100.0)]
        """
        edges = [0.0, *map(float, self.cuts), float(self.height)]
        return [(top, bottom - top) for top, bottom in pairwise(edges)]
