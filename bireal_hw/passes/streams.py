"""The library's modules that stand between layers: FIFO, register slice, fork, width converter.

Each is a `Binding` like a layer's; this file holds all that is known about them: ports, what they consist of, how the
C++ expresses them, and instances for the calibration of the cost model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from bireal_hw.errors import BirealError
from bireal_hw.ir.anatomy import Anatomy, Parameters, Ram, index_bits
from bireal_hw.ir.op import Binding, Port
from bireal_hw.ir.types import DataType, TensorType

FIFO, SLICE, FORK, CONVERTER = "br_fifo", "br_reg_slice", "br_fork", "br_width_converter"


def fifo(stream: Port, depth: int) -> Binding:
    """Return a FIFO of so many beats, its output register included."""
    return _pipe(FIFO, stream, {"Depth": depth})


def register_slice(stream: Port) -> Binding:
    """Return what cuts the timing paths of data and of ready: a FIFO of two beats without memory."""
    return _pipe(SLICE, stream, {})


def fork(stream: Port, readers: int) -> Binding:
    """Return the fork that gives each of several readers its own handshake."""
    return _pipe(FORK, stream, {"Outputs": readers})


def converter(stream: Port, lanes: int) -> Binding:
    """Return the converter to so many lanes, a multiple or a divisor of the stream's."""
    parameters = {"ElemWidth": stream.dtype.width, "InLanes": stream.lanes, "OutLanes": lanes}
    ports = replace(stream, name="s_axis"), replace(stream, name="m_axis", lanes=lanes)
    return Binding(CONVERTER, parameters, ports[:1], ports[1])


def converter_cycles(binding: Binding, tensor: TensorType) -> int:
    """Cycles a frame takes through a width converter."""
    return tensor.beats(min(binding.parameters["InLanes"], binding.parameters["OutLanes"]))


def _pipe(module: str, stream: Port, parameters: dict[str, int]) -> Binding:
    """A module that takes and gives the same stream."""
    ports = replace(stream, name="s_axis"), replace(stream, name="m_axis")
    return Binding(module, {"Width": stream.width, **parameters}, ports[:1], ports[1])


def channel_depth(binding: Binding) -> int | None:
    """Beats that a FIFO or a register slice holds, which is the depth of a stream in C++; None for the others."""
    return {FIFO: binding.parameters.get("Depth"), SLICE: 2}.get(binding.module)


def kernel(binding: Binding, beats: int) -> tuple[Binding, int]:
    """Return the C++ kernel of a fork or a converter that takes so many beats a frame, and the beats that it gives.

    Raises:
        BirealError: the module has no kernel.
    """
    name = binding.module.removeprefix("br_")
    if binding.module == FORK:
        return replace(binding, module=name, parameters={"Beats": beats, "Width": binding.parameters["Width"]}), beats
    if binding.module == CONVERTER:
        given = beats * binding.inputs[0].lanes // binding.output.lanes
        return replace(binding, module=name, parameters={"Beats": max(beats, given), **binding.parameters}), given
    raise BirealError(f"{binding.module} has no C++ kernel")


def _fifo_anatomy(p: Parameters) -> Anatomy:
    depth, width = p["Depth"] - 1, p["Width"] + 1
    if depth < 1:
        return Anatomy({"register": width})
    return Anatomy({"beat": width, "counter": index_bits(depth)}, [Ram(depth, width, "queue")])


def _converter_anatomy(p: Parameters) -> Anatomy:
    into, out = p["InLanes"] * p["ElemWidth"], p["OutLanes"] * p["ElemWidth"]
    split, join = (into, 0) if into > out else (0, out)
    ratio = max(into, out) // min(into, out)
    return Anatomy({"split": split, "join": join, "kept": max(split - out, 0), "counter": index_bits(ratio)})


ANATOMIES: dict[str, Callable[[Parameters], Anatomy]] = {
    FIFO: _fifo_anatomy,
    FORK: lambda p: Anatomy({"output": p["Outputs"]}),
    SLICE: lambda p: Anatomy({"beat": p["Width"] + 1}),
    CONVERTER: _converter_anatomy,
}
"""What each module consists of, by its name."""


def calibration() -> Iterator[Binding]:
    """Instances that the cost model's coefficients are fitted to."""

    def stream(width: int) -> Port:
        return Port("", width // 8, DataType(8, frac=0))

    for width in (8, 16, 32, 128):
        for outputs in (2, 3):
            yield fork(stream(width), outputs)
    for width in (8, 16, 32, 64, 128):
        yield register_slice(stream(width))
        for depth in (40, 130, 300, 700, 1300, 2500):
            if width * depth <= 50_000:
                yield fifo(stream(width), depth)
    yield fifo(stream(16), 4500)
    yield fifo(stream(8), 9000)
    for element, lanes in (
        (1, (1, 2)),
        (1, (1, 16)),
        (1, (4, 64)),
        (1, (1, 256)),
        (13, (1, 4)),
        (16, (1, 8)),
        (16, (2, 4)),
    ):
        for into, out in (lanes, lanes[::-1]):
            yield converter(Port("", into, DataType(element, frac=0)), out)
