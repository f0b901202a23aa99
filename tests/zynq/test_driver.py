"""The driver as a file: what it needs of a board's Python."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are run: no annotations, nothing below `if TYPE_CHECKING`."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, ast.AST):
                yield from evaluated(one)


@pytest.mark.parametrize("file", [DRIVER, PREPROCESS], ids=["driver", "preprocess"])
def test_no_type_is_subscripted_where_it_is_run(file: Path) -> None:
    """`tuple[int]` and `Callable[..]` are of Python 3.9."""
    names = {"tuple", "list", "dict", "set", "type", "Callable", "Iterator", "Sequence", "Iterable"}
    tree = ast.parse(file.read_text())
    subscripts = [node for node in evaluated(tree) if isinstance(node, ast.Subscript)]
    assert not [ast.unparse(one) for one in subscripts if isinstance(one.value, ast.Name) and one.value.id in names]
    assert [one for one in ast.walk(tree) if isinstance(one, ast.Subscript)] != subscripts


def test_pictures_need_nothing_that_the_oldest_image_lacks() -> None:
    """Ubuntu 20.04 has NumPy 1.17, without numpy.typing, and Pillow 7.0, without these names."""
    text = PREPROCESS.read_text()
    assert "from __future__ import annotations" in text
    for late in ("has_transparency_data", "Resampling", "Transpose", "removeprefix", "strict=True"):
        assert late not in text
    top = ast.parse(text, feature_version=OLDEST).body
    modules = {one.module for one in top if isinstance(one, ast.ImportFrom)}
    assert modules == {"__future__", "collections.abc", "pathlib", "typing", "PIL"}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--help"], 0, "python3 driver.py [PICTURE...]: what is in pictures; "),
        (["nothing.jpg"], 1, "error: there is no picture nothing.jpg"),
    ],
)
def test_words_are_looked_at_before_the_bitstream(words: list[str], status: int, said: str) -> None:
    """Neither pynq nor a bitstream is here."""
    done = subprocess.run([sys.executable, DRIVER, *words], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert (done.stdout + done.stderr).startswith(said)
