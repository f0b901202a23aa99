"""Parameters and operations of a network, counted from its description alone (no torch here).

Counting rules of the Bi-Real papers: memory = 32 bits a real parameter + 1 bit a binary one; 64 binary operations cost
as much as one real operation. One multiply-accumulate is one operation. BatchNorm counts two parameters a channel and
no operation, since it folds into the weights or into the integer affine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bireal_hw.models.spec import ModelSpec

BINARY_PER_REAL = 64
"""Binary operations that cost as much as one real operation."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution or the classifier.

    Attributes:
        name: as in the trained network.
        kind: `real` (8-bit weights) or `binary`.
        kernel, stride: sides in pixels.
        output: (height, width, channels).
        binary_params, real_params: trainable numbers; BatchNorm, thresholds and slopes with their layer.
        macs: multiply-accumulates per image, padded taps counted.
    """

    name: str
    kind: str
    kernel: int
    stride: int
    output: tuple[int, int, int]
    binary_params: int
    real_params: int
    macs: int


@dataclass(frozen=True, slots=True)
class Info:
    """All layers of a network, in the order of the data, and their sums."""

    layers: tuple[Layer, ...]

    @property
    def binary_params(self) -> int:
        """Weights of one bit."""
        return sum(layer.binary_params for layer in self.layers)

    @property
    def real_params(self) -> int:
        """Numbers of 32 bits while training."""
        return sum(layer.real_params for layer in self.layers)

    @property
    def binary_macs(self) -> int:
        """XNOR-and-count operations per image."""
        return sum(layer.macs for layer in self.layers if layer.kind == "binary")

    @property
    def real_macs(self) -> int:
        """Multiplications per image."""
        return sum(layer.macs for layer in self.layers if layer.kind == "real")

    @property
    def memory_mbit(self) -> float:
        """Memory of the parameters in 10^6 bits."""
        return (self.binary_params + 32 * self.real_params) / 1e6

    @property
    def full_memory_mbit(self) -> float:
        """Memory in 10^6 bits if every parameter had 32 bits."""
        return 32 * (self.binary_params + self.real_params) / 1e6

    @property
    def operations(self) -> float:
        """Operations per image in real ones: binary / 64 + real."""
        return self.binary_macs / BINARY_PER_REAL + self.real_macs

    @property
    def speedup(self) -> float:
        """How many times fewer operations than the same network in real numbers."""
        return (self.binary_macs + self.real_macs) / self.operations


def info(spec: ModelSpec) -> Info:
    """Count the layers of a network.

    >>> counted = info(ModelSpec("bireal18", image=(224, 224), classes=1000))
    >>> counted.binary_params, counted.real_params, round(counted.speedup, 2)
    (10985472, 704040, 11.06)
    """
    height, width = spec.image
    kernel, stride, pool = spec.stem
    height, width = height // stride, width // stride
    layers = [_conv("conv1", "real", kernel, stride, spec.channels, (height, width, spec.stem_channels))]
    if pool:
        height, width = height // 2, width // 2  # max pool
    for number, stage in enumerate(spec.stages(), start=1):
        for index, unit in enumerate(stage):
            name = f"layer{number}.{index}"
            height, width = height // unit.stride, width // unit.stride
            output = (height, width, unit.cout)
            shortcut, kind = unit.shortcut, "binary" if unit.binary else "real"
            if shortcut and shortcut.cin:
                layers.append(_conv(f"{name}.downsample", "real", 1, 1, shortcut.cin, output, shortcut.norm))
            conv = _conv(f"{name}.{kind}_conv", kind, unit.kernel, unit.stride, unit.cin, output)
            layers.append(replace(conv, real_params=conv.real_params + unit.shifts))
    weights = spec.features * spec.classes
    layers.append(Layer("fc", "real", 1, 1, (1, 1, spec.classes), 0, weights + spec.classes, weights))
    return Info(tuple(layers))


def _conv(
    name: str, kind: str, kernel: int, stride: int, cin: int, output: tuple[int, int, int], norm: bool = True
) -> Layer:
    """Count a convolution without bias and, if it has one, its BatchNorm."""
    height, width, channels = output
    weights, batch_norm = channels * cin * kernel**2, 2 * channels * norm
    binary = weights if kind == "binary" else 0
    real = batch_norm + weights - binary
    return Layer(name, kind, kernel, stride, output, binary, real, weights * height * width)
