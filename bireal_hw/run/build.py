"""One command at work on one run: what the user asked for, the run's folder, and what follows from both."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bireal_hw import boards
from bireal_hw.ir.graph import Graph, load
from bireal_hw.passes.folding import Folding
from bireal_hw.passes.folding_file import read_folding
from bireal_hw.passes.placement import placed
from bireal_hw.run.config import BuildConfig
from bireal_hw.run.network import Values
from bireal_hw.run.rundir import RunDir

DEFAULT_BOARD = "pynq-z2"
FOLDING = "folding.toml"
REQUESTED = ("clock", "target_fps", "folding")
"""Variables that the folding is made for."""

Figures = dict[str, str]


@dataclass
class Made:
    """One line of the summary: a step, its files, headline figures, and seconds (None if it was up to date)."""

    step: str
    files: list[Path]
    figures: Figures
    seconds: float | None


@dataclass
class Build:
    """One command at work on one run.

    Attributes:
        config: what the user asked for.
        run: the run's folder, locked.
        values: the variables of the run's network (see `network.resolve`).
        file: QONNX file given on the command line, or a network of the zoo.
        made: what this command has done so far.
        hardware: whether the command works for a board.
    """

    config: BuildConfig
    run: RunDir
    values: Values
    file: Path | None = None
    made: list[Made] = field(default_factory=list)
    hardware: bool = False

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.run.path

    @property
    def board(self) -> boards.Board:
        """The board that is built for: the one asked for, else the run's last one, else the default."""
        return boards.board(self.config.board or self.last_board or DEFAULT_BOARD)

    @property
    def last_board(self) -> str | None:
        """The board of the last command that worked for one, if the run still has a folding for it."""
        folded = [name for name in boards.names() if (self.path / name / FOLDING).exists()]
        last = self.run.ledger().get("board")
        if last in folded:
            return str(last)
        return DEFAULT_BOARD if DEFAULT_BOARD in folded else next(iter(folded), None)

    @property
    def requested(self) -> dict[str, Any]:
        """What the board's folding is to be made for: `clock` in MHz, `target_fps` and `folding` (a file), or None.

        Values that are not given stay as they were when the folding was made.
        """
        given = {name: value for name in REQUESTED if (value := getattr(self.config, name)) is not None}
        recorded = self.run.ledger()["steps"].get(f"{self.board.name}/fold", {}).get("record", {}).get("settings", {})
        kept = {name: recorded.get(name) for name in REQUESTED}
        if "target_fps" in given or "folding" in given:
            kept |= {"target_fps": None, "folding": None}  # one takes the place of the other
        return kept | given

    @property
    def clock_mhz(self) -> float:
        """Clock of the network in MHz."""
        return float(self.requested["clock"] or self.board.clock_mhz)

    @property
    def origin(self) -> str:
        """How the network came about: `trained`, `untrained` or `file`."""
        return "file" if self.values.get("file") else "untrained" if self.values["untrained"] else "trained"

    def record_values(self) -> None:
        """Enter the network's values in the ledger; from its first lasting file on they are the run's."""
        ledger = self.run.ledger()
        self.run.write_ledger(ledger | {"values": self.values})

    @property
    def marks(self) -> dict[str, Any]:
        """What every output says about itself."""
        return {"run": self.path.name, "untrained": self.origin == "untrained"}

    def folded(self) -> tuple[Graph, Folding]:
        """Return the graph that is built and its folding, which stands in the board's folder."""
        graph = load(self.path / "graph.json")
        folding = read_folding(self.path / self.board.name / FOLDING, graph)
        return placed(graph, folding), folding

    def marks_of(self, graph: Graph) -> dict[str, Any]:
        """What every output says about itself; a QONNX file knows itself whether its network was trained."""
        return self.marks | {"untrained": bool(graph.info.get("untrained", self.marks["untrained"]))}
