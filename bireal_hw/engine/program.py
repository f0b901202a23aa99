"""The engine's program: a network's tail as passes over maps, and the image of its weights.

A pass makes one value of the tail: products of a convolution, output group by output group, a word of weights for all
pixels of a band; behind them the affine, a sign and a pool of the result. A pass without products reads a map instead.
Values that a later pass reads lie in DRAM, group by group; bits and the 8-bit numbers in front of real-valued layers
lie in memories on the chip. rtl/pkg/br_engine_pkg.sv has the fields of a pass in the same order.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import bit, half, signed_width
from bireal_hw.ir.graph import Graph, Node
from bireal_hw.ir.op import divisors
from bireal_hw.ir.parts import Affine, Array, Compare, Part, Pool, Products
from bireal_hw.ir.types import TensorType

BEAT = 8
"""Bytes of a beat of every port."""
LANES = 4
"""Channels that the part behind the products takes at once: those of 16 bits in a beat."""
SWEEP = 8
"""Cycles that a word of weights is used for, at least: sums that are under way are not read."""
MAGIC = 0x31574552_49425242
"""First word of an image."""
HEADER = 64
"""Bytes of an image in front of the weights."""
PAGE = 4096
"""Maps begin at multiples of it."""
GAIN, BIAS, LIMIT = 16, 48, 32
"""Bits of constants."""
REFRESHES = 1 / 30
"""Share of the time in which a DDR3 memory refreshes itself (JESD79-3)."""
LATE = 100
"""Cycles by which the memory's answers hold up a group, at most: measured are 75 (Bi-Real-50)."""
OVERHEAD = 200
"""Cycles of a pass besides its work, at most, with a memory that answers within 60."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much the engine computes at once.

    Attributes:
        channels: output channels of a group; divides the channels of every map.
        simd: bits of the K axis; a multiple of channels.
        real: 8-bit numbers of the K axis, a multiple of LANES; 0 without real-valued layers.
        pixels: that a word of weights is used for, at most.
        queue: pixels whose sums wait, so that the next group's are made meanwhile; 0 for none.
    """

    channels: int
    simd: int
    real: int
    pixels: int
    queue: int = 0


@dataclass(slots=True)
class Pass:
    """One pass, as br_engine_pkg::pass_t; sizes in words of the memory concerned, addresses of maps in bytes."""

    last: int = 0
    binary: int = 0
    real: int = 0
    shortcut: int = 0
    shortcut_input: int = 0
    shortcut_wide: int = 0
    knee: int = 0
    store: int = 0
    store_pool: int = 0
    store_wide: int = 0
    sign: int = 0
    pool: int = 0
    pool_real: int = 0
    out: int = 0
    bands: int = 1
    groups: int = 1
    pixels: int = 1
    words: int = 1
    idle: int = 0
    kernel: int = 1
    chunks: int = 1
    columns: int = 1
    width: int = 1
    height: int = 1
    stride: int = 1
    pad_top: int = 0
    pad_left: int = 0
    band_rows: int = 0
    read_first: int = 0
    step_pixel: int = 0
    step_row: int = 0
    step_line: int = 0
    step_band: int = 0
    slices: int = 0
    offset: int = 0
    offset_last: int = 0
    limit: int = 0
    shift: int = 0
    low: int = 0
    high: int = 0
    bits_first: int = 0
    bits_chunks: int = 0
    real_first: int = 0
    real_chunks: int = 0
    pool_width: int = 1
    pool_height: int = 1
    pool_half: int = 0
    pool_shift: int = 0
    pool_low: int = 0
    pool_high: int = 0
    shortcut_first: int = 0
    shortcut_beats: int = 0
    shortcut_group: int = 0
    shortcut_band: int = 0
    store_first: int = 0
    store_beats: int = 0
    store_group: int = 0
    store_band: int = 0
    channels: int = 0


FLAG, SMALL, COUNT, WORD, ADDRESS, LONG = 1, 4, 12, 20, 32, 24
WIDTHS = {
    **dict.fromkeys((one.name for one in fields(Pass)[:14]), FLAG),
    **dict.fromkeys(("bands", "groups", "chunks", "columns", "width", "height", "band_rows"), COUNT),
    **dict.fromkeys(("bits_chunks", "real_chunks", "pool_width", "pool_height", "slices"), COUNT),
    **dict.fromkeys(("offset", "offset_last"), COUNT),
    **dict.fromkeys(("pixels", "words", "channels"), 16),
    **dict.fromkeys(("idle", "kernel", "stride", "pad_top", "pad_left"), SMALL),
    **dict.fromkeys(("read_first", "step_pixel", "step_row", "step_line", "step_band"), WORD),
    **dict.fromkeys(("bits_first", "real_first"), WORD),
    **dict.fromkeys(("shift", "pool_shift"), 6),
    **dict.fromkeys(("limit", "low", "high", "pool_low", "pool_high", "pool_half"), LIMIT),
    **dict.fromkeys(("shortcut_first", "shortcut_group", "shortcut_band"), ADDRESS),
    **dict.fromkeys(("store_first", "store_group", "store_band"), ADDRESS),
    **dict.fromkeys(("shortcut_beats", "store_beats"), LONG),
}
"""Bits of every field."""


@dataclass(frozen=True)
class Map:
    """A value in DRAM: group by group, in each pixel by pixel, channels ascending; 2 or 4 bytes a number.

    Attributes:
        type: of the tensor.
        address: of its first byte, from the base of the maps.
    """

    type: TensorType
    address: int

    @property
    def wide(self) -> bool:
        """Whether a number takes 4 bytes."""
        return self.type.dtype.width > 16

    @property
    def bytes(self) -> int:
        """Of the whole map."""
        return self.type.size * (4 if self.wide else 2)


@dataclass
class _Sinks:
    """What is made of a value besides the maps: nodes of signs and pools, and whether other passes read it."""

    signs: list[Node] = field(default_factory=list)
    pools: list[Node] = field(default_factory=list)
    stored: bool = False


class Program:
    """The passes of a tail, where its maps lie, and its weights.

    Attributes:
        graph: the tail; its input is the stream that the front gives, its `given` tensors are channels of it.
        sizes: of the engine.
        passes: in order.
        segments: (first byte in the image, beats) of the weights, in the order in which they are read.
        beats: of constants and weights of each pass, for one band.
        maps: values in DRAM by tensor; those given stand for two, of which frames take turns.
    """

    def __init__(self, graph: Graph, sizes: Sizes) -> None:
        self.graph, self.sizes = graph, sizes
        self.parts = parts(graph)
        self.passes: list[Pass] = []
        self.names: list[str] = []
        self.segments: list[tuple[int, int]] = []
        self.maps: dict[str, Map] = {}
        self._sinks = _sinks(graph, self.parts)
        self._places = {True: _Memory(), False: _Memory()}
        self.beats: list[int] = []
        self._reads: list[tuple[Products | None, Affine, Array | None, int]] = []
        self._position = HEADER
        self._end = 0
        _check_channels(graph, self.parts, sizes)
        self._make()
        self.sizes = replace(sizes, pixels=max(one.pixels for one in self.passes if one.binary or one.real))

    @property
    def bits_depth(self) -> int:
        """Words of the memory of bits."""
        return self._places[True].depth

    @property
    def real_depth(self) -> int:
        """Words of the memory of 8-bit numbers."""
        return self._places[False].depth

    @property
    def sum_width(self) -> int:
        """Bits of the widest sum, at any time."""
        widths = [2]
        for name, part in self.parts.items():
            if isinstance(part, Products):
                x = self.graph.inputs_of(self.graph.makers[name])[0]
                largest = int(np.abs(part.weights.astype(np.int64)).reshape(len(part.weights), -1).sum(1).max())
                largest *= max(-x.low, x.high)
                # A pixel's last word may lack channels, which agree until they are taken away: within one word.
                widths.append(signed_width(-largest, largest) + 1)
            elif isinstance(part, Affine) and part.limit is not None:
                widths.append(self.graph.inputs_of(self.graph.makers[name])[0].dtype.width + 1)
        return max(widths)

    @property
    def pooled(self) -> int:
        """Sums of windows that are under way, at most, of four channels each."""
        beats = self.sizes.channels // LANES
        return max([1, *(-(-one.columns // one.pool_width) * beats for one in self.passes if one.pool)])

    def cycles(self, bytes_per_cycle: float = math.inf) -> int:
        """Cycles of a frame at most.

        Args:
            bytes_per_cycle: that the memory gives and takes, all ports together, but for its refreshes; each port has a
                beat a cycle. Infinite for a memory that is always there.
        """
        rate = bytes_per_cycle if math.isinf(bytes_per_cycle) else bytes_per_cycle * (1 - REFRESHES)
        moved = self.graph.input.size * 2 / sum(map(self._bytes, range(len(self.passes))))  # by the front, meanwhile
        return sum(
            max(
                pass_cycles(one, self.sizes, self.beats[index], rate),
                # While the first group's products are made no map moves.
                math.ceil((1 + moved) * self._bytes(index) / rate) + one.words * (one.pixels + one.idle) + OVERHEAD,
            )
            for index, one in enumerate(self.passes)
        )

    def _bytes(self, index: int) -> int:
        """Bytes that a pass reads and writes."""
        one = self.passes[index]
        beats = (one.shortcut and one.shortcut_beats) + ((one.store or one.store_pool) and one.store_beats)
        return BEAT * one.bands * (self.beats[index] + one.groups * beats)

    @property
    def traffic(self) -> int:
        """Bytes read and written in a frame, the front's included."""
        return sum(map(self._bytes, range(len(self.passes)))) + self.graph.input.size * 2

    @property
    def input_bytes(self) -> int:
        """Bytes from one of the two maps of the input to the other."""
        return -(-self.graph.input.size * 2 // PAGE) * PAGE

    @property
    def map_bytes(self) -> int:
        """Bytes of all maps."""
        return self._end

    @cached_property
    def identity(self) -> int:
        """56 bits that the image and the hardware have in common."""
        text = hashlib.sha256(b"".join(self.blobs))
        text.update(repr((self.words, self.sizes)).encode())
        return int.from_bytes(text.digest()[:7], "little")

    @cached_property
    def words(self) -> list[int]:
        """The passes as words of a memory, the first field in the high bits."""
        return [_packed(one) for one in self.passes]

    @property
    def image(self) -> bytes:
        """The file of the weights: a header of eight words, magic, identity, bytes, zeros; then the weights."""
        body = b"".join(self.blobs)
        header = np.array([MAGIC, self.identity, HEADER + len(body), 0, 0, 0, 0, 0], "<u8")
        return header.tobytes() + body

    # ---- passes

    def _make(self) -> None:
        graph = self.graph
        first = 0
        for name, tensor in graph.given.items():  # groups of channels of one map
            self.maps[name] = Map(tensor, first)
            first += self.maps[name].bytes
        self._end = 2 * self.input_bytes
        for name in graph.given:
            self._load(name)
        for node in graph:
            part = self.parts[node.name]
            if isinstance(part, Products) and part.affine:
                self._compute(node, node, part, part.affine)
            elif isinstance(part, Affine) and part.sums is None:
                self._rescale(node, part)
            elif isinstance(part, Affine):
                assert part.sums is not None
                source = graph.makers[node.inputs[part.sums]]
                products = self.parts[source.name]
                assert isinstance(products, Products)
                self._compute(node, source, products, part)
        self.passes[-1].last = 1
        for place in self._places.values():
            place.allocate()

    def _compute(self, node: Node, source: Node, products: Products, affine: Affine) -> None:
        """Add the pass of a convolution and its affine."""
        graph, sizes = self.graph, self.sizes
        x, out = graph.inputs_of(source)[0], graph.types[node.name]
        one = Pass(binary=int(products.bits), real=int(not products.bits))
        sinks = self._sinks[node.name]
        sign, pool = self._take(sinks)
        if pool and self._pool(pool).kernel[0] * out.width > sizes.pixels:  # larger than a band: read again for it
            sinks.pools.insert(0, pool)
            sinks.stored, pool = True, None
        rows = _band(out, sizes.pixels, self._pool(pool).kernel if pool else (1, 1))
        one.bands, one.groups = out.height // rows, -(-out.channels // sizes.channels)
        one.pixels, one.columns = rows * out.width, out.width
        kernel, simd = products.weights.shape[1], sizes.simd if products.bits else sizes.real
        chunks = -(-x.channels // simd)
        one.kernel, one.chunks, one.words = kernel, chunks, kernel * kernel * chunks
        one.idle = max(0, SWEEP - one.pixels)
        one.width, one.height, one.stride = x.width, x.height, products.stride
        one.pad_top, one.pad_left = products.pads[:2]
        one.band_rows = rows * products.stride
        line = x.width * chunks
        self._places[products.bits].use(one, "read_first", source.inputs[0], len(self.passes))
        one.read_first = -one.pad_top * line - one.pad_left * chunks
        one.step_pixel = products.stride * chunks
        one.step_row = products.stride * line - (out.width - 1) * one.step_pixel
        one.step_line = line - kernel * chunks + 1
        one.step_band = one.band_rows * line
        rest = x.channels - (chunks - 1) * simd
        if products.bits:
            one.slices, one.offset, one.offset_last = rest // sizes.channels, -simd, rest - 2 * simd
        self._affine(one, affine)
        if affine.shortcut is not None:
            self._shortcut(one, node.inputs[affine.shortcut])
        if out.pixels == 1 and node is graph.nodes[-1]:
            one.out, one.channels = 1, out.channels
        self._finish(node.name, one, sign, pool)
        self._weights(one, products, affine, sign)
        self._load(node.name)
        self._load_pooled(pool)

    def _rescale(self, node: Node, affine: Affine) -> None:
        """Add the pass of an affine of a map."""
        out = self.graph.types[node.name]
        one = Pass(groups=out.channels // self.sizes.channels, pixels=out.pixels, columns=out.width)
        self._affine(one, affine)
        self._shortcut(one, node.inputs[0])
        if affine.limit is not None:
            one.knee, one.limit = 1, affine.limit
        sign, pool = self._take(self._sinks[node.name])
        self._finish(node.name, one, sign, pool)
        self._weights(one, None, affine, sign)
        self._load(node.name)
        self._load_pooled(pool)

    def _load(self, name: str) -> None:
        """Add the passes that read a map for the signs and pools that its own pass could not make."""
        sinks = self._sinks[name]
        while sinks.signs or sinks.pools:
            sign, pool = self._take(sinks, loading=True)
            x = self.graph.types[name]
            one = Pass(groups=x.channels // self.sizes.channels, pixels=x.pixels, columns=x.width)
            one.low, one.high = -(1 << LIMIT - 1), (1 << LIMIT - 1) - 1
            self._shortcut(one, name)
            zeros = np.zeros(x.channels, np.int64)
            self._finish(name, one, sign, pool, loading=True)
            self._weights(one, None, Affine(zeros, zeros, 0, 0, 0), sign)
            self._load_pooled(pool)

    def _load_pooled(self, pool: Node | None) -> None:
        """Add the passes that read a pool's map for the signs and pools of its own."""
        if pool and self._stored(pool.name):
            self._load(pool.name)

    def _take(self, sinks: _Sinks, loading: bool = False) -> tuple[Node | None, Node | None]:
        """Return a sign and a pool that a pass can make besides."""
        sign = sinks.signs.pop(0) if sinks.signs else None
        pool = None
        if sinks.pools and (loading or not sinks.stored or not self._stored(sinks.pools[0].name)):
            pool = sinks.pools.pop(0)
        return sign, pool

    def _stored(self, name: str) -> bool:
        return self._sinks[name].stored if name in self._sinks else False

    def _pool(self, node: Node) -> Pool:
        part = self.parts[node.name]
        assert isinstance(part, Pool)
        return part

    def _affine(self, one: Pass, affine: Affine) -> None:
        one.shift, one.low, one.high = affine.shift, affine.low, affine.high

    def _shortcut(self, one: Pass, name: str) -> None:
        source, size = self.maps[name], self.sizes.channels
        number = 4 if source.wide else 2
        one.shortcut, one.shortcut_wide = 1, int(source.wide)
        one.shortcut_input = int(name in self.graph.given)
        one.shortcut_first = source.address
        one.shortcut_beats = one.pixels * size * number // BEAT
        one.shortcut_group = source.type.pixels * size * number
        one.shortcut_band = one.pixels * size * number

    def _store(self, name: str, tensor: TensorType) -> Map:
        made = self.maps[name] = Map(tensor, self._end)
        self._end += -(-made.bytes // PAGE) * PAGE
        return made

    def _finish(self, name: str, one: Pass, sign: Node | None, pool: Node | None, loading: bool = False) -> None:
        """Say what becomes of the values of a pass, and add it."""
        sizes, types, index = self.sizes, self.graph.types, len(self.passes)
        bands = one.bands
        if self._sinks[name].stored and not loading:
            self._destination(one, self._store(name, types[name]), one.pixels)
            one.store = 1
        if sign:
            chunks = -(-types[name].channels // sizes.simd)
            one.sign, one.bits_chunks = 1, chunks
            self._places[True].make(one, "bits_first", sign.name, types[name].pixels * chunks, index)
        if pool:
            part, made = self._pool(pool), types[pool.name]
            one.pool, (one.pool_height, one.pool_width) = 1, part.kernel
            one.pool_half, one.pool_shift = half(part.shift), part.shift
            one.pool_low, one.pool_high = part.dtype.low, part.dtype.high
            if self._stored(pool.name):
                one.store_pool = 1
                self._destination(one, self._store(pool.name, made), made.pixels // bands)
            if any(isinstance(self.parts[reader.name], Products) for reader, _ in self.graph.consumers(pool.name)):
                if not sizes.real:
                    raise BirealError(f"{pool.name}: the engine has no multipliers (real=0) for an 8-bit convolution")
                one.pool_real, one.real_chunks = 1, -(-made.channels // sizes.real)
                self._places[False].make(one, "real_first", pool.name, made.pixels * one.real_chunks, index)
        self.passes.append(one)
        self.names.append(name)

    def _destination(self, one: Pass, made: Map, pixels: int) -> None:
        """Where a pass writes, so many pixels of a group and band at a time."""
        number, size = 4 if made.wide else 2, self.sizes.channels
        one.store_wide, one.store_first = int(made.wide), made.address
        one.store_beats = pixels * size * number // BEAT
        one.store_group = made.type.pixels * size * number
        one.store_band = pixels * size * number

    # ---- weights

    def _weights(self, one: Pass, products: Products | None, affine: Affine, sign: Node | None) -> None:
        """Note what a pass reads: for every group the constants of its channels, then its weights."""
        threshold = None
        if sign:
            part = self.parts[sign.name]
            assert isinstance(part, Compare)
            threshold = part.threshold
        _check(affine, threshold, self.names[-1])
        beats = one.groups * (2 * self.sizes.channels + one.words * self._word_beats(products))
        self._reads.append((products, affine, threshold, one.groups))
        self.beats.append(beats)
        for _ in range(one.bands):
            if one.bands == 1 and self.segments and sum(self._whole()) == self._position:
                first, before = self.segments[-1]
                if before + beats < 1 << LONG:
                    self.segments[-1] = first, before + beats
                    continue
            self.segments.append((self._position, beats))
        self._position += beats * BEAT

    def _word_beats(self, products: Products | None) -> int:
        """Beats of a word of weights."""
        if not products:
            return 0
        bits = self.sizes.simd if products.bits else 8 * self.sizes.real
        return self.sizes.channels * bits // (8 * BEAT)

    @cached_property
    def blobs(self) -> list[bytes]:
        """What each pass reads of the weights, for one band."""
        return [_blob(*one, self.sizes) for one in self._reads]

    def _whole(self) -> tuple[int, int]:
        first, beats = self.segments[-1]
        return first, beats * BEAT


@dataclass
class _Memory:
    """Words of a memory on the chip, given to tensors by when they are needed."""

    spans: dict[str, list[int]] = field(default_factory=dict)  # words, first pass, last pass
    fields: list[tuple[Pass, str, str]] = field(default_factory=list)
    depth: int = 1

    def make(self, one: Pass, name: str, tensor: str, words: int, index: int) -> None:
        """Note the pass that writes a tensor, and its field that gets the first word."""
        self.spans[tensor] = [words, index, index]
        self.fields.append((one, name, tensor))

    def use(self, one: Pass, name: str, tensor: str, index: int) -> None:
        """Note a pass that reads a tensor, and its field to which the first word is added."""
        self.spans[tensor][2] = index
        self.fields.append((one, name, tensor))

    def allocate(self) -> None:
        """Give every tensor the first place that is free while it is needed; enter it in the passes."""
        placed: list[tuple[int, int, int, int]] = []  # first word, end, first pass, last pass
        at = {}
        for tensor, (words, first, last) in self.spans.items():
            others = sorted(one for one in placed if one[2] <= last and first <= one[3])
            start = 0
            for low, end, _, _ in others:
                if start + words <= low:
                    break
                start = max(start, end)
            at[tensor] = start
            placed.append((start, start + words, first, last))
            self.depth = max(self.depth, start + words)
        for one, name, tensor in self.fields:
            setattr(one, name, getattr(one, name) + at[tensor])


def parts(graph: Graph) -> dict[str, Part]:
    """Return what each layer of a tail is to the engine.

    Raises:
        BirealError: the engine cannot compute a layer, or not where it stands; the text names it.
    """
    found: dict[str, Part] = {}
    for node in graph:
        part = node.op.engine(*graph.inputs_of(node))
        if part is None:
            raise BirealError(f"{node.name}: the engine has no {node.op.kind} {node.op.summary()}".rstrip())
        found[node.name] = part
    for node in graph:
        part, problem = found[node.name], ""
        sources = [found.get(name) for name in node.inputs]
        if isinstance(part, Products):
            wanted = Compare if part.bits else Pool
            if not isinstance(sources[0], wanted):
                problem = f"reads no {'sign' if part.bits else 'pool'}"
            elif not part.bits and graph.inputs_of(node)[0].dtype.width > 8:
                problem = f"reads {graph.inputs_of(node)[0].dtype}, not 8 bits"
        elif isinstance(part, Affine) and part.sums is None:
            problem = "" if _value(sources[0]) else "reads no value"
        elif isinstance(part, Affine):
            assert part.sums is not None
            sums = sources[part.sums]
            if not isinstance(sums, Products) or sums.affine or len(graph.consumers(node.inputs[part.sums])) > 1:
                problem = "reads no sums of a convolution of its own"
            elif part.shortcut is not None and not _value(sources[part.shortcut]):
                problem = "has a shortcut that is no value"
        elif not _value(sources[0]):
            problem = "reads no value"
        if problem:
            raise BirealError(f"{node.name}: the engine does not compute it here: it {problem}")
    for name, tensor in graph.given.items():
        if tensor.dtype.width > 16:
            raise BirealError(f"{name}: {tensor.dtype} is too wide for a map of the engine's input")
    for name in [*graph.given, *(node.name for node in graph.nodes[:-1])]:
        if _value(found.get(name)) and graph.types[name].channels % LANES:
            raise BirealError(f"{name}: {graph.types[name].channels} channels are no multiple of the engine's {LANES}")
    last = graph.nodes[-1]
    if graph.output.pixels > 1 or not _value(found[last.name]) or isinstance(found[last.name], Pool):
        raise BirealError(f"{last.name}: the engine ends in the affine of a single pixel, not in {graph.output}")
    return found


def _value(part: Part | None) -> bool:
    """Whether what a layer gives can be a map; None is the input."""
    return part is None or isinstance(part, Affine | Pool) or (isinstance(part, Products) and part.affine is not None)


def _sinks(graph: Graph, found: dict[str, Part]) -> dict[str, _Sinks]:
    """Return what becomes of every value."""
    sinks = {}
    for name in [*graph.given, *(node.name for node in graph)]:
        if not _value(found.get(name)):
            continue
        readers = [node for node, _ in graph.consumers(name)]
        signs = [node for node in readers if isinstance(found[node.name], Compare)]
        pools = [node for node in readers if isinstance(found[node.name], Pool)]
        stored = name in graph.given or any(isinstance(found[node.name], Affine) for node in readers)
        if isinstance(found.get(name), Pool):
            stored = stored or bool(signs or pools)
        else:  # what its own pass cannot make of it, another reads it for
            stored = stored or len(signs) > 1 or len(pools) > 1
        sinks[name] = _Sinks(signs, pools, stored)
    return sinks


def _band(out: TensorType, pixels: int, kernel: tuple[int, int]) -> int:
    """Rows of a band: as many as fit, in bands of one height that hold whole windows of a pool.

    Raises:
        BirealError: a row, or a row of windows, is wider than the engine's sums.
    """
    fitting = [rows for rows in divisors(out.height) if rows * out.width <= pixels and rows % kernel[0] == 0]
    if not fitting:
        raise BirealError(f"the engine's pixels={pixels} are too few for a row of windows of {out}")
    return fitting[-1]


def _check_channels(graph: Graph, found: dict[str, Part], sizes: Sizes) -> None:
    """Refuse what the sizes cannot hold."""
    if sizes.channels % LANES or sizes.simd % sizes.channels or sizes.real % LANES:
        raise BirealError(f"{sizes}: channels and real are multiples of {LANES}, simd one of channels")
    if sizes.channels * sizes.simd % 64 or sizes.channels * sizes.real % 8:
        raise BirealError(f"{sizes}: a word of weights is a multiple of 64 bits")
    for name, part in [*dict.fromkeys(graph.given).items(), *found.items()]:
        tensor = graph.types[name]
        if isinstance(part, Products) and not part.affine:
            continue
        if tensor.channels % sizes.channels and not (tensor.pixels == 1 and name == graph.nodes[-1].name):
            raise BirealError(f"{name}: {tensor.channels} channels are no multiple of the engine's {sizes.channels}")
        if tensor.dtype.width > 32:
            raise BirealError(f"{name}: {tensor.dtype} is too wide for a map of the engine")
        if isinstance(part, Products) and not part.bits and not sizes.real:
            raise BirealError(f"{name}: the engine has no multipliers (real=0) for an 8-bit convolution")


def _check(affine: Affine, threshold: Array | None, name: str) -> None:
    """Refuse constants that the engine has no bits for."""
    for what, values, bits in (
        ("gain", affine.gain, GAIN),
        ("bias", affine.bias, BIAS),
        ("threshold", threshold, LIMIT),
    ):
        width = 0 if values is None else signed_width(int(values.min()), int(values.max()))
        if width > bits:
            raise BirealError(f"{name}: a {what} needs {width} bits, the engine has {bits}")


def _blob(products: Products | None, affine: Affine, threshold: Array | None, groups: int, sizes: Sizes) -> bytes:
    """Return what a pass reads of the weights: of each group the constants, two words a channel, then its weights."""
    channels, size = len(affine.gain), sizes.channels
    constants = np.zeros((groups * size, 2), np.uint64)
    mask = np.uint64((1 << BIAS) - 1)
    gain = affine.gain.astype(np.int64).astype(np.uint64) << np.uint64(BIAS)
    constants[:channels, 0] = affine.bias.astype(np.int64).astype(np.uint64) & mask | gain
    if threshold is not None:
        constants[:channels, 1] = threshold.astype(np.int64).astype(np.uint64) & np.uint64((1 << LIMIT) - 1)
    if affine.slope is not None:
        constants[:channels, 1] |= affine.slope.astype(np.uint64) << np.uint64(LIMIT)
    rows = [constants.astype("<u8").view(np.uint8).reshape(groups, -1)]
    if products:
        rows.append(_weight_bytes(products, sizes, groups))
    return np.concatenate(rows, axis=1).tobytes()


def _weight_bytes(products: Products, sizes: Sizes, groups: int) -> NDArray[np.uint8]:
    """Lay out weights as words: lane p at p*simd elements, in the order (ky, kx, chunk): (groups, bytes)."""
    weights, size = products.weights, sizes.channels
    cout, kernel, _, cin = weights.shape
    simd = sizes.simd if products.bits else sizes.real
    chunks = -(-cin // simd)
    full = np.zeros((groups * size, kernel * kernel, chunks * simd), np.int16)
    full[:cout, :, :cin] = weights.reshape(cout, kernel * kernel, cin)
    if products.bits:
        full[:cout, :, :cin] = bit(full[:cout, :, :cin])
    words = full.reshape(groups, size, kernel * kernel * chunks, simd).transpose(0, 2, 1, 3)
    if products.bits:
        return np.packbits(words.astype(np.uint8).reshape(groups, -1), axis=1, bitorder="little")
    pairs = words.copy()  # as real_conv's with pack = 2: the upper of two lanes lends to the lower
    pairs[:, :, 1::2] -= words[:, :, ::2] < 0
    return np.ascontiguousarray(pairs.astype(np.int8)).view(np.uint8).reshape(groups, -1)


def _packed(one: Pass) -> int:
    """A pass as a word, its first field in the high bits."""
    word = 0
    for item in fields(Pass):
        value, width = getattr(one, item.name), WIDTHS[item.name]
        if not -(1 << width - 1) <= value < 1 << width:
            raise BirealError(f"the engine's field {item.name}={value} does not fit {width} bits")
        word = word << width | value & (1 << width) - 1
    return word


def word_width() -> int:
    """Bits of a pass."""
    return sum(WIDTHS[item.name] for item in fields(Pass))


def pass_cycles(one: Pass, sizes: Sizes, beats: int, rate: float = math.inf) -> int:
    """Cycles of a pass at most.

    Args:
        one: the pass.
        sizes: of the engine.
        beats: of weights and constants, of one band.
        rate: bytes that the memory gives and takes in a cycle, all ports together; a port has a beat a cycle.
    """
    busy, late = (1.0, 0) if math.isinf(rate) else (1 - REFRESHES, LATE)
    read = BEAT * (1 + one.shortcut_wide) * one.shortcut
    written = BEAT * (1 + one.store_wide) * one.store
    steps = max(1.0, max(read, written) / BEAT / busy, (read + written) / rate)  # cycles for four numbers
    finish = math.ceil(one.pixels * sizes.channels // LANES * steps)
    weights = math.ceil(beats / one.groups / busy)
    if one.binary or one.real:
        sweep, wait = one.pixels + one.idle, one.pixels - min(sizes.queue, one.pixels)
        last = max(sweep, -(-wait * finish // one.pixels))  # of the last word, whose sums leave
        group = max(weights, (one.words - 1) * sweep + last, finish)
    else:
        group = max(weights, finish)
    return one.bands * one.groups * (group + late) + OVERHEAD + finish
