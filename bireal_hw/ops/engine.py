"""Engine: a network's tail, layer after layer on one module, its weights and maps in DRAM (docs/engine.md).

It is no layer of a file: `bireal_hw.passes.placement` puts it in place of the layers that a board cannot hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bireal_hw.engine import kernel
from bireal_hw.engine.kernel import ENTRY
from bireal_hw.engine.program import LANES, Program, Sizes, parts, word_width
from bireal_hw.engine.tail import split
from bireal_hw.errors import BirealError
from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Ram, Rom
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.op import Array, AxiPort, Binding, Cost, Draw, Fold, Look, Memory, Op, Port, QonnxWriter, require
from bireal_hw.ir.parts import Products
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops.avg_pool import AvgPool
from bireal_hw.ops.binary_conv import BinaryConv, popcount_size
from bireal_hw.ops.merge import Merge
from bireal_hw.ops.real_conv import RealConv
from bireal_hw.ops.sign import Sign

PIXELS = 512
"""Pixels for which a word of weights is used, at most: the depth of a block RAM that is 72 bits wide."""
PORTS = (
    AxiPort("m_axi_weights", 64, 32, reads=True, writes=False),
    AxiPort("m_axi_maps", 64, 32, reads=True, writes=True),
    AxiPort("m_axi_input", 64, 32, reads=False, writes=True),
)
CHANNELS = (4, 8, 16, 32, 64)
SIMD = (16, 32, 64, 128, 256)
"""Sizes that the solver chooses from."""
ADDRESS, LENGTH = 32, 24
"""Bits of an address and of a length, of what is read of the weights."""


@dataclass(frozen=True, eq=False)
class Engine(Op):
    """The layers of a graph, one after another; fold: pe output channels, simd bits and lanes 8-bit numbers at a time.

    Attributes:
        graph: the tail, whose input is the stream in; its output is one pixel.
    """

    kind: ClassVar[str] = "engine"
    look: ClassVar[Look] = Look("#f3c6cb", "layer after layer, weights and maps in DRAM", 14)
    graph: Graph

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(x == self.graph.input, f"engine: input is {x}, its layers take {self.graph.input}")
        return self.graph.output

    def golden(self, *inputs: Array) -> Array:
        tensors = split(self.graph, inputs[0])
        for node in self.graph:
            tensors[node.name] = node.op.golden(*(tensors[name] for name in node.inputs))
        return tensors[self.graph.nodes[-1].name]

    def summary(self) -> str:
        return f"{len(self.graph.nodes)} layers, {self.graph.nodes[0].name} to {self.graph.nodes[-1].name}"

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        raise BirealError(f"{name}: the engine is a choice of the folding; write the network without it")

    @property
    def weight_count(self) -> int:
        return sum(node.op.weight_count for node in self.graph)

    def program(self, fold: Fold) -> Program:
        """What it runs under a folding."""
        return _program(self, fold)

    def factors(self, *inputs: TensorType) -> dict[str, list[int]]:
        """Sizes that the engine can have: pe channels, simd bits, lanes numbers; see `Sizes`."""
        numbers = [4, 8, 16] if self._real else [0]
        channels = [one for one in CHANNELS if self._common % one == 0]
        return {"pe": channels, "simd": list(SIMD), "lanes": numbers, "queue": [0, self._pixels]}

    @cached_property
    def _pixels(self) -> int:
        """Pixels of a band, at most."""
        return Program(self.graph, Sizes(4, 16, LANES if self._real else 0, PIXELS)).sizes.pixels

    def folds(self, *inputs: TensorType) -> list[Fold]:
        return [fold for fold in super().folds(*inputs) if self._possible(fold)]

    def _possible(self, fold: Fold) -> bool:
        word, part = fold.pe * fold.simd, max(fold.lanes, LANES)
        return fold.simd % fold.pe == 0 and word % 64 == 0 and (part % fold.pe == 0 or fold.pe % part == 0)

    @cached_property
    def _real(self) -> bool:
        """Whether there are 8-bit convolutions."""
        return any(isinstance(part, Products) and not part.bits for part in parts(self.graph).values())

    @cached_property
    def _common(self) -> int:
        """What divides the channels of every map."""
        names = [*self.graph.given, *(node.name for node in self.graph.nodes[:-1])]
        return math.gcd(*(self.graph.types[name].channels for name in names))

    def products(self, fold: Fold) -> int:
        return fold.pe * fold.simd

    def fold_text(self, fold: Fold) -> str:
        queue = f", {fold.queue} pixels of sums wait" if fold.queue else ""
        return f"{fold.pe} channels, {fold.simd} bits, {fold.lanes} numbers{queue}"

    def check_fold(self, fold: Fold, *inputs: TensorType) -> None:
        self.program(fold)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        (x,) = inputs
        cycles = max(self.program(fold).cycles(), x.beats(LANES))
        return Cost(cycles, latency=x.beats(LANES) + cycles)

    def traffic(self, fold: Fold, *inputs: TensorType) -> int:
        return self.program(fold).traffic

    def memory_cycles(self, fold: Fold, bytes_per_cycle: float, *inputs: TensorType) -> int:
        return self.program(fold).cycles(bytes_per_cycle)

    def needs(self, *inputs: TensorType) -> NDArray[np.int64]:
        return np.array([inputs[0].pixels - 1])

    def takes(self, *inputs: TensorType) -> NDArray[np.int64]:
        return np.array([2 * inputs[0].pixels - 1])

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        return (Port("s_axis", LANES, inputs[0].dtype),), Port("m_axis", 1, self.graph.output.dtype)

    def refolded(self, parameters: Parameters, fold: Fold, *inputs: TensorType) -> dict[str, int]:
        (x,), program = inputs, self.program(fold)
        return {
            "Channels": program.sizes.channels,
            "Simd": program.sizes.simd,
            "Real": program.sizes.real,
            "Pixels": program.sizes.pixels,
            "Queue": program.sizes.queue,
            "AccWidth": program.sum_width,
            "BitsDepth": program.bits_depth,
            "RealDepth": program.real_depth,
            "Pooled": program.pooled,
            "InPixels": x.pixels,
            "InChannels": x.channels,
            "InWidth": x.dtype.width,
            "InSize": program.input_bytes,
            "OutWidth": self.graph.output.dtype.width,
            "Passes": len(program.passes),
            "Segments": 1 + len(program.segments),
        }

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        program = self.program(fold)
        segments = [program.identity, *(beats << ADDRESS | first for first, beats in program.segments)]
        return Binding(
            self.module(),
            self.refolded({}, fold, *inputs),
            *self.rtl_ports(fold, *inputs),
            {
                "ProgramFile": Memory(word_width(), program.words),
                "SegmentFile": Memory(ADDRESS + LENGTH, segments),
            },
            axi=PORTS,
            image=program.image,
            maps=program.map_bytes,
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        """The C++ kernel: besides what `rtl` has, a schedule of the passes, and how long its loops are.

        Raises:
            BirealError: the kernel has no words of so many bits.
        """
        binding, program = self.rtl(fold, *inputs), self.program(fold)
        if fold.simd > 32 and fold.simd % 64:
            raise BirealError(f"engine: simd={fold.simd}: the C++ computes {', '.join(map(str, SIMD))} bits at a time")
        width = -(-word_width() // 64) * 64
        words = [word << width - word_width() for word in program.words]
        schedule = [sum(value << ENTRY * at for at, value in enumerate(row)) for row in kernel.schedule(program)]
        segments = binding.memories["SegmentFile"]
        parameters = {name: value for name, value in binding.parameters.items() if name != "Queue"}
        return replace(
            binding,
            module=self.kind,
            parameters=parameters | kernel.sizes(program),
            memories={
                "ProgramFile": Memory(width, words, entry=64),
                "SegmentFile": replace(segments, entry=segments.width),
                "ScheduleFile": Memory(3 * ENTRY, schedule, entry=ENTRY),
            },
            inner_width=width,
        )

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        channels, simd, real, width = p["Channels"], p["Simd"], p["Real"], p["AccWidth"]
        luts, registers = popcount_size(simd)
        word = channels * max(simd, 8 * real)
        sizes: Features = {
            "word": 2 * word,
            "popcount": channels * luts,
            "count": channels * registers,
            "sum": channels * width,
            "product": channels * real * 16,
        }
        sums = Ram(p["Pixels"], channels * width, "sums")
        bits = [Ram(p["BitsDepth"], channels, "operands") for _ in range(simd // channels)]
        numbers = [Ram(p["RealDepth"], 8 * LANES, "operands") for _ in range(real // LANES)]
        queues = [Ram(512, 65, "queue"), Ram(512, 65, "queue"), Ram(64, 65, "queue"), Ram(64, 65, "queue")]
        pooled = Ram(p["Pooled"], 32 * LANES, "sums")
        program = Rom(p["Passes"], word_width(), "program")
        waiting = [Ram(p["Queue"] - 1, channels * width + 1, "queue")] if p["Queue"] > 1 else []
        memories: list[Rom | Ram] = [sums, *waiting, *bits, *numbers, *queues, pooled, program]
        return Anatomy(sizes, memories, dsp=channels * real // 2 + LANES)

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Engine, tuple[TensorType, ...], Fold]]:
        for fold in (Fold(8, 32, 4), Fold(64, 64, 4), Fold(8, 256, 8)):
            engine = _example(draw, 2 * fold.simd)
            yield engine, (engine.graph.input,), fold


def _example(draw: Draw, channels: int) -> Engine:
    """A block of so many channels, a global pool and a classifier."""
    stream, eight, sums = DataType(16, frac=10), DataType(8, frac=4), DataType(24, frac=10)
    weights = (2 * draw(0, 1, channels, 3, 3, channels) - 1).astype(np.int8)
    merge = Merge(draw(-900, 900, channels), draw(-60_000, 60_000, channels), 8, stream)
    classes = RealConv(draw(-127, 127, 16, 1, 1, channels), draw(-900, 900, 16), np.zeros(16, np.int32), sums)
    nodes = (
        Node("sign", Sign(), (INPUT,)),
        Node("conv", BinaryConv(weights), ("sign",)),
        Node("merge", merge, (INPUT, "conv")),
        Node("pool", AvgPool((14, 14), 8, eight), ("merge",)),
        Node("classifier", classes, ("pool",)),
    )
    return Engine(Graph("example", TensorType.full(14, 14, channels, stream), nodes))


_PROGRAMS: dict[tuple[int, Fold], tuple[Engine, Program]] = {}


def _program(engine: Engine, fold: Fold) -> Program:
    """Return the program of an engine under a folding; the last ones are kept, as they are asked for often."""
    key = id(engine), fold
    if key not in _PROGRAMS:
        if len(_PROGRAMS) > 16:
            _PROGRAMS.clear()
        sizes = Sizes(fold.pe, fold.simd, fold.lanes, PIXELS, fold.queue)
        _PROGRAMS[key] = engine, Program(engine.graph, sizes)
    return _PROGRAMS[key][1]
