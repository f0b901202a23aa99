"""Three classes of rendered shapes, 64 pictures of each, as somebody's own pictures would come: a folder per class.

    python tests/training/shapes.py DIR

Place, size, angle and colours of shape and background are drawn at random, and noise lies over all, so that neither
colour nor mean tells the classes apart.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("cross", "disc", "triangle")
COUNT = 64
SIDE = 96


def render(name: str, generator: np.random.Generator) -> Image.Image:
    """Draw a bright shape over a dark background."""
    back, front = generator.integers(0, 110, 3), generator.integers(130, 256, 3)
    radius = generator.uniform(0.2, 0.4) * SIDE
    x, y = generator.uniform(radius, SIDE - radius, 2)
    picture = Image.new("RGB", (SIDE, SIDE), tuple(back.tolist()))
    draw, colour = ImageDraw.Draw(picture), tuple(front.tolist())
    turn = float(generator.uniform(0, 360))
    if name == "disc":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    elif name == "triangle":
        draw.regular_polygon((x, y, radius), 3, rotation=turn, fill=colour)
    else:
        for angle in (turn, turn + 90):
            way = radius * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
            draw.line((*(np.array([x, y]) - way), *(np.array([x, y]) + way)), colour, round(0.4 * radius))
    noisy = np.asarray(picture) + generator.normal(0, 20, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def write(folder: Path, count: int = COUNT, seed: int = 0) -> None:
    """Write `count` pictures of each class into a folder of its name."""
    generator = np.random.default_rng(seed)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            render(name, generator).save(folder / name / f"{number:03}.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
