"""Tests of `tunesmith.training.config`."""

from tunesmith.core.space import Choice, space_of
from tunesmith.training.config import RECIPES, TrainConfig


def test_the_defaults_are_the_recipe_of_the_default_optimizer() -> None:
    default = TrainConfig()
    assert default.model_dump().items() >= dict(RECIPES[default.optimizer]).items()


def test_each_optimizer_has_a_recipe_with_what_it_uses() -> None:
    space = space_of(TrainConfig)
    assert space["optimizer"].range == Choice(*RECIPES)
    for name in RECIPES:
        config = TrainConfig.model_validate({"optimizer": name, **RECIPES[name]})
        for key in RECIPES[name]:
            when = space[key].when
            assert when is None or when.holds(config.model_dump())
