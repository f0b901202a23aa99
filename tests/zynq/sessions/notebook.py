"""The notebook that is copied to the board, cell by cell, on the simulated board."""

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.notebook import executed


def session(board: Any, driver: Any) -> Any:
    os.chdir(board.folder)
    cells = executed(board.folder / "board.ipynb")["cells"]
    return ["".join(output["text"]) for cell in cells for output in cell.get("outputs", [])]
