import pytest

from bireal_hw.models.info import info
from bireal_hw.models.spec import ModelSpec

# Recount of the published topology at 224x224, RGB, 1000 classes: binary and real parameters, memory in Mbit (as it is,
# and with 32 bits each), binary and real multiply-accumulates, operations (64 binary = 1 real), their ratio.
RECOUNT = {
    "bireal18": (10_985_472, 704_040, "33.51", "374.1", "1.676e+09", "1.378e+08", "1.640e+08", "11.06"),
    "bireal34": (21_086_208, 711_464, "43.85", "697.5", "3.526e+09", "1.378e+08", "1.929e+08", "18.99"),
    "bireal50": (20_672_512, 5_056_552, "182.48", "823.3", "3.597e+09", "5.696e+08", "6.258e+08", "6.66"),
    "bireal101": (39_612_416, 5_108_776, "203.09", "1431.1", "7.309e+09", "5.696e+08", "6.838e+08", "11.52"),
    "bireal152": (55_209_984, 5_154_856, "220.17", "1931.7", "1.102e+10", "5.696e+08", "7.418e+08", "15.62"),
    # The same convolutions: RSign and RPReLU add 14,912 numbers; without shortcuts 172,032 weights and 1,792 of their
    # BatchNorm are missing.
    "react18": (10_985_472, 704_040 + 14_912, "33.99", "374.5", "1.676e+09", "1.378e+08", "1.640e+08", "11.06"),
    # As published: 4.82 G binary and 0.12e8 real ones, 0.87e8 operations.
    "reactneta": (28_253_184, 1_090_408, "63.15", "939.0", "4.817e+09", "1.186e+07", "8.713e+07", "55.42"),
    "xnor18": (10_985_472, 704_040, "33.51", "374.1", "1.676e+09", "1.378e+08", "1.640e+08", "11.06"),
    "plain18": (10_985_472, 704_040 - 173_824, "27.95", "368.5", "1.676e+09", "1.185e+08", "1.447e+08", "12.40"),
}
BINARY_CONVOLUTIONS = {
    "bireal18": 16,
    "bireal34": 32,
    "bireal50": 47,
    "bireal101": 98,
    "bireal152": 149,
    "reactneta": 26,
}


@pytest.mark.parametrize("model", RECOUNT)
def test_counts_equal_the_published_topology(model: str) -> None:
    counted = info(ModelSpec(model, image=(224, 224), classes=1000))
    assert (
        counted.binary_params,
        counted.real_params,
        f"{counted.memory_mbit:.2f}",
        f"{counted.full_memory_mbit:.1f}",
        f"{counted.binary_macs:.3e}",
        f"{counted.real_macs:.3e}",
        f"{counted.operations:.3e}",
        f"{counted.speedup:.2f}",
    ) == RECOUNT[model]


@pytest.mark.parametrize("model", BINARY_CONVOLUTIONS)
def test_depth_counts_binary_convolutions(model: str) -> None:
    layers = info(ModelSpec(model)).layers
    assert len([layer for layer in layers if layer.kind == "binary"]) == BINARY_CONVOLUTIONS[model]


@pytest.mark.parametrize("model", RECOUNT)
@pytest.mark.parametrize("image", [(16, 16), (48, 64), (224, 224), (96, 64)])
@pytest.mark.parametrize("width", [0.125, 0.3, 1.0])
def test_parameters_agree_with_the_specification(model: str, image: tuple[int, int], width: float) -> None:
    spec = ModelSpec(model, width=width, image=image, channels=1, classes=7)
    counted = info(spec)
    assert (counted.binary_params, counted.real_params) == spec.parameters()


@pytest.mark.torch
@pytest.mark.parametrize("model", ["bireal34", "bireal50", "react18", "reactneta", "xnor18", "plain18"])
def test_parameters_are_those_of_the_network(model: str) -> None:
    from bireal_hw.models.bireal import build_model

    spec = ModelSpec(model, width=0.25, image=(48, 64), channels=1, classes=7)
    real = {
        name: parameter.numel()
        for name, parameter in build_model(spec).named_parameters()
        if "binary_conv" not in name and parameter.requires_grad
    }
    assert sum(real.values()) == info(spec).real_params


def test_bottleneck_layers_by_hand() -> None:
    spec = ModelSpec("bireal50", width=0.125, image=(16, 16), channels=3, classes=3)
    layers = {layer.name: layer for layer in info(spec).layers}
    assert len(layers) == 1 + 47 + 1 + 7 + 1
    # Weights in and out, BatchNorm; the shortcut of the narrow stream into a stage has none.
    assert (layers["layer1.0.real_conv"].kind, layers["layer1.0.real_conv"].real_params) == ("real", 8 * 8 + 2 * 8)
    assert (layers["layer1.2.downsample"].real_params, layers["layer1.2.downsample"].output) == (
        8 * 32 + 2 * 32,
        (16, 16, 32),
    )
    assert (layers["layer2.0.downsample"].real_params, layers["layer2.0.downsample"].output) == (8 * 16, (16, 16, 16))
    assert (layers["layer2.1.binary_conv"].stride, layers["layer2.1.binary_conv"].output) == (2, (8, 8, 16))
    assert layers["layer2.2.downsample"].macs == 32 * 64 * 64
    assert layers["layer2.3.binary_conv"].binary_params == 64 * 16


def test_macs_of_a_small_network_by_hand() -> None:
    spec = ModelSpec("bireal18", width=0.125, image=(16, 8), channels=1, classes=3)
    counted = info(spec)  # stages of 8, 16, 32, 64 channels on 16x8, 8x4, 4x2, 2x1 pixels
    binary = 9 * (4 * 8 * 8 * 128 + (8 + 3 * 16) * 16 * 32 + (16 + 3 * 32) * 32 * 8 + (32 + 3 * 64) * 64 * 2)
    real = 9 * 8 * 128 + 8 * 16 * 32 + 16 * 32 * 8 + 32 * 64 * 2 + 64 * 3
    assert (counted.binary_macs, counted.real_macs) == (binary, real)
    assert [layer.name for layer in counted.layers[:2]] == ["conv1", "layer1.0.binary_conv"]
    assert len(counted.layers) == 1 + 16 + 3 + 1
