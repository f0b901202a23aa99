"""Step `lower`: the QONNX file as an integer graph, and its drawing."""

from __future__ import annotations

from pathlib import Path

from bireal_hw.errors import BirealError
from bireal_hw.files import content_hash
from bireal_hw.ir.graph import save
from bireal_hw.lowering import lower
from bireal_hw.picture.drawing import svg
from bireal_hw.run.build import Build, Figures
from bireal_hw.run.engine import Step


def _source(build: Build) -> str | None:
    """The step that makes model.onnx; none for a file that an earlier command imported."""
    return {"trained": "export", "untrained": "export", "file": "import" if build.file else None}[build.origin]


def _lower(build: Build, folder: Path) -> Figures:
    path = build.path / "model.onnx"
    makers = [entry for name in ("export", "import") if (entry := build.run.ledger()["steps"].get(name))]
    if any(entry.get("made", content_hash(path)) != content_hash(path) for entry in makers):
        how = "give it as a file" if build.origin == "file" else "make export writes it again"
        raise BirealError(f"{path} is not the file that this run was made with: {how}, or choose another run=NAME")
    graph = lower(path)
    save(graph, folder / "graph.json")
    (folder / "graph.svg").write_text(svg(graph))
    return {"nodes": str(len(graph.nodes)), "input": str(graph.input), "output": str(graph.output)}


STEP = Step(
    name="lower",
    needs=_source,
    reads=("model.onnx",),
    makes=("graph.json", "graph.svg"),
    settings=lambda build: {},
    work=_lower,
    module=__name__,
)
