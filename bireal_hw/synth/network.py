"""Utilisation of a whole network: the sum over its instances, and the same once more as one design."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from bireal_hw import ending
from bireal_hw.boards import Board
from bireal_hw.passes.dataflow import Dataflow
from bireal_hw.passes.streams import CONVERTER
from bireal_hw.rtl import FILE_LIST, MEMORIES
from bireal_hw.synth import yosys
from bireal_hw.synth.resources import KINDS, Resources, capacity, count, exceeded
from bireal_hw.synth.results import LayerResources, Share, Utilisation
from bireal_hw.synth.units import Progress, synthesise, unit

SOURCE = "yosys"


@dataclass(frozen=True)
class InstanceResources:
    """What one instance takes: its name, its module, the layer it belongs to, its resources."""

    name: str
    module: str
    layer: str
    used: Resources


def by_instance(flow: Dataflow, family: str, cache: Path, progress: Progress) -> list[InstanceResources]:
    """Synthesise every different instance of a network on its own.

    Raises:
        BirealError: Yosys is missing or stopped.
    """
    units = [unit(instance.binding, len(instance.outputs)) for instance in flow.instances]
    layers = [one.name for one in flow.instances if one.name in flow.costs and one.binding.module != CONVERTER]
    found = synthesise(units, family, cache, progress)
    return [
        InstanceResources(instance.name, instance.binding.module, layer_of(instance.name, layers), count(cells, family))
        for instance, cells in zip(flow.instances, found, strict=True)
    ]


def layer_of(name: str, layers: Iterable[str]) -> str:
    """Return the layer whose name an instance's name begins with: what stands around a layer counts as part of it."""
    return max((layer for layer in layers if name == layer or name.startswith(f"{layer}_")), key=len, default=name)


def whole(rtl: Path, family: str, cache: Path) -> Resources:
    """Synthesise a generated network as one design.

    Args:
        rtl: folder that `bireal_hw.rtl.generate` wrote.
        family: of the board.
        cache: a folder that can be written.
    """
    with ending.workplace(cache) as folder:
        shutil.copytree(rtl / MEMORIES, folder / MEMORIES)
        sources = [rtl / name for name in (rtl / FILE_LIST).read_text().split()]
        for source in sources:  # side by side: Yosys from PyPI opens no file in a folder called lib
            shutil.copyfile(source, folder / source.name)
        yosys.run(folder, yosys.script("br_top", [source.name for source in sources], family))
        cells = yosys.cells(folder)["br_top"]
    return count(cells, family)


def total(rows: Iterable[InstanceResources]) -> Resources:
    """Add up."""
    result = Resources()
    for row in rows:
        result += row.used
    return result


def report(rows: list[InstanceResources], board: Board) -> Utilisation:
    """Return what is used and available of every kind, and the same per layer."""
    used, have = total(rows), capacity(board)
    layers: dict[str, list[InstanceResources]] = {}
    for row in rows:
        layers.setdefault(row.layer, []).append(row)
    return Utilisation(
        part=board.part,
        fits=not exceeded(used, board),
        **{kind: Share(used=getattr(used, kind), available=getattr(have, kind), source=SOURCE) for kind in KINDS},
        layers=[
            LayerResources(
                name=name,
                **asdict(total(some)),
                instances=[{"name": row.name, "module": row.module, **asdict(row.used)} for row in some],
            )
            for name, some in layers.items()
        ],
        yosys=yosys.version(),
    )
