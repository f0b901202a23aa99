"""A network as C++: kernel calls joined by streams, from the same dataflow as the SystemVerilog."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from bireal_hw.hls.memory import Pointer, pointers
from bireal_hw.hls.tables import table_name
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Memory
from bireal_hw.passes import streams
from bireal_hw.passes.dataflow import Dataflow, elaborate
from bireal_hw.passes.folding import Folding

STREAM_DEPTH = 2
"""Depth of a stream between two kernels: what a register slice holds."""
LUT_WORDS = 64
"""Memories of at most so many words go into LUTs: a block RAM holds 512 words or more."""


@dataclass(frozen=True)
class Channel:
    """A stream of the top function."""

    name: str
    width: int
    depth: int


@dataclass(frozen=True)
class Table:
    """A memory of the top function."""

    name: str
    memory: Memory

    @property
    def storage(self) -> str:
        """Where it goes."""
        return "bram" if len(self.memory.words) > LUT_WORDS else "lutram"


@dataclass(frozen=True)
class Process:
    """One kernel call.

    Attributes:
        name: of the layer, or of what stands between layers.
        kernel: function of the namespace `bireal`.
        parameters: of its Config.
        inputs, outputs: names of streams.
        tables: memories in the order of the kernel's arguments.
        inner_width: bits of the widest word inside it.
        pointers: to memory beside the chip.
    """

    name: str
    kernel: str
    parameters: dict[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    inner_width: int = 0
    pointers: tuple[Pointer, ...] = ()

    @property
    def arguments(self) -> str:
        """Arguments of the call; a fork has its outputs last, since their number is open."""
        memories = [*(table.name for table in self.tables), *(pointer.name for pointer in self.pointers)]
        if self.kernel == "fork":
            return ", ".join((*self.inputs, "frames", *self.outputs))
        return ", ".join((*self.inputs, *self.outputs, *memories, "frames"))


@dataclass(frozen=True)
class Design:
    """A network as C++: its kernel calls in dataflow order, its streams, and the dataflow that it was made from."""

    flow: Dataflow
    processes: tuple[Process, ...]
    channels: tuple[Channel, ...]

    @property
    def headers(self) -> list[str]:
        """Library headers that the top includes."""
        kernels = {process.kernel for process in self.processes}
        return sorted({HEADERS.get(kernel, kernel) for kernel in kernels})

    @property
    def widest(self) -> int:
        """Bits of the widest beat, in a stream or inside a kernel, rounded up to 1024."""
        widths = [one.width for one in self.channels] + [one.inner_width for one in self.processes]
        return -(-max(widths) // 1024) * 1024

    @property
    def tables(self) -> list[Table]:
        """All memories."""
        return [table for process in self.processes for table in process.tables]

    @property
    def memory(self) -> Process | None:
        """The process with pointers to memory beside the chip, if there is one (`Dataflow.memory`)."""
        return next((process for process in self.processes if process.pointers), None)


HEADERS = {"fork": "streams", "width_converter": "streams", "take_pixels": "axis", "give_logits": "axis"}
"""Headers of the kernels that are no layers; a layer's header has its name."""


def design(graph: Graph, folding: Folding) -> Design:
    """Turn a graph and its folding into kernel calls and streams.

    A register slice or a FIFO is no process here: it is the depth of the stream that passes through it.
    """
    flow = elaborate(graph, folding)
    layers = {node.name: node.op.hls(folding[node.name], *graph.inputs_of(node)) for node in graph}
    channels: dict[str, Channel] = {}
    source: dict[str, str] = {}  # stream of the dataflow -> channel

    def channel(stream: str, width: int) -> str:
        name = source[stream] = f"{stream}_out"
        channels[name] = Channel(name, width, STREAM_DEPTH)
        return name

    pixels, logits = flow.input, flow.output
    ends = {"Beats": graph.input.pixels, "Lanes": pixels.lanes}
    processes = [Process("image", "take_pixels", ends, ("s_axis",), (channel(pixels.name, pixels.width),))]
    beats = {pixels.name: graph.input.pixels}
    for instance in flow.instances:
        binding = instance.binding
        held = streams.channel_depth(binding)
        if held is not None:
            name = source[instance.outputs[0].name] = source[instance.inputs[0].name]
            channels[name] = replace(channels[name], depth=max(channels[name].depth, held))
            beats[instance.outputs[0].name] = beats[instance.inputs[0].name]
            continue
        inputs = tuple(source[stream.name] for stream in instance.inputs)
        outputs = tuple(channel(stream.name, stream.width) for stream in instance.outputs)
        if instance.name in layers:
            kernel, made = layers[instance.name], graph.types[instance.name].beats(binding.output.lanes)
        else:
            kernel, made = streams.kernel(binding, beats[instance.inputs[0].name])
        beats.update({stream.name: made for stream in instance.outputs})
        tables = tuple(
            Table(f"{instance.name}_{table_name(parameter)}", memory) for parameter, memory in kernel.memories.items()
        )
        parameters, inner = kernel.parameters, kernel.inner_width
        reached = pointers(kernel)
        processes.append(Process(instance.name, kernel.module, parameters, inputs, outputs, tables, inner, reached))
    ends = {"Beats": beats[logits.name], "Lanes": logits.lanes, "Width": logits.dtype.width}
    processes.append(Process("logits", "give_logits", ends, (source[logits.name],), ("m_axis",)))
    return Design(flow, tuple(processes), tuple(channels.values()))


def network_hash(made: Design) -> str:
    """Name a network with its folding: equal for equal kernels, streams and memories."""
    digest = hashlib.sha256(
        repr([(p.name, p.kernel, p.parameters, p.inputs, p.outputs) for p in made.processes]).encode()
    )
    digest.update(repr(made.channels).encode())
    for one in made.tables:
        digest.update(repr((one.name, one.memory.width, one.memory.entry)).encode())
        digest.update(b"".join(word.to_bytes(one.memory.width // 8 + 1, "little") for word in one.memory.words))
    return digest.hexdigest()[:16]
