"""What the JSON files in a run's folder have in common: docs/commands.md lists their keys.

Each of them is a class, of which the step that writes the file makes one, and every reader gets one. The parts that
simulate and synthesise say what they find in classes of their own; here they are given the names of run and board.
Times are in seconds, clocks in MHz, accuracies in percent of the test images.
"""

from __future__ import annotations

from typing import ClassVar

from bireal_hw.schema import Schema


class OfRun(Schema):
    """What every file says: the run's name, and whether the network has random weights.

    `file` is its name, in the folder of the run or of the board; up to the dot it is that of the step, or the command.
    """

    file: ClassVar[str]
    run: str
    untrained: bool = False


class OfBoard(OfRun):
    """What every file in the folder of a board says."""

    board: str
