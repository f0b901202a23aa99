"""How deep the FIFOs of a network have to be, from what every layer says about its own timing.

A schedule is laid out in which every stream is evenly paced: a pixel every T/n cycles, where T is the network's
interval and n the pixels of the tensor. Two numbers tell such a stream, the cycles of its first beat and of its first
pixel's last beat, and the schedule is a longest path through the graph. What waits in it for something else is what a
FIFO has to hold. A network in which each beat moves as soon as it can is never behind a schedule that its buffers allow
(docs/dataflow.md); so these depths reach the interval T.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.types import TensorType
from bireal_hw.passes.folding import Folding

HELD = 2
"""Beats that the register slice behind a layer holds."""
LEAST = 2
"""Depth below which a FIFO does not pass a beat every cycle."""


@dataclass(frozen=True)
class _Stream:
    """An evenly paced stream of the schedule, in cycles.

    Attributes:
        first: when the first beat passes.
        last: when the last beat of the first pixel passes.
        slack: how long the stream could be held without more memory; None for as long as one likes.
        holder: the layer that would hold it.
    """

    first: Fraction
    last: Fraction
    slack: Fraction | None = Fraction(0)
    holder: str = ""

    def later(self, first: Fraction | int, last: Fraction | int) -> _Stream:
        return replace(self, first=self.first + first, last=self.last + last)


@dataclass
class _Layer:
    """What is fixed of a layer once its place in the schedule is known."""

    start: _Stream  # what it takes
    needs: NDArray[np.int64]
    takes: NDArray[np.int64] | None  # last pixel that its buffer has room for, None without one
    fill: Fraction  # from what it needs to what it gives
    busy: Fraction  # cycles that a pixel takes of its own
    window: Fraction  # when its first window begins
    shift: Fraction = Fraction(0)  # how much later it may begin, so that others need not wait in a FIFO


class Buffers:
    """What has to wait in a network's schedule.

    Attributes:
        waiting: pixels that wait on an input of a layer for those on its other inputs, by (layer, input index).
        bursts: pixels that wait behind a layer that gives them in bursts, by layer.
    """

    def __init__(self, graph: Graph, folding: Folding | None = None, cycles: int = 1) -> None:
        """Lay out the schedule.

        Args:
            graph: the network.
            folding: a fold for every node; None for what has to wait however fast the layers are: they take no time
                beyond the frame's, and a pixel is handed over whole.
            cycles: the interval of the network; 1 without a folding.
        """
        self.graph, self.folding, self.cycles = graph, folding, cycles
        self.waiting: dict[tuple[str, int], Fraction] = {}
        self.bursts: dict[str, Fraction] = {}
        self._layers: dict[str, _Layer] = {}
        self._ports: dict[str, list[int]] = {}
        self._lanes = {INPUT: graph.input.channels}
        self._streams = {INPUT: _Stream(Fraction(0), self._even(graph.input, graph.input.channels))}
        self._bursting: list[Node] = []
        for node in graph:
            self._streams[node.name] = self._place(node)
        for node in self._bursting:
            self._burst(node)

    def waiting_beats(self, node: Node, index: int, lanes: int) -> int:
        """Beats of so many lanes that the FIFO in front of an input of a layer holds, 0 where there need be none."""
        if (node.name, index) not in self.waiting:
            return 0
        source = node.inputs[index]
        beats = self.waiting[node.name, index] * (self.graph.types[source].channels // lanes)
        if self.folding is None:
            return max(math.ceil(beats), LEAST)
        return max(math.floor(beats) + (not self._forked(source)), LEAST)  # a fork holds the last beat

    def burst_beats(self, node: Node, lanes: int) -> int:
        """Beats of so many lanes that the FIFO behind a layer holds, 0 where a register slice holds enough."""
        beats = math.ceil(self.bursts.get(node.name, Fraction(0)) * (self.graph.types[node.name].channels // lanes))
        return beats if beats > HELD else 0

    def _pace(self, tensor: TensorType) -> Fraction:
        """Cycles between two pixels."""
        return Fraction(self.cycles, tensor.pixels)

    def _even(self, tensor: TensorType, lanes: int) -> Fraction:
        """Cycles from the first to the last beat of a pixel."""
        pace = self._pace(tensor)
        return pace - pace / (tensor.channels // lanes) if self.folding else pace

    def _forked(self, tensor: str) -> bool:
        return len(self.graph.consumers(tensor)) > 1

    def _arrive(self, node: Node, index: int, buffered: bool) -> _Stream:
        """The stream on an input: behind the fork and the width converters."""
        source, lanes = node.inputs[index], self._ports[node.name][index]
        stream, given = self._streams[source], self._lanes[source]
        if self._forked(source):
            stream = replace(stream, slack=Fraction(0), holder="")
        if self.folding and given != lanes:
            tensor, common = self.graph.types[source], math.gcd(given, lanes)
            beats, pieces, joined = tensor.channels // given, given // common, lanes // common
            if pieces > 1:
                gap = (stream.last - stream.first) / (beats - 1) if beats > 1 else self._pace(tensor)
                # A buffer takes the pieces of a beat as soon as it can.
                stream = stream.later(1, pieces if buffered else 1 + gap - gap / pieces)
            if joined > 1:
                gap = (stream.last - stream.first) / max(beats * pieces - 1, 1)
                stream = stream.later(1 + (joined - 1) * gap, 1)
        return stream

    def _place(self, node: Node) -> _Stream:
        """Give a layer its place in the schedule; return its output."""
        types, x, out = self.graph.inputs_of(node), self.graph.inputs_of(node)[0], self.graph.types[node.name]
        needs, takes = node.op.needs(*types), node.op.takes(*types)
        buffered = takes is not None
        fill, busy = self._timing(node, int(needs[0]), buffered)
        # What it takes one behind another waits in front of it.
        ahead = int((takes - needs).max()) + 1 if takes is not None and len(types) > 1 else 0
        start = self._meet(node, [self._arrive(node, i, buffered) for i in range(len(types))], ahead)
        # How much later than the same share of the input a pixel can come. The end of the frame suffices for what lies
        # beyond it.
        share = np.arange(out.pixels) * x.pixels
        unit = Fraction(self.cycles, out.pixels * x.pixels)
        behind = np.minimum(needs, x.pixels - 1) * out.pixels - share
        lead = int(behind.max()) * unit
        window = (start.last if buffered else start.first) + lead
        self._layers[node.name] = _Layer(start, needs, takes, fill, busy, window)
        first = window + fill + (1 if self.folding and node.op.registered else 0)
        if takes is None:
            # The same beats in fewer pixels spread a pixel's over more of the frame.
            joined = out.pixels < x.pixels and out.size == x.size
            spread = self._even(out, self._lanes[node.name]) if joined else start.last - start.first
            output = replace(start, first=first, last=first + spread)
            if behind.max() == behind.min():
                return output
            self._bursting.append(node)
            return replace(output, slack=None, holder=node.name)
        last = first + self._even(out, self._lanes[node.name])
        if start.slack is None and start.holder == node.inputs[0] and self._layers[start.holder].takes is None:
            return _Stream(first, last, None, node.name)  # what it does not take waits in the FIFO of a burst
        # The pixel behind the last one that it takes in an output pixel's time must not come before that time ends.
        slack = start.first - window - busy + int(((takes + 1) * out.pixels - share).min()) * unit
        if slack < 0:  # its buffer is too small for an even stream
            self.waiting[node.name, 0] = -slack / self._pace(x)
        return _Stream(first, last, max(slack, Fraction(0)), node.name)

    def _timing(self, node: Node, first: int, buffered: bool) -> tuple[Fraction, Fraction]:
        """Note the lanes of a layer; return its cycles from what it needs to what it gives, and those of a pixel."""
        types, out = self.graph.inputs_of(node), self.graph.types[node.name]
        if self.folding is None:
            self._ports[node.name], self._lanes[node.name] = [x.channels for x in types], out.channels
            return Fraction(0), self._pace(out)
        fold = self.folding[node.name]
        inputs, output = node.op.rtl_ports(fold, *types)
        self._ports[node.name], self._lanes[node.name] = [port.lanes for port in inputs], output.lanes
        cost = node.op.cost(fold, *types)
        beats = types[0].channels // inputs[0].lanes
        before = min(first, types[0].pixels - 1) * beats + (beats - 1 if buffered else 0)
        return Fraction(max(cost.latency - before, 0)), Fraction(cost.cycles, out.pixels)

    def _meet(self, node: Node, arrivals: list[_Stream], ahead: int) -> _Stream:
        """Let the inputs of a layer wait for each other, and so many pixels of each for the layer."""
        if len(arrivals) == 1:
            return arrivals[0]
        start = max(one.first for one in arrivals)
        spread = max(one.last - one.first for one in arrivals)
        for index, one in enumerate(arrivals):
            wait = start - one.first
            held = wait if one.slack is None else min(wait, one.slack)
            if held:
                layer = self._layers[one.holder]
                layer.shift = max(layer.shift, held)
            if wait > held or ahead:
                self.waiting[node.name, index] = self._passed(node, index, one, wait - held, spread) + ahead
        return _Stream(start, start + spread)

    def _passed(self, node: Node, index: int, stream: _Stream, wait: Fraction, spread: Fraction) -> Fraction:
        """Pixels of a stream that wait at most, but for the last beat, if its first beat waits so long.

        From then on they leave as they come, a pixel's beats within `spread` cycles: where these are more than it takes
        to come, most wait when the next pixel has come.
        """
        tensor = self.graph.types[node.inputs[index]]
        pace = self._pace(tensor)
        beats = tensor.channels // self._ports[node.name][index] if self.folding else 1
        within, leaving = stream.last - stream.first, spread
        if self.folding:
            wait += 1
            within, leaving = (time * beats / (beats - 1) if beats > 1 else pace for time in (within, leaving))

        def passed(cycles: Fraction, time: Fraction) -> Fraction:
            whole = cycles // pace
            return whole + min((cycles - whole * pace) / time, Fraction(1))

        most = passed(wait, within)
        later = math.ceil((wait - within) / pace) * pace + within - wait
        return max(most, passed(wait + later, within) - passed(later, leaving)) if leaving > within else most

    def _burst(self, node: Node) -> None:
        """Find how many pixels wait behind a layer that gives them in bursts."""
        layer, x, out = self._layers[node.name], self.graph.inputs_of(node)[0], self.graph.types[node.name]
        pixels, spread = out.pixels, float(layer.start.last - layer.start.first)
        readers = self.graph.consumers(node.name)
        reader = self._layers[readers[0][0].name] if len(readers) == 1 else None
        held = max(layer.shift, reader.shift if reader else 0)
        frames = 2 + math.ceil(held / self.cycles)  # the last one, and what may still wait of those before
        pace, frame = float(self._pace(out)), np.arange((1 - frames) * pixels, pixels)
        came = float(layer.start.first + layer.fill) + layer.needs * float(self._pace(x))
        came = np.concatenate([came + shift * self.cycles for shift in range(1 - frames, 1)])
        took: NDArray[np.floating]
        if reader and reader.takes is not None:  # it takes what its buffer has room for, a beat a cycle
            leaves = max(spread, float(out.channels // self._ports[readers[0][0].name][0]) if self.folding else 0.0)
            count = len(reader.takes)
            takes = np.concatenate([reader.takes + shift * pixels for shift in range(-frames, 1)])
            window = np.searchsorted(takes, frame) - frames * count
            begin = float(reader.window + reader.shift)
            took = begin + (window - 1) * self.cycles / count + float(reader.busy)
        else:
            took = float(layer.window + layer.fill + layer.shift) + frame * pace
            leaves = float(self._even(out, self._lanes[node.name]))
        left = np.maximum(came, took)
        ends = np.stack([left, left + leaves], axis=1).reshape(-1)
        counts = np.stack([frame, frame + 1], axis=1).reshape(-1)
        inside = frame + 1 - np.interp(came + spread, np.maximum.accumulate(ends), counts)
        self.bursts[node.name] = Fraction(round(float(inside[-pixels:].max()) * 2**20), 2**20)
