"""The three accuracies of a trained network: what each is, and the one name it goes by wherever it is shown.

Tables, the report, the verdicts of the demo and docs/training.md take names and meanings from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Accuracy:
    """A top-1 accuracy on the test images.

    Attributes:
        key: in `train.json`, in the files of the zoo and in the rows of a study; the value is in percent.
        name: where it is shown.
        meaning: what network it is the accuracy of.
    """

    key: str
    name: str
    meaning: str

    @property
    def title(self) -> str:
        """The name where it does not stand under the heading "accuracy"."""
        return f"{self.name} accuracy"

    def of(self, figures: Mapping[str, Any]) -> str:
        """Write it, from the figures of a training.

        >>> DEPLOY.of({"top1_deploy": 98.6264}), DEPLOY.of({"top1_deploy": None})
        ('98.63 %', 'none: real-valued')
        """
        value = figures[self.key]
        return "none: real-valued" if value is None else f"{value:.2f} %"


TRAINED = Accuracy("top1_trained", "trained", "the network as its last epoch leaves it, where the learning curve ends")
FLOAT = Accuracy(
    "top1_float", "float", "the same network moved onto the hardware's grid, still computed in floating point"
)
DEPLOY = Accuracy("top1_deploy", "deploy", "the deploy model, whose integers are those of the hardware")
ACCURACIES = (TRAINED, FLOAT, DEPLOY)


def accuracies(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return every accuracy that a training has left, as it is shown.

    >>> accuracies({"top1_float": 98.63, "top1_deploy": 98.62, "epochs": 3})
    {'float accuracy': '98.63 %', 'deploy accuracy': '98.62 %'}
    """
    return {one.title: one.of(figures) for one in ACCURACIES if one.key in figures}
