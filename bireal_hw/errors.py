"""The one error a user sees: a line with the value, what is allowed and the nearest match."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BirealError(Exception):
    """A mistake in the input or an impossible request; its text is one line fit for a terminal."""


def unknown(kind: str, value: object, allowed: Iterable[object]) -> BirealError:
    """Describe an unknown name: the value, the nearest allowed name and all of them.

    >>> str(unknown("model", "birael18", ["bireal18", "bireal34"]))
    "unknown model 'birael18': did you mean 'bireal18'? choose from bireal18, bireal34"
    """
    names = [str(name) for name in allowed]
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f" did you mean '{near[0]}'?" if near else ""
    return BirealError(f"unknown {kind} '{value}':{hint} choose from {', '.join(names)}")


def out_of_range(kind: str, value: object, allowed: str) -> BirealError:
    """Describe a value outside its range: the value and the range in words."""
    return BirealError(f"{kind}={value} is out of range: {allowed}")
