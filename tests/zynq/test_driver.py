"""The driver as a file: what it needs of a board's Python."""

from __future__ import annotations

import ast
import sys

from bireal_hw.assets import PREPROCESS
from bireal_hw.zynq.files import DRIVER

OLDEST = (3, 8)
"""Python of PYNQ 2.7."""


def imported(text: str) -> set[str]:
    tree = ast.parse(text, feature_version=OLDEST)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[0] for name in names} | {
        str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }


def test_the_driver_needs_numpy_and_pynq_alone() -> None:
    """Pillow is asked for by preprocess.py, and only where pictures are given."""
    others = imported(DRIVER.read_text()) - set(sys.stdlib_module_names)
    assert others == {"numpy", "pynq", "preprocess"}
    assert imported(PREPROCESS.read_text()) - set(sys.stdlib_module_names) == {"numpy", "PIL"}


def test_it_uses_nothing_that_the_oldest_python_lacks() -> None:
    """Annotations are not evaluated; these methods and arguments are of later versions."""
    text = DRIVER.read_text()
    assert "from __future__ import annotations" in text
    for late in ("removeprefix", "removesuffix", "strict=True", "math.lcm", "match "):
        assert late not in text
