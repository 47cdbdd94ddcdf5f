"""Tests of `tunesmith.tuning.effect`; what it is for is tested in test_importance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tunesmith.core.space import Choice, Config, Field, Float, Space, When
from tunesmith.tuning.effect import FEWEST, Effect

SPACE: Space = {
    "optimizer": Field(Choice("sgd", "adam"), "sgd"),
    "momentum": Field(Float(0.0, 1.0), 0.9, When("optimizer", "sgd")),
    "idle": Field(Float(0.0, 1.0), 0.5),
}


def configs(count: int) -> list[dict[str, Any]]:
    chance = np.random.default_rng(0)
    drawn = []
    for number in range(count):
        config = {"optimizer": "sgd", "momentum": chance.random(), "idle": chance.random()}
        if number % 2:
            config = {"optimizer": "adam", "idle": chance.random()}
        drawn.append(config)
    return drawn


def of(name: str, tried: Sequence[Config], values: Sequence[float], space: Space = SPACE) -> Effect:
    effect = Effect.of(name, space, tried, np.array(values))
    assert effect is not None
    return effect


def test_what_only_one_option_has_does_not_hide_that_option() -> None:
    tried = configs(30)
    values = [float(config["optimizer"] == "sgd") + 0.3 * config["idle"] for config in tried]
    effect = of("optimizer", tried, values)
    assert effect.chance(draws=1000) == 0.001
    assert effect.share > 0.7


def test_only_trials_with_the_field_tell_of_it() -> None:
    tried = configs(2 * FEWEST)
    values = [config.get("momentum", 100.0) for config in tried]
    assert len(of("momentum", tried, values).rest_N) == FEWEST
    assert Effect.of("momentum", SPACE, tried[:-2], np.array(values[:-2])) is None


def test_a_field_that_was_always_the_same_has_no_effect() -> None:
    tried = [{**config, "idle": 0.5} for config in configs(30)]
    assert Effect.of("idle", SPACE, tried, np.arange(30.0)) is None
    assert Effect.of("optimizer", SPACE, [{"optimizer": "sgd"}] * 30, np.arange(30.0)) is None


@pytest.mark.parametrize("best", [0.0, 0.5, 1.0])
def test_an_optimum_shows_wherever_it_lies(best: float) -> None:
    space: Space = {"x": Field(Float(0.0, 1.0), 0.5)}
    tried = [{"x": x} for x in np.linspace(0.0, 1.0, 20)]
    effect = of("x", tried, [(config["x"] - best) ** 2 for config in tried], space)
    assert effect.share > 0.9
    assert effect.chance(draws=1000) == 0.001


def test_by_chance_nothing_is_explained_on_average() -> None:
    chance = np.random.default_rng(0)
    tried = configs(30)
    effects = [of("idle", tried, chance.random(30).tolist()) for _ in range(200)]
    assert np.mean([effect.share for effect in effects]) < 0.05
    chances = [effect.chance(draws=200) for effect in effects]
    assert np.mean(np.array(chances) < 0.2) == pytest.approx(0.2, abs=0.06)
