"""Tests of `tunesmith.tuning.near`; the laws of samplers are tested in test_contracts."""

import numpy as np

from tunesmith.core.space import Choice, Field, Float, When, complete
from tunesmith.tuning.near import FIRST, KEPT, Near
from tunesmith.tuning.protocols import History, Trial
from tunesmith.tuning.random_sampler import RandomSampler

SPACE = {f"x{n}": Field(Float(0.0, 1.0), 0.5) for n in range(10)} | {
    "kind": Field(Choice("a", "b"), "a"),
    "only_b": Field(Float(0.0, 1.0), 0.5, When("kind", "b")),
}
DEFAULTS = {name: field.default for name, field in SPACE.items()}


def after(count: int) -> History:
    return History(horizon=25, trials=(Trial(config=complete(SPACE, {})),) * count)


def kept(count: int, seed: int) -> float:
    """Share of the fields that have their default, after so many trials."""
    config = Near(RandomSampler())(SPACE, after(count), seed=seed)
    assert config == complete(SPACE, config)
    same = [name for name, value in config.items() if DEFAULTS[name] == value]
    return len(same) / len(config)


def test_every_second_one_of_the_first_keeps_most_defaults_and_changes_something() -> None:
    near = [kept(number, seed) for number in range(1, FIRST, 2) for seed in range(20)]
    assert abs(np.mean(near) - KEPT) < 0.1
    assert any(share < 1 for share in near)


def test_the_others_are_as_they_were_proposed() -> None:
    for number in (2, 4, FIRST, FIRST + 1):
        plain = RandomSampler()(SPACE, after(number), seed=1)
        assert Near(RandomSampler())(SPACE, after(number), seed=1) == plain
