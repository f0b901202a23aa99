"""The networks, each a list of blocks from which training, export and reports derive everything (no torch here).

A block reads a real-valued stream, convolves its signs, and adds a shortcut to the normalised sums:
`stream' = f(shortcut + BN(conv(sign(stream))))`. What differs between networks is which stream is read, which one is
added and where the result goes. Source: Bi-Real Net (ECCV 2018; IJCV 2020) and the authors' PyTorch release; ReActNet
(arXiv:2003.03488).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

MAIN = "main"
"""The stream that every network has; the classifier reads it."""
MID = "mid"
"""The narrow stream of a bottleneck network, beside the main one."""
INNER = "inner"
"""Between the two convolutions that share a shortcut."""

EXPANSION = 4
"""Channels of a bottleneck's main stream over those of its narrow one."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What is added to the sums of a block: a stream, pooled by `pool` x `pool` where its size must shrink.

    With `cin`, a real 1x1 convolution takes its `cin` channels to those of the block, and BatchNorm follows if `norm`.
    With `copies`, its channels stand so many times behind each other.
    """

    reads: str = MAIN
    pool: int = 1
    cin: int | None = None
    norm: bool = True
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Unit:
    """Describe a block.

    cin, cout     channels it reads and gives
    kernel        side of its convolution; padded by half of it
    stride        of its convolution
    reads, gives  streams
    shortcut      None: the sums alone go on
    input         what stands in front of the convolution: `sign` and `rsign` (sign with a threshold per channel)
                  make it a 1-bit one, `leaky_clip` a real one
    output        what becomes of the sum: `rprelu` is a PReLU per channel between two shifts
    """

    cin: int
    cout: int
    kernel: int = 3
    stride: int = 1
    reads: str = MAIN
    gives: str = MAIN
    shortcut: Shortcut | None = None
    input: Literal["sign", "rsign", "leaky_clip"] = "sign"
    output: Literal["sum", "rprelu"] = "sum"

    @property
    def binary(self) -> bool:
        """Tell whether the convolution is a 1-bit one."""
        return self.input != "leaky_clip"

    @property
    def shifts(self) -> int:
        """Count the trainable numbers of RSign and RPReLU: a threshold; two shifts and a slope."""
        return self.cin * (self.input == "rsign") + 3 * self.cout * (self.output == "rprelu")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a group of blocks stands: number `index` of its stage, behind `before` channels, with `channels` itself.

    `large` says that the image has the stem of large images.
    """

    stage: int
    index: int
    before: int
    channels: int
    large: bool = False

    @property
    def stride(self) -> int:
        """The first group of every stage but the first halves the image."""
        return 2 if self.stage > 0 and self.index == 0 else 1

    def shortcut(self) -> Shortcut:
        """The main stream, through a pool and a real convolution where size and channels change."""
        changes = self.before != self.channels
        return Shortcut(MAIN, self.stride, self.before) if changes else Shortcut()


def bireal(at: Place) -> Iterator[Unit]:
    """One shortcut per convolution."""
    yield Unit(at.before, at.channels, stride=at.stride, shortcut=at.shortcut())


def xnor(at: Place) -> Iterator[Unit]:
    """One shortcut per two convolutions, as in a residual network and in XNOR-Net."""
    yield Unit(at.before, at.channels, stride=at.stride, gives=INNER)
    yield Unit(at.channels, at.channels, reads=INNER, shortcut=at.shortcut())


def plain(at: Place) -> Iterator[Unit]:
    """No shortcut."""
    yield Unit(at.before, at.channels, stride=at.stride)


def react(at: Place) -> Iterator[Unit]:
    """One shortcut per convolution, RSign in front and RPReLU behind."""
    yield Unit(at.before, at.channels, stride=at.stride, shortcut=at.shortcut(), input="rsign", output="rprelu")


def bottleneck(at: Place) -> Iterator[Unit]:
    """1x1, 3x3, 1x1 on two streams: the narrow one passes the first two, the main one the third.

    Both streams start as the stem's output, which the network's very first convolution reads real-valued.
    """
    narrow, wide, enters = at.channels, EXPANSION * at.before, at.index == 0
    if enters and at.stage == 0:
        wide = narrow
        yield Unit(narrow, narrow, kernel=1, gives=MID, input="leaky_clip")
    else:
        carried = Shortcut(MID, cin=at.before, norm=False) if enters else Shortcut(MID)
        yield Unit(wide, narrow, kernel=1, gives=MID, shortcut=carried)
    yield Unit(narrow, narrow, stride=at.stride, reads=MID, gives=MID, shortcut=Shortcut(MID, at.stride))
    carried = Shortcut(MAIN, at.stride, wide) if enters else Shortcut(MAIN)
    yield Unit(narrow, EXPANSION * narrow, kernel=1, reads=MID, shortcut=carried)


def separable(at: Place) -> Iterator[Unit]:
    """3x3, then 1x1, each with a shortcut: MobileNet's order, its convolutions of one channel made whole ones.

    Where the channels double, the 1x1 convolution does it, past a shortcut that is there twice. The stem has half the
    channels of the first stage, whose first two groups double them; the second one of them halves a large image, as
    the stem has no pool.
    """
    cin, cout, stride = 2 * at.before, 2 * at.channels, at.stride
    if at.stage == 0 and at.index < 2:
        cin, cout = at.channels // 2 << at.index, at.channels << at.index
        stride = 2 if at.large and at.index == 1 else 1
    yield Unit(cin, cin, stride=stride, shortcut=Shortcut(pool=stride), input="rsign", output="rprelu")
    yield Unit(cin, cout, kernel=1, shortcut=Shortcut(copies=cout // cin), input="rsign", output="rprelu")


@dataclass(frozen=True, slots=True)
class Stem:
    """The first convolution; that of a small image is 3x3 with stride 1 and has no pool.

    kernel  side of that of a large image, whose stride is 2
    pool    whether a 3x3 max pool of stride 2 follows there
    share   channels of a `Place` of the first stage over those of the stem
    """

    kernel: int = 7
    pool: bool = True
    share: int = 1


@dataclass(frozen=True, slots=True)
class Network:
    """A network: its group of blocks, how many groups the four stages have, channels out for one of a `Place`."""

    group: Callable[[Place], Iterator[Unit]]
    repeats: tuple[int, int, int, int]
    expansion: int = 1
    stem: Stem = Stem()


NETWORKS = {
    "bireal18": Network(bireal, (4, 4, 4, 4)),
    "bireal34": Network(bireal, (6, 8, 12, 6)),
    "bireal50": Network(bottleneck, (3, 4, 6, 3), EXPANSION),
    "bireal101": Network(bottleneck, (3, 4, 23, 3), EXPANSION),
    "bireal152": Network(bottleneck, (3, 8, 36, 3), EXPANSION),
    "react18": Network(react, (4, 4, 4, 4)),
    "reactneta": Network(separable, (3, 2, 6, 2), 2, Stem(3, False, 2)),
    "xnor18": Network(xnor, (2, 2, 2, 2)),
    "plain18": Network(plain, (4, 4, 4, 4)),
}
"""All networks by name."""


def stages(network: Network, channels: tuple[int, ...], large: bool) -> tuple[tuple[Unit, ...], ...]:
    """Return the blocks of every stage, whose channels are given, for an image with the stem of large ones or not."""
    result, before = [], channels[0]
    for stage, (count, own) in enumerate(zip(network.repeats, channels, strict=True)):
        units: list[Unit] = []
        for index in range(count):
            units += network.group(Place(stage, index, before, own, large))
            before = own
        result.append(tuple(units))
    return tuple(result)
