"""Bi-Real networks from Brevitas to bit-exact streaming hardware.

`bireal_hw.lower`, `compile`, `fold`, `compute`, `generate_rtl`, `generate_hls`, `simulate` and their types are those of
`bireal_hw.api`, which is imported when one of them is first used.
"""

from typing import Any

__version__ = "0.1.0"

API = (
    "BirealError",
    "Compiled",
    "Dataflow",
    "Design",
    "Distance",
    "Fold",
    "Folding",
    "Graph",
    "Simulation",
    "classify",
    "compile",
    "compute",
    "fold",
    "generate_hls",
    "generate_rtl",
    "lower",
    "simulate",
    "stored",
)


def __getattr__(name: str) -> Any:
    if name in API:
        from bireal_hw import api

        return getattr(api, name)
    raise AttributeError(f"module 'bireal_hw' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *API])
