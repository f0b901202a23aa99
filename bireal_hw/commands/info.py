"""The command `info`: layers, parameters and operations of a network."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from bireal_hw import zoo
from bireal_hw.commands.verb import CONSOLE, Verb, refuse_others
from bireal_hw.models.info import info
from bireal_hw.models.spec import ModelSpec
from bireal_hw.run.config import SPEC, UsageError, packed, parse_arguments
from bireal_hw.run.network import show


def _spec(arguments: list[str], **defaults: Any) -> ModelSpec:
    """Read the arguments of a command about a network that needs no run; the first may be the bare name of a model."""
    if arguments and arguments[0].endswith(".onnx"):
        raise UsageError(f"info is about a model by its name: bireal-hw check {arguments[0]} lists the nodes of a file")
    arguments = [f"model={word}" if "=" not in word and index == 0 else word for index, word in enumerate(arguments)]
    config = parse_arguments(arguments)
    given = config.given()
    refuse_others("info", config, SPEC)
    if name := packed(config):
        if len(given) > 1:
            own = next(key for key in given if key != "model")
            raise UsageError(f"{show(own, given[own])} does not go with {config.model}, which is a whole network")
        return ModelSpec.from_json(zoo.about(name)["spec"])
    return ModelSpec(**(defaults | given))


def _info(arguments: list[str]) -> int:
    spec = _spec(arguments, image=(224, 224), classes=1000)
    counted = info(spec)
    table = Table(show_edge=False, title_justify="left", title=f"{spec.model}, width {spec.width:g}, {spec.image_text}")
    for heading in ("layer", "weights", "kernel", "stride", "output"):
        table.add_column(heading)
    for heading in ("1-bit parameters", "real parameters", "multiply-accumulates"):
        table.add_column(heading, justify="right")
    for layer in counted.layers:
        table.add_row(
            layer.name,
            layer.kind,
            f"{layer.kernel}x{layer.kernel}",
            str(layer.stride),
            "x".join(map(str, layer.output)),
            f"{layer.binary_params:,}",
            f"{layer.real_params:,}",
            f"{layer.macs:,}",
        )
    CONSOLE.print(table)
    CONSOLE.print(
        f"layers {len([one for one in counted.layers if 'downsample' not in one.name])} (and "
        f"{len([one for one in counted.layers if 'downsample' in one.name])} real shortcut convolutions)\n"
        f"parameters: {counted.binary_params:,} binary, {counted.real_params:,} real; "
        f"memory {counted.memory_mbit:.2f} Mbit instead of {counted.full_memory_mbit:.1f}\n"
        f"multiply-accumulates: {counted.binary_macs:,} binary, {counted.real_macs:,} real; "
        f"{counted.operations:.4g} operations (64 binary = 1), {counted.speedup:.2f} times fewer",
        soft_wrap=True,
    )
    return 0


VERB = Verb(
    "info",
    "print layers, parameters and operations of a network",
    (*SPEC, "config"),
    _info,
    "[MODEL] [KEY=VALUE]...",
)
