"""Random networks in stock Brevitas, many of them: `python -m tests.lowering.many FIRST COUNT`.

Each is exported by Brevitas, calibrated on 16 images and held against its file on 16 others; a line for each tells the
share of images with the same class, and the distance of the outputs in parts of their spread.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from bireal_hw.errors import BirealError
from tests.lowering.test_stock import converted


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(first: int, count: int) -> int:
    """Print a line for each network and the figures of all; return how many were refused or read wrong."""
    agreements, distances, failed, moved = [], [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            try:
                found, distance = converted(seed, Path(folder))
            except BirealError as error:
                failed.append(seed)
                say(f"{seed} FAILED {error}")
                continue
            agreements.append(distance.agreement)
            distances.append(distance.rms / distance.spread)
            moved += not found.exact
            say(f"{seed} {distance.agreement:.4f} {distances[-1]:.6f} saturated {distance.saturated}")
            for path in Path(folder).iterdir():
                path.unlink()
    median, most, worst = (float(np.quantile(distances, share)) for share in (0.5, 0.9, 1.0))
    say(
        f"{len(agreements)} of {count} networks: the same class in {np.mean(agreements):.3%} of the images, in"
        f" {np.min(agreements):.1%} at least; outputs {median:.3%} of their spread away in the median, {most:.2%} in"
        f" nine of ten at most, {worst:.1%} in the worst; {moved} moved; failed: {failed or 'none'}"
    )
    return len(failed)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))
