"""Tests of `tunesmith.tuning.portfolio`."""

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.space import Choice, Field, Float, When
from tunesmith.tuning.portfolio import Portfolio
from tunesmith.tuning.protocols import History
from tunesmith.tuning.random_sampler import RandomSampler

SPACE = {
    "optimizer": Field(Choice("sgd", "adamw"), "sgd"),
    "momentum": Field(Float(0.0, 0.99), 0.9, When("optimizer", "sgd")),
}


def test_known_configs_come_first_and_in_order() -> None:
    sampler = Portfolio([{}, {"optimizer": "adamw"}], then=RandomSampler())
    history = History(horizon=1)
    for _ in range(3):
        history = history.started(sampler(SPACE, history, seed=0), until=1)
    known = history.started({}, until=1)
    assert [dict(trial.config) for trial in history.trials[:2]] == [
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adamw"},
    ]
    third = RandomSampler()(SPACE, History(horizon=1, trials=known.trials[:2]), seed=0)
    assert history.trials[2].config == third


def test_a_known_config_must_fit() -> None:
    sampler = Portfolio([{"optimizer": "lion"}], then=RandomSampler())
    with pytest.raises(SettingsError, match="`optimizer` must lie in"):
        sampler(SPACE, History(horizon=1), seed=0)
