"""What a network is, in six values: the one description that training, export and reports share (no torch here)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bireal_hw.errors import BirealError, out_of_range, unknown
from bireal_hw.models.networks import NETWORKS, Network, Unit, stages

SMALL_IMAGE = 64
"""Images with both sides up to this many pixels get the 3x3 stem without a pool."""

EXACT = 2**24
"""Float32 holds every integer below this exactly."""

POOL_HALF = 2**17
"""Most that rounding adds to a sum of the global pool: half of the 18 bits that a shift to 8 bits may drop."""

LARGEST_IMAGE = 2048
"""No side has more pixels; at this size a layer's activations take a few hundred megabytes an image."""


@dataclass(frozen=True)
class ModelSpec:
    """Describe a Bi-Real network; a value that can never be built raises BirealError here.

    model          a name in `bireal_hw.models.networks.NETWORKS`
    width          multiplier of the channels 64, 128, 256, 512; 0.125 to 1
    image          (height, width) in pixels; multiples of 8, of 32 if either exceeds 64; at most 2048
    channels       1 (grey) or 3 (RGB)
    classes        at least 2
    shortcut_bits  bits of the shortcut stream, 8 to 16
    """

    model: str = "bireal18"
    width: float = 1.0
    image: tuple[int, int] = (32, 32)
    channels: int = 3
    classes: int = 10
    shortcut_bits: int = 16

    def __post_init__(self) -> None:
        if self.model not in NETWORKS:
            raise unknown("model", self.model, NETWORKS)
        object.__setattr__(self, "width", _number("width", self.width))
        object.__setattr__(self, "image", _image(self.image))
        for name in ("channels", "classes", "shortcut_bits"):
            _integer(name, getattr(self, name))
        if not 0.125 <= self.width <= 1:
            raise out_of_range("width", self.width, "choose from 0.125 to 1")
        step = 8 if self.small else 32
        for side in self.image:
            if side > LARGEST_IMAGE:
                raise out_of_range("image", self.image_text, f"sides are at most {LARGEST_IMAGE} pixels")
            if side < step or side % step:
                near = max(step, round(side / step) * step)
                reason = "" if self.small else f", as one side exceeds {SMALL_IMAGE}"
                allowed = f"sides are multiples of {step}{reason}; nearest is {near}"
                raise out_of_range("image", self.image_text, allowed)
        if self.channels not in (1, 3):
            raise out_of_range("channels", self.channels, "choose 1 (grey) or 3 (RGB)")
        if self.classes < 2:
            raise out_of_range("classes", self.classes, "at least 2")
        if not 8 <= self.shortcut_bits <= 16:
            raise out_of_range("shortcut_bits", self.shortcut_bits, "choose from 8 to 16")

    @property
    def image_text(self) -> str:
        """Spell the image size as height x width.

        >>> ModelSpec(image=(48, 64)).image_text
        '48x64'
        """
        return f"{self.image[0]}x{self.image[1]}"

    @property
    def small(self) -> bool:
        """Tell whether the stem is 3x3 stride 1 without a pool (both sides up to 64 pixels)."""
        return max(self.image) <= SMALL_IMAGE

    @property
    def stem(self) -> tuple[int, int, bool]:
        """Return side and stride of the first convolution, and whether a max pool follows."""
        return (3, 1, False) if self.small else (self.network.stem.kernel, 2, self.network.stem.pool)

    @property
    def stem_channels(self) -> int:
        """Channels of the stem.

        >>> ModelSpec("bireal18").stem_channels, ModelSpec("reactneta").stem_channels
        (64, 32)
        """
        return self.stage_channels[0] // self.network.stem.share

    @property
    def network(self) -> Network:
        """What the blocks of the network are."""
        return NETWORKS[self.model]

    @property
    def stage_channels(self) -> tuple[int, int, int, int]:
        """Channels of the four stages' places; of a bottleneck network's narrow stream, half of ReActNet-A's.

        >>> ModelSpec(width=0.25).stage_channels
        (16, 32, 64, 128)
        """
        base = max(8, round(64 * self.width / 8) * 8)
        return base, 2 * base, 4 * base, 8 * base

    @property
    def pixels(self) -> int:
        """Pixels the global pool sums over."""
        shrink = 8 if self.small else 32
        return (self.image[0] // shrink) * (self.image[1] // shrink)

    def check_sums(self) -> None:
        """Raise BirealError if the sums of the global pool are too large for float32, whatever the weights are.

        >>> ModelSpec(image=(704, 704)).check_sums()
        """
        limit = EXACT - POOL_HALF
        if self.pixels << (self.shortcut_bits - 1) < limit:
            return
        bits = next(bits for bits in range(16, 7, -1) if self.pixels << (bits - 1) < limit)
        side = 32 * math.isqrt((limit - 1) >> (self.shortcut_bits - 1))
        raise out_of_range(
            "image",
            self.image_text,
            f"the global pool sums {self.pixels:,} pixels of {self.shortcut_bits} bits, which float32 does not hold "
            f"exactly: choose shortcut_bits={bits} or less, or an image of {side}x{side} or less",
        )

    @property
    def features(self) -> int:
        """Inputs of the classifier: channels of the last stage's main stream.

        >>> ModelSpec("bireal18").features, ModelSpec("bireal50").features
        (512, 2048)
        """
        return self.stage_channels[-1] * self.network.expansion

    def stages(self) -> tuple[tuple[Unit, ...], ...]:
        """Return the blocks of the four stages in order."""
        return stages(self.network, self.stage_channels, not self.small)

    def parameters(self) -> tuple[int, int]:
        """Count (binary, real) trainable parameters; real = all but the weights of 1-bit convolutions.

        >>> ModelSpec("bireal18", image=(224, 224), classes=1000).parameters()
        (10985472, 704040)
        """
        binary = 0
        real = self.stem_channels * (self.channels * self.stem[0] ** 2 + 2)
        for unit in (unit for stage in self.stages() for unit in stage):
            weights = unit.cin * unit.cout * unit.kernel**2
            binary += weights * unit.binary
            real += weights * (not unit.binary) + 2 * unit.cout + unit.shifts
            if unit.shortcut and unit.shortcut.cin:
                real += unit.cout * (unit.shortcut.cin + 2 * unit.shortcut.norm)
        return binary, real + (self.features + 1) * self.classes

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a dict that `json` can write."""
        return asdict(self) | {"image": list(self.image)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelSpec:
        """Read what `to_json` wrote; an unknown key raises BirealError with the nearest known one."""
        if not isinstance(data, Mapping):
            raise BirealError(f"model spec is a {type(data).__name__}: an object with keys is needed")
        known = [field.name for field in fields(cls)]
        for key in data:
            if key not in known:
                raise unknown("model spec key", key, known)
        return cls(**data)


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise out_of_range(name, value, "a whole number is needed")
    return value


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise out_of_range(name, value, "a number is needed")
    return float(value)


def _image(value: object) -> tuple[int, int]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise out_of_range("image", value, "two sides are needed, height and width in pixels")
    return _integer("image", value[0]), _integer("image", value[1])
