"""Recipes: the shipped ones say what was published, each technique goes alone, and every mistake is one line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.models import modes
from bireal_hw.training.recipe import BINARY, CHOICES, DEFAULT, SIGNS, TECHNIQUES, Recipe, Stage, load_recipe, shipped

PAPER = ["relu", "leaky_clip", "clip", "binary", "batchnorm"]


def names(recipe: Recipe) -> list[str]:
    return [stage.name for stage in recipe.stages]


# ---- what is shipped ----


def test_shipped_recipes() -> None:
    assert shipped() == [
        "adam",
        "calibrate",
        "fast",
        "larq",
        "paper",
        "react",
        "real",
        "scratch",
        "short",
        "short_react",
    ]
    for name in shipped():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.about.endswith(".")
        assert recipe.binary == (name != "real")
        json.dumps(recipe.to_json())
    assert load_recipe() == load_recipe(DEFAULT)


def test_the_papers_recipe_has_its_stages_in_order() -> None:
    recipe = load_recipe("paper")
    assert names(recipe) == PAPER
    assert [stage.activation for stage in recipe.stages] == ["relu", "leaky_clip", "clip", "sign", "sign"]
    assert [stage.weights for stage in recipe.stages] == ["real"] * 3 + ["binary_caffe"] * 2
    binary, batchnorm = recipe.stages[3:]
    assert (binary.optimizer, binary.learning_rate, binary.weight_decay, recipe.batch) == ("sgd", 0.01, 0.0, 128)
    assert recipe.epochs_of(recipe.epochs)[3:] == [20, 1]  # 18 layers: 20 epochs, then one of BatchNorm
    assert [at * 20 for at in binary.milestones] == [10, 15]
    assert (batchnorm.train, batchnorm.unit_weights) == ("batchnorm", True)


def test_the_other_recipes_have_their_published_numbers() -> None:
    adam, larq, react = load_recipe("adam"), load_recipe("larq"), load_recipe("react")
    (stage,) = adam.stages
    assert (adam.epochs, adam.batch, stage.learning_rate, stage.label_smoothing) == (256, 512, 1e-3, 0.1)
    assert (stage.weights, stage.schedule, stage.initial) == ("binary_pytorch", "linear_epochs", "positive")
    (stage,) = larq.stages
    assert (larq.epochs, larq.batch, stage.learning_rate, stage.schedule) == (300, 512, 5e-3, "linear")
    assert (stage.weights, stage.weight_clip, stage.label_smoothing) == ("binary_larq", True, 0.0)
    assert names(react) == ["teacher", "activations", "weights"]
    _, first, second = react.stages
    assert (first.activation, first.weights, first.weight_decay) == ("sign", "real", 1e-5)
    assert (second.activation, second.weights, second.weight_decay) == ("sign", "binary_pytorch", 0.0)
    assert {one.teacher for one in (first, second)} == {"teacher"}
    assert {one.distillation for one in (first, second)} == {1.0}  # no label term
    assert (react.batch, react.epochs_of(react.epochs)[1:], first.learning_rate) == (512, [128, 128], 2.5e-3)


def test_names_of_modes_are_those_of_the_networks() -> None:
    assert set(CHOICES["activation"]) == set(modes.ACTIVATIONS)
    assert set(CHOICES["weights"]) == set(modes.WEIGHTS)
    assert set(SIGNS) == set(modes.SIGNS)
    assert set(BINARY) == set(modes.BINARY)


# ---- epochs ----


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=7), st.integers(0, 500))
def test_epochs_are_divided_without_loss(shares: list[float], extra: int) -> None:
    recipe = Recipe("r", tuple(Stage(f"s{index}", share=share) for index, share in enumerate(shares)))
    total = len(shares) + extra
    counts = recipe.epochs_of(total)
    assert sum(counts) == total
    assert min(counts) >= 1
    whole = sum(shares)
    for count, share in zip(counts, shares, strict=True):
        assert count <= max(1, -(-total * share // whole))  # no stage gets more than its share, rounded up


def test_too_few_epochs() -> None:
    with pytest.raises(BirealError) as caught:
        load_recipe("paper").epochs_of(4)
    assert str(caught.value) == (
        "epochs=4 is out of range: recipe 'paper' has 5 stages (relu, leaky_clip, clip, binary, batchnorm)"
    )


# ---- techniques ----


def differences(one: Recipe, other: Recipe) -> set[str]:
    """The fields in which two recipes of the same stages differ."""
    assert names(one) == names(other)
    found = {
        field.name
        for first, second in zip(one.stages, other.stages, strict=True)
        for field in dataclasses.fields(Stage)
        if getattr(first, field.name) != getattr(second, field.name)
    }
    return found | {
        key for key in ("epochs", "batch", "precision", "compile", "snap") if getattr(one, key) != getattr(other, key)
    }


@pytest.mark.parametrize(
    ("name", "technique", "field"),
    [
        ("paper", "approx_sign", "activation"),
        ("paper", "magnitude_aware", "weights"),
        ("paper", "weight_decay", "weight_decay"),
        ("paper", "augmentation", "augment"),
        ("larq", "weight_clip", "weight_clip"),
        ("adam", "label_smoothing", "label_smoothing"),
        ("scratch", "settle", "settle"),
        ("scratch", "snap", "snap"),
    ],
)
def test_a_technique_goes_alone(name: str, technique: str, field: str) -> None:
    whole = load_recipe(name)
    without = whole.without(technique)
    assert differences(whole, without) == {field}
    assert without.left_out == (technique,)
    assert without.binary == whole.binary


def test_techniques_that_are_stages() -> None:
    paper = load_recipe("paper")
    assert names(paper.without("pretraining")) == ["binary", "batchnorm"]
    assert names(paper.without("batchnorm_reestimation")) == PAPER[:-1]
    assert names(paper.without("leaky_clip").without("clip")) == ["relu", "binary", "batchnorm"]
    react = load_recipe("react")
    one_step = react.without("two_steps")
    assert [(stage.name, stage.start, stage.teacher) for stage in one_step.stages] == [
        ("teacher", "scratch", ""),
        ("weights", "scratch", "teacher"),  # not from the teacher's weights
    ]
    alone = react.without("distillation")
    assert [(stage.name, stage.start, stage.teacher) for stage in alone.stages] == [
        ("activations", "scratch", ""),
        ("weights", "previous", ""),
    ]
    assert names(alone.without("two_steps")) == ["weights"]
    assert alone.without("two_steps").left_out == ("distillation", "two_steps")


def test_every_technique_belongs_to_a_shipped_recipe() -> None:
    used = {name for name in TECHNIQUES for recipe in map(load_recipe, shipped()) if TECHNIQUES[name](recipe) != recipe}
    assert used == set(TECHNIQUES)


def test_a_technique_that_a_recipe_does_not_use() -> None:
    with pytest.raises(BirealError) as caught:
        load_recipe("adam").without("two_step")
    assert str(caught.value) == (
        "without=two_step: unknown technique of recipe adam 'two_step': choose from approx_sign, magnitude_aware, "
        "label_smoothing, augmentation, settle, snap"
    )
    with pytest.raises(BirealError, match=r"without=two_step: .* did you mean 'two_steps'\? choose from two_steps, "):
        load_recipe("react").without("two_step")
    with pytest.raises(BirealError, match="has no stage left"):
        load_recipe("adam").without("binary")


# ---- files ----


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    text = 'about = "x"\nepochs = 7\n[[stage]]\nname = "a"\nlearning_rate = 1\nmilestones = [0.1]\n'
    recipe = load_recipe(write(tmp_path, text + '[[stage]]\nname = "b"\nteacher = "a"\nstart = "dir/x.ckpt"\n'))
    assert (recipe.name, recipe.epochs, recipe.batch) == ("mine", 7, Recipe("r", (Stage("a"),)).batch)
    first, second = recipe.stages
    assert first == Stage("a", learning_rate=1.0, milestones=(0.1,))
    assert isinstance(first.learning_rate, float)
    assert (second.teacher, second.start) == ("a", "dir/x.ckpt")


MISTAKES = {
    "epochs = 3": "stage=nothing is out of range: at least one [[stage]] is needed",
    "stage = 3": "stage is no list of tables: write [[stage]] above the fields of each",
    "epoch = 3\n[[stage]]\nname='a'": "unknown field 'epoch': did you mean 'epochs'? choose from about, epochs, batch, "
    "precision, compile, snap",
    "epochs = 'ten'\n[[stage]]\nname='a'": 'epochs="ten" is out of range: a whole number is needed',
    "precision = 'fp8'\n[[stage]]\nname='a'": "unknown precision 'fp8': choose from 32-true, bf16-mixed, 16-mixed",
    "batch = 1\n[[stage]]\nname='a'": "batch=1 is out of range: at least 2",
    "[[stage]]\nshare = 1": "stage 1, which has no name: name= is out of range: letters, digits and _, and neither "
    "previous nor scratch",
    "[[stage]]\nname='a'\nlerning_rate=1": "stage 'a': unknown field 'lerning_rate': did you mean 'learning_rate'? ",
    "[[stage]]\nname='a'\nlearning_rate='1'": "stage 'a': learning_rate=\"1\" is out of range: a number is needed",
    "[[stage]]\nname='a'\nlearning_rate=-1": "stage 'a': learning_rate=-1.0 is out of range: at least 0",
    "[[stage]]\nname='a'\nweight_clip=1": "stage 'a': weight_clip=1 is out of range: true or false is needed",
    "[[stage]]\nname='a'\nmilestones=[true]": "stage 'a': milestones=[True] is out of range: "
    "a list of numbers is needed",
    "[[stage]]\nname='a'\nmilestones=[2]": "stage 'a': milestones=(2.0,) is out of range: numbers between 0 and 1",
    "[[stage]]\nname='a'\nsettle=1.5": "stage 'a': settle=1.5 is out of range: 0 to 1",
    "[[stage]]\nname='a'\nsteps=0.5": "stage 'a': steps=0.5 is out of range: a whole number is needed",
    "[[stage]]\nname='a'\nactivation='tanh'": "stage 'a': unknown activation 'tanh': choose from relu, "
    "leaky_clip, clip, sign, straight_sign",
    "[[stage]]\nname='a'\nteacher='b'": "stage 'a': unknown teacher 'b': choose from a file *.ckpt",
    "[[stage]]\nname='a'\n[[stage]]\nname='b'\nstart='c'": "stage 'b': unknown start 'c': choose from previous, "
    "scratch, a, a file *.ckpt",
    "[[stage]]\nname='a'\n[[stage]]\nname='a'": "two stages are called 'a': give each a name of its own",
    "[[stage]": "recipe FILE cannot be read: ",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_in_a_file(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(BirealError) as caught:
        load_recipe(path)
    message = str(caught.value).replace(path, "FILE")
    assert "\n" not in message
    assert message.startswith(MISTAKES[text] if "FILE" in MISTAKES[text] else f"recipe mine.toml: {MISTAKES[text]}")


def test_an_unknown_recipe_and_a_file_that_is_not_there() -> None:
    with pytest.raises(BirealError, match=r"^unknown recipe 'papper': did you mean 'paper'\? choose from adam, "):
        load_recipe("papper")
    with pytest.raises(BirealError, match=r"^unknown recipe 'tried/muno': did you mean 'tried/muon'\? choose from "):
        load_recipe("tried/muno")
    with pytest.raises(BirealError, match=r"^recipe /no/where.toml cannot be read: No such file or directory$"):
        load_recipe("/no/where.toml")


# ---- words ----


def test_the_manual_names_every_recipe_field_choice_and_technique() -> None:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    hidden = {"name", "stages", "left_out", "about"}
    fields = {field.name for kind in (Recipe, Stage) for field in dataclasses.fields(kind)} - hidden
    choices = {name for names in CHOICES.values() for name in names}
    stages = {stage.name for name in shipped() for stage in load_recipe(name).stages}
    words = {*fields, *choices, *stages, *TECHNIQUES, *shipped()}
    assert {word for word in words if f"`{word}`" not in text} == set()
