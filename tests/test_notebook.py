"""The notebook of the docs runs, and says what it says in the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_gives_the_outputs_that_stand_in_it(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="its images are those of scikit-learn")
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    subprocess.run([sys.executable, "-m", "tests.notebook", str(copy)], cwd=ROOT, check=True)
    assert copy.read_text() == path.read_text()


def test_there_is_one() -> None:
    assert [path.name for path in NOTEBOOKS] == ["network_to_verdict.ipynb", "stock_brevitas.ipynb"]
