"""Small integer networks with random constants: every layer type, no training, no torch."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.op import Array, Op, Pads
from bireal_hw.ir.types import PIXEL, DataType, TensorType
from bireal_hw.ops import (
    AvgPool,
    BinaryConv,
    Center,
    Concat,
    Duplicate,
    Flatten,
    LeakyClip,
    MaxPool,
    Merge,
    RealConv,
    Rescale,
    Sign,
    Sum,
    Upsample,
)


def tiny(
    height: int = 8, width: int = 8, channels: int = 1, base: int = 4, max_pool: bool = False, seed: int = 0
) -> Graph:
    """Stem, an identity block, a downsample block, global pool, classifier with 5 classes."""
    rng = np.random.default_rng(seed)

    def numbers(limit: int, *shape: int) -> Array:
        return rng.integers(-limit, limit + 1, shape).astype(np.int32)

    def bits(cout: int, cin: int) -> Array:
        return rng.choice(np.array([-1, 1], np.int8), (cout, 3, 3, cin))

    stream = DataType(12, frac=6)
    kernel = 7 if max_pool else 3
    stem = RealConv(
        numbers(127, base, kernel, kernel, channels),
        numbers(3000, base),
        rng.integers(3, 6, base).astype(np.int32),
        stream,
        stride=2 if max_pool else 1,
        pads=(kernel // 2,) * 4,
    )
    nodes = [Node("center", Center(np.full(channels, 128, np.int32)), (INPUT,)), Node("stem", stem, ("center",))]
    out_height, out_width = height, width
    if max_pool:
        nodes.append(Node("pool", MaxPool(), ("stem",)))
        out_height, out_width = height // 4, width // 4
    shortcut = nodes[-1].name
    nodes += [
        Node("sign1", Sign(), (shortcut,)),
        Node("conv1", BinaryConv(bits(base, base)), ("sign1",)),
        Node("merge1", Merge(numbers(200, base), numbers(2000, base), 4, stream), (shortcut, "conv1")),
        Node("sign2", Sign(), ("merge1",)),
        Node("conv2", BinaryConv(bits(2 * base, base), stride=2), ("sign2",)),
        Node("down", AvgPool((2, 2), 4, DataType(8, frac=4)), ("merge1",)),
        Node(
            "down_conv",
            RealConv(
                numbers(127, 2 * base, 1, 1, base),
                numbers(500, 2 * base),
                rng.integers(-1, 5, 2 * base).astype(np.int32),
                DataType(20, frac=6),
            ),
            ("down",),
        ),
        Node("merge2", Merge(numbers(200, 2 * base), numbers(2000, 2 * base), 5, stream), ("down_conv", "conv2")),
        Node("global_pool", AvgPool((out_height // 2, out_width // 2), 5, DataType(8, frac=1)), ("merge2",)),
        Node(
            "classifier",
            RealConv(numbers(127, 5, 1, 1, 2 * base), numbers(900, 5), np.zeros(5, np.int32), DataType(20, frac=8)),
            ("global_pool",),
        ),
    ]
    return verify(
        Graph("tiny", TensorType.full(height, width, channels, PIXEL), tuple(nodes), {"classes": list("abcde")})
    )


def two_streams(height: int = 8, width: int = 8, seed: int = 0) -> Graph:
    """What `tiny` lacks: two streams through two groups of a bottleneck network, thresholds, a PReLU, a shortcut around
    two convolutions, one whose channels are there twice; 3 channels, 5 classes.
    """
    rng = np.random.default_rng(seed)
    stream, eight = DataType(12, frac=6), DataType(8, frac=2)
    nodes: list[Node] = []

    def numbers(limit: int, *shape: int) -> Array:
        return rng.integers(-limit, limit + 1, shape).astype(np.int32)

    def add(name: str, op: Op, *inputs: str) -> str:
        nodes.append(Node(name, op, inputs))
        return name

    def real(name: str, x: str, cin: int, cout: int, width: int = 20) -> str:
        shift = rng.integers(1, 5, cout).astype(np.int32)
        weights = numbers(60, cout, 1, 1, cin)
        return add(name, RealConv(weights, numbers(500, cout), shift, DataType(width, frac=6)), x)

    def dot(name: str, x: str, cin: int, cout: int, kernel: int, stride: int = 1, thresholds: bool = False) -> str:
        sign = add(f"{name}_sign", Sign(numbers(300, cin) if thresholds else None), x)
        bits = rng.choice(np.array([-1, 1], np.int8), (cout, kernel, kernel, cin))
        return add(name, BinaryConv(bits, stride, (kernel // 2,) * 4), sign)

    def merge(name: str, r: str, x: str, channels: int, prelu: bool = False) -> str:
        slope = rng.integers(0, 8, channels).astype(np.int32) if prelu else None
        return add(name, Merge(numbers(400, channels), numbers(2000, channels), 4, stream, slope), r, x)

    add("center", Center(np.full(3, 128, np.int32)), INPUT)
    stem = RealConv(numbers(127, 4, 3, 3, 3), numbers(3000, 4), np.full(4, 5, np.int32), stream, pads=(1,) * 4)
    main = add("stem", stem, "center")
    # The first group: a real convolution of the leaky clip begins the narrow stream.
    clip = add("clip", LeakyClip(64, 205, 11), main)
    mid = real("begin", add("clip_round", AvgPool((1, 1), 3, DataType(8, frac=3)), clip), 4, 4, 12)
    mid = merge("merge1", mid, dot("conv1", mid, 4, 4, 3), 4)
    carried = real("carry2", add("round2", AvgPool((1, 1), 4, eight), main), 4, 8)
    main = merge("merge2", carried, dot("conv2", mid, 4, 8, 1), 8)
    # The second group halves the image.
    carried = real("carry3", add("round3", AvgPool((1, 1), 4, eight), mid), 4, 6)
    mid = merge("merge3", carried, dot("conv3", main, 8, 6, 1, thresholds=True), 6, prelu=True)
    pooled = add("pool4", AvgPool((2, 2), 2, stream), mid)
    mid = merge("merge4", pooled, dot("conv4", mid, 6, 6, 3, 2), 6)
    carried = real("carry5", add("round5", AvgPool((2, 2), 6, eight), main), 8, 8)
    main = merge("merge5", carried, dot("conv5", mid, 6, 8, 1), 8, prelu=True)
    # A third one of the same channels, and a shortcut around two convolutions.
    mid = merge("merge6", mid, dot("conv6", main, 8, 6, 1), 6)
    mid = merge("merge7", mid, dot("conv7", mid, 6, 6, 3), 6)
    main = merge("merge8", main, dot("conv8", mid, 6, 8, 1), 8)
    inner = Rescale(numbers(400, 8), numbers(2000, 8), 4, stream)
    inside = add("affine9", inner, dot("conv9", main, 8, 8, 3))
    main = merge("merge10", main, dot("conv10", inside, 8, 8, 3, thresholds=True), 8)
    # A convolution that doubles the channels, past a shortcut that is there twice.
    twice = add("twice11", Duplicate(2), main)
    main = merge("merge11", twice, dot("conv11", main, 8, 16, 1, thresholds=True), 16, prelu=True)
    pool = add("global_pool", AvgPool((height // 2, width // 2), 6, DataType(8, frac=0)), main)
    logits = RealConv(numbers(127, 5, 1, 1, 16), numbers(900, 5), np.zeros(5, np.int32), DataType(20, frac=8))
    add("classifier", logits, pool)
    return verify(
        Graph("two_streams", TensorType.full(height, width, 3, PIXEL), tuple(nodes), {"classes": list("abcde")})
    )


def crossing(height: int = 8, width: int = 8, end: str = "narrow", seed: int = 0) -> Graph:
    """Two streams, `merge1` of 8 channels and 12 bits and `merge2` of 16 and 10 on another grid; 3 channels.

    Args:
        height, width: even.
        end: what follows: blocks that read the stream of this name first, `narrow` or `wide`, then half the size, pool
            and classifier with 5 classes; or `concat`, both streams as one in front of pool and classifier.
        seed: of all constants.
    """
    rng = np.random.default_rng(seed)
    narrow, wide, eight = DataType(12, frac=6), DataType(10, frac=5), DataType(8, frac=2)
    nodes: list[Node] = []

    def numbers(limit: int, *shape: int) -> Array:
        return rng.integers(-limit, limit + 1, shape).astype(np.int32)

    def add(name: str, op: Op, *inputs: str) -> str:
        nodes.append(Node(name, op, inputs))
        return name

    def real(name: str, x: str, cin: int, cout: int, kernel: tuple[int, int]) -> str:
        pool = add(f"round{name}", AvgPool(kernel, 4 + kernel[0] // 2, eight), x)
        shift = rng.integers(1, 5, cout).astype(np.int32)
        conv = RealConv(numbers(60, cout, 1, 1, cin), numbers(500, cout), shift, DataType(20, frac=wide.frac))
        return add(f"carry{name}", conv, pool)

    def dot(name: str, x: str, cin: int, cout: int, kernel: int, stride: int = 1) -> str:
        bits = rng.choice(np.array([-1, 1], np.int8), (cout, kernel, kernel, cin))
        return add(f"conv{name}", BinaryConv(bits, stride, (kernel // 2,) * 4), add(f"sign{name}", Sign(), x))

    def merge(name: str, r: str, x: str, dtype: DataType, channels: int) -> str:
        return add(f"merge{name}", Merge(numbers(400, channels), numbers(2000, channels), 4, dtype), r, x)

    add("center", Center(np.full(3, 128, np.int32)), INPUT)
    stem = RealConv(numbers(127, 8, 3, 3, 3), numbers(3000, 8), np.full(8, 5, np.int32), narrow, pads=(1,) * 4)
    add("stem", stem, "center")
    merge("1", "stem", dot("1", "stem", 8, 8, 3), narrow, 8)
    real("2", "stem", 8, 16, (1, 1))
    dot("2", "merge1", 8, 16, 1)
    if end == "narrow":  # the first layer of what follows stands in front of the merge
        add("sign3", Sign(), "merge1")
    merge("2", "carry2", "conv2", wide, 16)
    if end == "concat":
        main, channels, window = add("concat", Concat(), "merge1", "merge2"), 24, (height, width)
    else:
        if end == "narrow":
            bits = rng.choice(np.array([-1, 1], np.int8), (8, 3, 3, 8))
            inner = merge("3", "merge1", add("conv3", BinaryConv(bits), "sign3"), narrow, 8)
            inner = merge("4", inner, dot("4", "merge2", 16, 8, 1), narrow, 8)
        else:
            inner = merge("4", "merge1", dot("4", "merge2", 16, 8, 1), narrow, 8)
        main = merge("5", real("5", "merge2", 16, 16, (2, 2)), dot("5", inner, 8, 16, 3, 2), wide, 16)
        channels, window = 16, (height // 2, width // 2)
    pool = add("global_pool", AvgPool(window, 6, DataType(8, frac=0)), main)
    logits = RealConv(numbers(127, 5, 1, 1, channels), numbers(900, 5), np.zeros(5, np.int32), DataType(20, frac=8))
    add("classifier", logits, pool)
    image = TensorType.full(height, width, 3, PIXEL)
    return verify(Graph("crossing", image, tuple(nodes), {"classes": list("abcde")}))


def dense(height: int = 8, width: int = 8, seed: int = 0) -> Graph:
    """A map: two Bi-Real blocks, the second of half the size, upsampling, sums of streams; 3 channels in, 2 out."""
    rng = np.random.default_rng(seed)
    stream, eight = DataType(12, frac=6), DataType(8, frac=3)
    nodes: list[Node] = []

    def numbers(limit: int, *shape: int) -> Array:
        return rng.integers(-limit, limit + 1, shape).astype(np.int32)

    def add(name: str, op: Op, *inputs: str) -> str:
        nodes.append(Node(name, op, inputs))
        return name

    def dot(name: str, x: str, cin: int, cout: int, stride: int = 1) -> str:
        bits = rng.choice(np.array([-1, 1], np.int8), (cout, 3, 3, cin))
        return add(name, BinaryConv(bits, stride), add(f"{name}_sign", Sign(), x))

    def real(name: str, x: str, cin: int, cout: int, dtype: DataType) -> str:
        shift = rng.integers(2, 5, cout).astype(np.int32)
        rounded = add(f"{name}_round", AvgPool((1, 1), 3, eight), x)
        return add(name, RealConv(numbers(90, cout, 1, 1, cin), numbers(500, cout), shift, dtype), rounded)

    add("center", Center(np.full(3, 128, np.int32)), INPUT)
    top = add(
        "stem",
        RealConv(numbers(127, 4, 3, 3, 3), numbers(3000, 4), np.full(4, 5, np.int32), stream, pads=(1,) * 4),
        "center",
    )
    top = add("merge1", Merge(numbers(400, 4), numbers(2000, 4), 4, stream), top, dot("conv1", top, 4, 4))
    pooled = add("pool2", AvgPool((2, 2), 2, stream), top)
    low = add("merge2", Merge(numbers(400, 4), numbers(2000, 4), 4, stream), pooled, dot("conv2", top, 4, 4, 2))
    back = add("upsample", Upsample(2), low)
    joined = add("sum", Sum(stream), top, back)
    inner = add("affine3", Rescale(numbers(400, 4), numbers(2000, 4), 4, stream), dot("conv3", joined, 4, 4))
    joined = add("sum_inner", Sum(stream), inner, joined)
    real("head", joined, 4, 2, DataType(16, frac=6))
    return verify(Graph("dense", TensorType.full(height, width, 3, PIXEL), tuple(nodes), {}))


def deep(blocks: int, channels: int = 4, seed: int = 0) -> Graph:
    """Stem, so many identity blocks, global pool, classifier with 5 classes; 4x4 pixels of 1 channel."""
    rng = np.random.default_rng(seed)
    stream = DataType(12, frac=6)

    def numbers(limit: int, *shape: int) -> Array:
        return rng.integers(-limit, limit + 1, shape).astype(np.int32)

    stem = RealConv(
        numbers(127, channels, 3, 3, 1), numbers(3000, channels), np.full(channels, 4, np.int32), stream, 1, (1,) * 4
    )
    nodes = [Node("center", Center(np.full(1, 128, np.int32)), (INPUT,)), Node("merge0", stem, ("center",))]
    for block in range(1, blocks + 1):
        bits = rng.choice(np.array([-1, 1], np.int8), (channels, 3, 3, channels))
        merge = Merge(numbers(200, channels), numbers(2000, channels), 4, stream)
        nodes += [
            Node(f"sign{block}", Sign(), (f"merge{block - 1}",)),
            Node(f"conv{block}", BinaryConv(bits), (f"sign{block}",)),
            Node(f"merge{block}", merge, (f"merge{block - 1}", f"conv{block}")),
        ]
    logits = RealConv(numbers(127, 5, 1, 1, channels), numbers(900, 5), np.zeros(5, np.int32), DataType(20, frac=8))
    nodes += [
        Node("global_pool", AvgPool((4, 4), 5, DataType(8, frac=1)), (f"merge{blocks}",)),
        Node("classifier", logits, ("global_pool",)),
    ]
    return verify(Graph("deep", TensorType.full(4, 4, 1, PIXEL), tuple(nodes), {"classes": list("abcde")}))


def flat(pool: bool, seed: int = 0) -> Graph:
    """A shortcut past a dense layer, both behind a flatten, of 8x8 pixels or of a pool's 4x4; 2 channels, 5 logits."""
    rng = np.random.default_rng(seed)
    stream, size = DataType(12, frac=3), 2 * (16 if pool else 64)

    def numbers(limit: int, *shape: int) -> Array:
        return rng.integers(-limit, limit + 1, shape)

    square = RealConv(numbers(90, size, 1, 1, size), numbers(500, size), np.full(size, 3), DataType(16, frac=3))
    nodes = [Node("center", Center(np.full(2, 128)), (INPUT,))]
    if pool:
        nodes.append(Node("pool", MaxPool.tiled(2, 2), ("center",)))
    nodes += [
        Node("flat", Flatten(), (nodes[-1].name,)),
        Node("dense", square, ("flat",)),
        Node("left", Rescale(numbers(900, size), numbers(500, size), 6, stream), ("flat",)),
        Node("right", Rescale(numbers(900, size), numbers(500, size), 9, stream), ("dense",)),
        Node("sum", Sum(stream), ("left", "right")),
        Node("logits", RealConv(numbers(90, 5, 1, 1, size), numbers(500, 5), np.zeros(5, int), DataType(31)), ("sum",)),
    ]
    return verify(Graph("flat", TensorType.full(8, 8, 2, PIXEL), tuple(nodes), {"classes": list("abcde")}))


class _Mixed:
    """Puts layers of every kind behind each other at random, as networks of other people have them.

    Some images go along, whose values the constants are chosen by: else few outputs would depend on the image.
    """

    def __init__(self, height: int, width: int, channels: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.types = {INPUT: TensorType.full(height, width, channels, PIXEL)}
        self.values: dict[str, Array] = {INPUT: self.numbers(0, 255, 4, height, width, channels)}
        self.nodes: list[Node] = []

    def numbers(self, low: int, high: int, *shape: int) -> Array:
        return self.rng.integers(low, high + 1, shape)

    def one_of(self, *values: int) -> int:
        return int(self.rng.choice(values))

    def add(self, op: Op, *inputs: str) -> str:
        name = f"{op.kind}{len(self.nodes)}"
        self.types[name] = op.infer(*(self.types[source] for source in inputs))
        self.values[name] = op.golden(*(self.values[source] for source in inputs))
        self.nodes.append(Node(name, op, inputs))
        return name

    def pads(self, x: TensorType, kernel: int) -> Pads:
        """Any that a kernel can have, more where the image is smaller than it."""
        top, left = self.numbers(0, (kernel - 1) // 2, 2).tolist()
        bottom, right = (
            int(self.rng.integers(max(0, kernel - size - before), kernel - before))
            for size, before in ((x.height, top), (x.width, left))
        )
        return top, left, bottom, right

    def kernel(self, x: TensorType) -> int:
        return self.one_of(1, 2, 3, 5) if min(x.height, x.width) > 2 else self.one_of(1, 3)

    def rescale(
        self, source: str, dtype: DataType, pieces: int = 1, low: int | None = None, high: int | None = None
    ) -> str:
        """Map most of the values to the format, some beyond; each channel rises or falls around a value of its own."""
        shift, middle = 8, self.some(source)
        spread = np.maximum(self.values[source].reshape(-1, len(middle)).std(axis=0), 0.5)

        def affine() -> tuple[Array, Array]:
            steep = self.rng.uniform(0.3, 1, len(middle)) * self.rng.choice([-1, 1], len(middle))
            gain = np.clip(steep * 2.0 ** (dtype.width - 2 + shift) / spread, 1 - (1 << 15), (1 << 15) - 1).astype(int)
            return gain, (1 << shift - 1) - gain * middle

        (gain, bias), (gain_below, bias_below) = affine(), affine()
        op = Rescale(gain, bias, shift, dtype, None, None, None, low, high)
        if pieces == 2:
            op = replace(op, knee=self.some(source), gain_below=gain_below, bias_below=bias_below)
        return self.add(op, source)

    def some(self, source: str) -> Array:
        """A value that each channel of a tensor has."""
        values = self.values[source].reshape(-1, self.types[source].channels)
        return self.rng.permuted(values, axis=0)[0].astype(np.int64)

    def real(self, source: str, cout: int, kernel: int = 1, stride: int = 1) -> str:
        x = self.types[source]
        weights, pads = self.numbers(-127, 127, cout, kernel, kernel, x.channels), self.pads(x, kernel)
        shift = self.numbers(x.dtype.width - 6, x.dtype.width - 3, cout)
        bias = self.numbers(-500, 500, cout)
        return self.add(RealConv(weights, bias, shift, DataType(16, frac=6), stride, pads), source)

    def bits(self, source: str) -> str:
        """Sign of numbers, mostly with thresholds."""
        theta = self.some(source) if self.one_of(0, 1, 1) else None
        return source if self.types[source].dtype.bipolar else self.add(Sign(theta), source)

    def binary(self, source: str, cout: int, kernel: int = 1, stride: int = 1) -> str:
        x = self.types[source]
        weights = self.rng.choice(np.array([-1, 1], np.int8), (cout, kernel, kernel, x.channels))
        return self.add(BinaryConv(weights, stride, self.pads(x, kernel)), source)

    def pool(self, source: str) -> str:
        x = self.types[source]
        size = tuple(self.numbers(1, 2, 2).tolist())
        tiled = MaxPool.tiled(*size)
        return self.add(tiled if min(x.height, x.width) > 1 and self.one_of(0, 1) else MaxPool(), source)

    def block(self, source: str) -> str:
        """One of the layers, or a few that belong together."""
        x, cout = self.types[source], self.one_of(4, 6, 8)
        small = DataType(self.one_of(4, 8, 12), frac=3)
        match self.one_of(0, 1, 2, 3, 4, 5) if not x.dtype.bipolar else self.one_of(1, 4):
            case 0:
                return self.rescale(source, small, self.one_of(1, 2))
            case 1:
                return self.pool(source)
            case 2:
                return self.real(source, cout, self.kernel(x), self.one_of(1, 2))
            case 3:
                return self.rescale(source, small, self.one_of(1, 2), low=0, high=(1 << small.width - 1) - 2)
            case 4:
                dot = self.binary(self.bits(source), cout, self.kernel(x), self.one_of(1, 1, 2))
                return self.bits(dot) if self.one_of(0, 1) else self.rescale(dot, DataType(12, frac=3))
            case _:  # two branches that meet
                weights = self.rng.choice(np.array([-1, 1], np.int8), (x.channels, 3, 3, x.channels))
                dot = self.add(BinaryConv(weights), self.bits(source))
                stream = DataType(12, frac=3)
                return self.add(Sum(stream), self.rescale(source, stream, 2), self.rescale(dot, stream))

    def build(self, blocks: int) -> Graph:
        x = self.add(Center(np.full(self.types[INPUT].channels, 128)), INPUT)
        x = self.real(x, 4, self.one_of(2, 3, 5), self.one_of(1, 2))
        for _ in range(blocks):
            x = self.block(x)
        if self.one_of(0, 1):  # dense layers on bits, as multi-layer perceptrons have them
            x = self.bits(self.binary(self.add(Flatten(), self.bits(x)), 8))
            x = self.rescale(self.binary(x, 5), DataType(16, frac=6))
        else:
            image = self.types[x]
            if image.dtype.bipolar:
                x = self.rescale(self.binary(x, 6), DataType(8, frac=3))
            whole = (image.height, image.width)
            x = self.add(MaxPool.tiled(*whole) if self.one_of(0, 1) else Flatten(), x)
            weights = self.numbers(-127, 127, 5, 1, 1, self.types[x].channels)
            zeros = np.zeros(5, np.int32)
            x = self.add(RealConv(weights, self.numbers(-900, 900, 5), zeros, DataType(31, frac=8)), x)
        classes = {"classes": list("abcde")}
        return verify(Graph("mixed", self.types[INPUT], tuple(self.nodes), classes))


def mixed(height: int = 8, width: int = 8, channels: int = 3, blocks: int = 5, seed: int = 0) -> Graph:
    """Draw a network of layers of all kinds behind each other, some in two branches; 5 classes.

    The first one drawn that tells its images apart.
    """
    for attempt in itertools.count():
        drawn = _Mixed(height, width, channels, 1000 * seed + attempt)
        graph = drawn.build(blocks)
        outputs = drawn.values[graph.nodes[-1].name].reshape(len(drawn.values[INPUT]), -1)
        if len(np.unique(outputs, axis=0)) == len(outputs):
            return graph
    raise AssertionError


def random_images(graph: Graph, count: int, seed: int = 0) -> Array:
    """(count, H, W, C) uint8 images for a graph."""
    return np.random.default_rng(seed).integers(0, 256, (count, *graph.input.shape)).astype(np.uint8)
