"""Executes a notebook without Jupyter: its code cells in order, in one namespace, each with what it printed.

    python -m tests.notebook docs/notebooks/network_to_verdict.ipynb

writes the outputs into the file. A cell shows what it prints; a last expression is not shown.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any


def executed(path: Path) -> dict[str, Any]:
    """Return the notebook's content with the outputs of its cells as they are now; raises what a cell raises."""
    content: dict[str, Any] = json.loads(path.read_text())
    namespace: dict[str, Any] = {"__name__": "__main__"}
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, start=1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), namespace)
        text = printed.getvalue().splitlines(keepends=True)
        cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": text}] if text else []
        cell["execution_count"] = number
    return content


def text_of(content: dict[str, Any]) -> str:
    """Return the text of a notebook's file."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    notebook = Path(sys.argv[1])
    notebook.write_text(text_of(executed(notebook)))
