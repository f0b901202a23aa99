"""The files that travel beside the Python code: `rtl/`, `hls/`, `sim/` and `flows/`."""

from __future__ import annotations

from pathlib import Path

from bireal_hw.errors import BirealError

_PACKAGE = Path(__file__).parent
PREPROCESS = _PACKAGE / "preprocess.py"
"""How pictures are read; a file here, which goes beside the scripts of a board, since reading needs Pillow."""


def asset(name: str) -> Path:
    """Return the path of a file or folder such as `rtl/pkg/br_pkg.sv`, in a checkout or in an installed wheel.

    Raises:
        BirealError: neither place has it; the installation is incomplete.
    """
    for root in (_PACKAGE / "_assets", _PACKAGE.parent):
        if (root / name).exists():
            return root / name
    raise BirealError(f"file '{name}' is missing from this installation of bireal_hw: install it again")
