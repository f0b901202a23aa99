"""The one error a user sees: a line with the value, what is allowed and the nearest match."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BirealError(Exception):
    """A mistake in the input or an impossible request; its text is one line fit for a terminal.

    Attributes:
        report: what a developer needs to know besides, where the program itself may be wrong.
    """

    report: str = ""


class VerdictError(BirealError):
    """What was asked for has been done, and what it found does not hold: its files tell more."""


class DivergedError(BirealError):
    """A training whose loss or weights are no finite numbers any more: a lower learning rate may mend it."""


def nearest(value: str, names: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the name most like a value, whatever their case; None if none is like it (0 to 1: how much it must be).

    >>> nearest("BOARD", ["board", "clock"])
    'board'
    """
    by_case = {name.lower(): name for name in names}
    near = difflib.get_close_matches(value.lower(), by_case, n=1, cutoff=cutoff)
    return by_case[near[0]] if near else None


def unknown(kind: str, value: object, allowed: Iterable[object]) -> BirealError:
    """Describe an unknown name: the value, the nearest allowed name and all of them.

    >>> str(unknown("model", "birael18", ["bireal18", "bireal34"]))
    "unknown model 'birael18': did you mean 'bireal18'? choose from bireal18, bireal34"
    """
    names = [str(name) for name in allowed]
    near = nearest(str(value), names)
    hint = f" did you mean '{near}'?" if near else ""
    return BirealError(f"unknown {kind} '{value}':{hint} choose from {', '.join(names)}")


def out_of_range(kind: str, value: object, allowed: str) -> BirealError:
    """Describe a value outside its range: the value and the range in words."""
    return BirealError(f"{kind}={value} is out of range: {allowed}")
