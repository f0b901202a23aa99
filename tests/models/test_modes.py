"""What stands in for the signs: values and gradients against the formulas, and that a network is told apart."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

from bireal_hw.errors import BirealError  # noqa: E402
from bireal_hw.models.bireal import build_model  # noqa: E402
from bireal_hw.models.modes import ACTIVATIONS, BINARY, WEIGHTS, is_binary, set_modes  # noqa: E402
from bireal_hw.models.spec import ModelSpec  # noqa: E402

pytestmark = pytest.mark.torch

POINTS = [-3.0, -1.0, -0.5, -0.0, 0.0, 0.75, 1.0, 2.0]

# value and slope at POINTS
WANT: dict[str, tuple[list[float], list[float | None]]] = {
    "relu": ([0, 0, 0, 0, 0, 0.75, 1, 2], [0, 0, 0, 0, 0, 1, 1, 1]),
    "leaky_clip": ([-1.2, -1, -0.5, 0, 0, 0.75, 1, 1.1], [0.1, None, 1, 1, 1, 1, None, 0.1]),
    "clip": ([-1, -1, -0.5, 0, 0, 0.75, 1, 1], [0, None, 1, 1, 1, 1, None, 0]),
    "sign": ([-1, -1, -1, 1, 1, 1, 1, 1], [0, 0, 1, 2, 2, 0.5, 0, 0]),
    "straight_sign": ([-1, -1, -1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 0]),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    x = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    y = ACTIVATIONS[name](x)
    y.sum().backward()
    values, slopes = WANT[name]
    assert y.tolist() == pytest.approx(values, abs=1e-12)
    for got, want in zip(x.grad.tolist(), slopes, strict=True):
        assert want is None or got == pytest.approx(want, abs=1e-12)  # None: a corner, where either slope will do


@pytest.mark.parametrize(
    ("name", "slopes"),
    [
        ("real", [1, 1, 1, 1, 1, 1, 1, 1]),
        ("binary", [0, 0, 0.5, 0.5, 0.5, 0.5, 0, 0]),
        ("binary_larq", [0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0]),
        ("binary_pytorch", [0, 1, 1, 1, 1, 1, 1, 0]),
        ("binary_caffe", [1, 1, 1, 1, 1, 1, 1, 1]),
        ("unscaled", [0, 1, 1, 1, 1, 1, 1, 0]),
    ],
)
def test_weights(name: str, slopes: list[float]) -> None:
    w, alpha = torch.tensor(POINTS, requires_grad=True), torch.tensor(0.5)
    value = WEIGHTS[name](w, alpha)
    factor = 1.0 if name == "unscaled" else 0.5
    assert value.tolist() == (POINTS if name == "real" else [factor if x >= 0 else -factor for x in POINTS])
    (3 * value).sum().backward()
    assert w.grad.tolist() == [3 * slope for slope in slopes]


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return ModelSpec("bireal18", 0.125, (8, 8), 1, 3)


def test_modes_of_a_network_hold_in_training_and_evaluation(spec: ModelSpec) -> None:
    torch.manual_seed(0)
    model = build_model(spec)
    images = torch.randint(0, 256, (4, 1, 8, 8)).float()
    for training in (True, False):
        model.train(training)
        outputs = {}
        for activation, weights in (("sign", "binary"), ("relu", "real"), ("clip", "real"), ("sign", "real")):
            set_modes(model, activation, weights)
            outputs[activation, weights] = model(images).detach()
        for one in outputs:
            assert [other for other in outputs if torch.equal(outputs[one], outputs[other])] == [one]
        set_modes(model)
        assert not training or model(images).requires_grad
        # the gradients differ, the values do not
        before = model.eval()(images).detach()
        set_modes(model, "straight_sign", "binary_larq")
        assert torch.equal(model(images), before)


def test_a_network_is_binary_when_both_are_signs(spec: ModelSpec) -> None:
    model = build_model(spec)
    assert is_binary(model)
    for activation in ACTIVATIONS:
        for weights in WEIGHTS:
            set_modes(model, activation, weights)
            assert is_binary(model) == (activation.endswith("sign") and weights in BINARY)
            assert is_binary(copy.deepcopy(model)) == is_binary(model)


def test_unknown_modes(spec: ModelSpec) -> None:
    model = build_model(spec)
    with pytest.raises(BirealError, match=r"^unknown activation 'rely': did you mean 'relu'\? choose from relu, "):
        set_modes(model, "rely")
    with pytest.raises(BirealError, match=r"^unknown weights 'binary_keras': .* choose from real, binary, "):
        set_modes(model, "sign", "binary_keras")
    assert is_binary(model)
