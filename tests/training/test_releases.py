"""A step of every recipe with binary weights against the formulas of its authors, written out in plain PyTorch.

One block, without the grids of the hardware and in float64, takes some steps by the recipe's optimizer; so does the
authors' block. Their latent weights must agree, and the same signs must have changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bireal_hw.models.bireal import Block, ShiftedMap
from bireal_hw.models.modes import binary_convs
from bireal_hw.models.networks import Shortcut, Unit
from bireal_hw.training.data import Data, load_data
from bireal_hw.training.parallel import Processes
from bireal_hw.training.recipe import Stage, load_recipe
from bireal_hw.training.stage import Setting, StageTraining, begin, prepare

pytestmark = pytest.mark.torch

CHANNELS, IMAGES, EPOCHS, STEPS = 8, 16, 4, 3
"""Of the block and its batches; steps of an epoch."""


class Ours(nn.Module):
    """A block between grids that do not round, and a linear function of what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(Unit(CHANNELS, CHANNELS, shortcut=Shortcut()))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(ShiftedMap(x), ShiftedMap(x), nn.Identity()).value


def activation(x: Tensor) -> Tensor:
    """`BinaryActivation` of the PyTorch releases of Bi-Real Net and ReActNet."""
    out_forward = torch.sign(x)
    mask1, mask2, mask3 = x < -1, x < 0, x < 1
    out1 = (-1) * mask1.double() + (x * x + 2 * x) * (1 - mask1.double())
    out2 = out1 * mask2.double() + (-x * x + 2 * x) * (1 - mask2.double())
    out3 = out2 * mask3.double() + 1 * (1 - mask3.double())
    return out_forward.detach() - out3.detach() + out3


def pytorch(w: Tensor) -> Tensor:
    """`HardBinaryConv` of the same releases: scaled by alpha, the gradient that of a clip."""
    scaling_factor = w.abs().mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True).detach()
    binary = scaling_factor * torch.sign(w)
    clipped = torch.clamp(w, -1.0, 1.0)
    return binary.detach() - clipped.detach() + clipped


def caffe(w: Tensor) -> Tensor:
    """The Caffe release: scaled by alpha, the gradient passing."""
    return (w.abs().mean((1, 2, 3), keepdim=True) * torch.sign(w) - w).detach() + w


def larq(w: Tensor) -> Tensor:
    """`MagnitudeAwareSign` of Larq: a constant alpha times the straight-through sign."""
    clipped = torch.clamp(w, -1.0, 1.0)
    return w.abs().mean((1, 2, 3), keepdim=True).detach() * ((torch.sign(w) - clipped).detach() + clipped)


def plain(w: Tensor) -> Tensor:
    """The classical sign: no alpha, straight-through."""
    clipped = torch.clamp(w, -1.0, 1.0)
    return (torch.sign(w) - clipped).detach() + clipped


class Theirs(nn.Module):
    """The authors' block: BN(conv(sign(x))) + x."""

    def __init__(self, weights: Callable[[Tensor], Tensor], start: Tensor) -> None:
        super().__init__()
        self.weights = weights
        self.weight = nn.Parameter(start.clone())
        self.bn = nn.BatchNorm2d(CHANNELS).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(F.conv2d(activation(x), self.weights(self.weight), padding=1)) + x


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", image=(8, 8), limit=IMAGES * STEPS)


def fitting_of(stage: Stage, digits: Data, folder: Path) -> StageTraining:
    """Our block, ready for a stage."""
    torch.manual_seed(0)
    model = Ours()
    nn.init.uniform_(model.block.binary_conv.weight, -0.1, 0.1)
    prepare(model, stage)
    begin(model, stage, fresh=True)
    setting = Setting(digits, "digits", IMAGES, 0, EPOCHS, 0, EPOCHS, "title", folder, False, Processes())
    return StageTraining(stage, setting, model)


def batches() -> list[tuple[Tensor, Tensor]]:
    """Inputs, and the gradients that come back to the block, of all steps."""
    generator = torch.Generator().manual_seed(1)
    shape = (2, IMAGES, CHANNELS, 6, 6)
    return [tuple(torch.randn(shape, generator=generator, dtype=torch.float64)) for _ in range(EPOCHS * STEPS)]


def trained(fitting: StageTraining) -> list[Tensor]:
    """Latent weights of our block before the first step and after each."""
    assert isinstance(fitting.model, Ours)
    weight = fitting.model.block.binary_conv.weight
    made = fitting.configure_optimizers()
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    found = [weight.detach().clone()]
    for x, back in batches():
        optimizer.zero_grad()
        (fitting.model(x) * back).sum().backward()
        optimizer.step()
        scheduler.step()
        fitting.on_train_batch_end(None, None, 0)
        found.append(weight.detach().clone())
    return found


def trained_by_authors(model: Theirs, kind: str, rate: Callable[[int], float], clip: bool = False) -> list[Tensor]:
    """The same of the authors' block; `rate` is the learning rate of a step."""
    optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters())
    if kind == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
    found = [model.weight.detach().clone()]
    for step, (x, back) in enumerate(batches()):
        optimizer.param_groups[0]["lr"] = rate(step)
        optimizer.zero_grad()
        (model(x) * back).sum().backward()
        optimizer.step()
        if clip:
            model.weight.data.clamp_(-1, 1)
        found.append(model.weight.detach().clone())
    return found


def linear(rate: float) -> Callable[[int], float]:
    return lambda step: rate * (1 - step / (EPOCHS * STEPS))


RELEASES: dict[tuple[str, str], tuple[Callable[[Tensor], Tensor], str, Callable[[int], float]]] = {
    ("adam", "binary"): (pytorch, "adam", lambda step: 1e-3 * (1 - (step // STEPS + 1) / EPOCHS)),
    ("scratch", "binary"): (pytorch, "adam", linear(2e-3)),
    ("react", "weights"): (pytorch, "adam", linear(2.5e-3)),
    ("short_react", "weights"): (pytorch, "adam", linear(2.5e-3)),
    ("paper", "binary"): (caffe, "sgd", lambda step: 0.01 * 0.1 ** ((step >= 6) + (step >= 9))),
    ("short", "binary"): (pytorch, "sgd", lambda step: 0.05 * (1 + math.cos(math.pi * step / (EPOCHS * STEPS)))),
    ("larq", "binary"): (larq, "adam", linear(5e-3)),
}


def the_stage(recipe: str, name: str) -> Stage:
    (stage,) = [stage for stage in load_recipe(recipe).stages if stage.name == name]
    return stage


@pytest.mark.parametrize(("recipe", "name"), RELEASES)
def test_weights_move_as_the_authors_formulas_move_them(recipe: str, name: str, digits: Data, tmp_path: Path) -> None:
    weights, kind, rate = RELEASES[recipe, name]
    stage = the_stage(recipe, name)
    ours = trained(fitting_of(stage, digits, tmp_path))
    model = Theirs(weights, ours[0])
    theirs = trained_by_authors(model, kind, rate, clip=recipe == "larq")
    changed = [int(((one >= 0) != (ours[0] >= 0)).sum()) for one in ours]
    assert changed == [int(((one >= 0) != (ours[0] >= 0)).sum()) for one in theirs]
    assert changed[-1] > 0
    for before, after, want_before, want in zip(ours, ours[1:], theirs, theirs[1:], strict=False):
        torch.testing.assert_close(after - before, want - want_before, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("recipe", ["adam", "larq", "paper", "react", "scratch", "short", "short_react"])
def test_without_the_magnitude_aware_gradient_the_sign_is_the_classical_one(
    recipe: str, digits: Data, tmp_path: Path
) -> None:
    without = load_recipe(recipe).without("magnitude_aware")
    (stage,) = [stage for stage in without.stages if stage.name in ("binary", "weights")]
    ours = trained(fitting_of(stage, digits, tmp_path))
    model = Theirs(plain, ours[0])
    _, kind, rate = RELEASES[recipe, stage.name]
    theirs = trained_by_authors(model, kind, rate, clip=recipe == "larq")
    for one, want in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, want, rtol=1e-9, atol=1e-12)


def first_step(weights: str, digits: Data, folder: Path) -> Tensor:
    """What the first step of SGD at 0.1 adds to the latent weights; BatchNorm adds next to no epsilon."""
    fitting = fitting_of(Stage("a", weights=weights, optimizer="sgd", learning_rate=0.1), digits, folder)
    assert isinstance(fitting.model, Ours)
    fitting.model.block.bn1.eps = 1e-15
    before, after, *_ = trained(fitting)
    return after - before


def test_behind_batchnorm_the_gradient_with_alpha_is_that_of_the_plain_sign(digits: Data, tmp_path: Path) -> None:
    """And that of the releases is 1/alpha times as large: alpha is the mean of |w|, 0.05 for weights of +-0.1."""
    text, plain_sign = first_step("binary", digits, tmp_path), first_step("unscaled", digits, tmp_path)
    released = first_step("binary_pytorch", digits, tmp_path)
    torch.testing.assert_close(text, plain_sign, rtol=1e-9, atol=1e-12)
    (conv,) = binary_convs(fitting_of(Stage("a"), digits, tmp_path).model)
    weight = conv.weight.detach()
    alpha = weight.abs().mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(released * alpha, plain_sign, rtol=1e-9, atol=1e-12)
    assert 17 < float((1 / alpha).mean()) < 26
