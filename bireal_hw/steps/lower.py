"""Step `lower`: the QONNX file as an integer graph, and its drawing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bireal_hw.errors import BirealError
from bireal_hw.files import content_hash
from bireal_hw.ir.graph import save
from bireal_hw.lowering import convert
from bireal_hw.lowering.compare import compare
from bireal_hw.picture.drawing import svg
from bireal_hw.results.lower import LowerFile, Moved
from bireal_hw.run.build import Build, Figures
from bireal_hw.run.calibration import options_of
from bireal_hw.run.engine import Step
from bireal_hw.schema import write

OF_OTHERS, OWN = 16, 2
"""Images that a file and its graph are compared on: one that others wrote, and one of our own exporter."""


def _source(build: Build) -> str | None:
    """The step that makes model.onnx; none for a file that an earlier command imported."""
    return {"trained": "export", "untrained": "export", "file": "import" if build.file else None}[build.origin]


def _settings(build: Build) -> dict[str, object]:
    """What says how a file of others is read; nothing for a network of our own."""
    given = ("pixels", "calibration", "dataset", "data")
    return {key: value for key in given if build.origin == "file" and (value := build.values.get(key)) is not None}


def _lower(build: Build, folder: Path) -> Figures:
    path = build.path / "model.onnx"
    makers = [entry for name in ("export", "import") if (entry := build.run.ledger()["steps"].get(name))]
    if any(entry.get("made", content_hash(path)) != content_hash(path) for entry in makers):
        how = "give it as a file" if build.origin == "file" else "make export writes it again"
        raise BirealError(f"{path} is not the file that this run was made with: {how}, or choose another run=NAME")
    found = convert(path, options_of(build.values))
    graph = found.graph
    count = OF_OTHERS if build.origin == "file" else OWN
    distance = compare(found, found.images[:count])
    save(graph, folder / "graph.json")
    (folder / "graph.svg").write_text(svg(graph))
    about = LowerFile(
        **build.marks_of(graph),
        **dataclasses.asdict(distance),
        pixels=found.pixels.why,
        moved=[Moved(node=one.node, becomes=one.becomes, by=one.moved) for one in found.journal],
    )
    write(folder / LowerFile.file, about)
    return {
        "nodes": str(len(graph.nodes)),
        "input": str(graph.input),
        "output": str(graph.output),
        **({} if found.pixels.stored else {"a pixel": found.pixels.why}),
        "against the file": distance.words,
    }


STEP = Step(
    name="lower",
    needs=_source,
    reads=("model.onnx",),
    makes=("graph.json", "graph.svg", LowerFile.file),
    settings=_settings,
    work=_lower,
    module=__name__,
)
