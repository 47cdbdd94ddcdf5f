"""Tests of `tunesmith.training.config`."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tunesmith.core.space import Choice, space_of
from tunesmith.training.config import OF_OPTIMIZER, RECIPES, TUNED_RECIPES, TrainConfig


def test_the_defaults_are_the_recipe_of_the_default_optimizer() -> None:
    default = TrainConfig()
    assert default.model_dump().items() >= dict(RECIPES[default.optimizer]).items()


def test_each_optimizer_has_a_recipe() -> None:
    assert space_of(TrainConfig)["optimizer"].range == Choice(*RECIPES)


@pytest.mark.parametrize("recipes", [RECIPES, TUNED_RECIPES], ids=["from scratch", "pretrained"])
def test_a_recipe_holds_what_its_optimizer_uses(
    recipes: Mapping[str, Mapping[str, float]],
) -> None:
    space = space_of(TrainConfig)
    for name, recipe in recipes.items():
        config = TrainConfig.model_validate({"optimizer": name, **recipe})
        assert recipe.keys() < OF_OPTIMIZER
        for key, value in recipe.items():
            when = space[key].when
            assert when is None or when.holds(config.model_dump())
            assert space[key].range.holds(value)


def test_the_page_tells_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")
    table = page.partition("### Optimizers\n")[2].partition("\n###")[0]
    rows = [re.split(r" *\| *", line)[1:-1] for line in table.splitlines() if line[:1] == "|"]
    assert rows[0][1:] == [
        *(f"`{name}`" for name in RECIPES),
        *(f"`{name}`, pretrained" for name in ("sgd", "adamw")),
    ]
    recipes = [*RECIPES.items(), *((name, TUNED_RECIPES[name]) for name in ("sgd", "adamw"))]
    for key, *told in rows[2:]:
        field = space_of(TrainConfig)[key.strip("`")]
        for (name, recipe), value in zip(recipes, told, strict=True):
            is_used = field.when is None or field.when.holds({"optimizer": name})
            expected = recipe.get(key.strip("`"), field.default)
            assert value == (str(expected) if is_used else ""), (key, name)


def test_what_belongs_to_an_optimizer() -> None:
    rates, others = {"lr", "lr_head", "lr_bias"}, {"optimizer", "momentum", "warmup"}
    assert rates | others | {"weight_decay", "layer_decay"} == OF_OPTIMIZER
