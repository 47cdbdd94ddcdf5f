"""Tests of `tunesmith.tuning.random_sampler`; the laws of samplers are tested in test_contracts."""

import numpy as np
import pytest

from tunesmith.core.space import Choice, Field, Float
from tunesmith.tuning.cube import encode
from tunesmith.tuning.protocols import History, Sampler
from tunesmith.tuning.random_sampler import QuasiRandomSampler, RandomSampler

SPACE = {
    "lr": Field(Float(1e-4, 1.0, log=True), 0.1),
    "dropout": Field(Float(0.0, 1.0), 0.0),
    "pooling": Field(Choice("mean", "max"), "max"),
}


def draw(sampler: Sampler, count: int, *, seed: int = 0) -> list[dict[str, float]]:
    history = History(horizon=1)
    for _ in range(count):
        history = history.started(sampler(SPACE, history, seed=seed), until=1)
    return [dict(trial.config) for trial in history.trials]


@pytest.mark.parametrize("sampler", [RandomSampler(), QuasiRandomSampler()])
def test_each_range_is_covered_evenly_on_its_scale(sampler: Sampler) -> None:
    x_ND = encode(SPACE, draw(sampler, 400))
    assert x_ND.mean(axis=0) == pytest.approx(0.5, abs=0.06)
    assert x_ND[:, :2].std(axis=0) == pytest.approx(12**-0.5, abs=0.03)


def test_seeds_differ() -> None:
    assert draw(RandomSampler(), 3) != draw(RandomSampler(), 3, seed=1)
    assert draw(QuasiRandomSampler(), 3) != draw(QuasiRandomSampler(), 3, seed=1)


def test_quasi_random_points_leave_smaller_holes() -> None:
    def largest_hole(sampler: Sampler, seed: int) -> float:
        values = sorted(config["dropout"] for config in draw(sampler, 16, seed=seed))
        return float(np.diff([0.0, *values, 1.0]).max())

    quasi, independent = (
        np.mean([largest_hole(sampler, seed) for seed in range(20)])
        for sampler in (QuasiRandomSampler(), RandomSampler())
    )
    assert quasi < 0.8 * independent
