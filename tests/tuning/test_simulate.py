"""Tests of `tunesmith.tuning.simulate`."""

import numpy as np
import pytest

from tunesmith.core.space import Config, Field, Float, Space
from tunesmith.tuning.asha import ASHA, FULL
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.protocols import History, Scheduler
from tunesmith.tuning.random_sampler import RandomSampler
from tunesmith.tuning.simulate import Recording, simulate
from tunesmith.tuning.tpe import TPE


def recording(count: int = 60, horizon: int = 20, *, seconds: float = 1.0) -> Recording:
    """Curves that end the lower, the nearer ``x`` is to 0.3."""
    space = {"x": Field(Float(0.0, 1.0), 0.5)}
    xs = np.random.default_rng(0).random(count)
    steps_T = np.arange(1, horizon + 1)
    values_NT = np.abs(xs - 0.3)[:, None] + 1 / steps_T
    configs = [{"x": float(x)} for x in xs]
    return Recording(
        space=space, configs=configs, values_NT=values_NT, seconds_N=np.full(count, seconds)
    )


def test_without_a_scheduler_trials_follow_each_other() -> None:
    measured = simulate(recording(), RandomSampler(), FULL, budget=50)
    assert [m.time for m in measured] == list(range(1, 51))
    assert [(m.trial, m.at) for m in measured[18:22]] == [(0, 19), (0, 20), (1, 1), (1, 2)]


def test_the_clock_counts_what_a_unit_takes() -> None:
    measured = simulate(recording(seconds=2.5), RandomSampler(), FULL, budget=26)
    assert [m.time for m in measured] == [2.5 * n for n in range(1, 11)]


@pytest.mark.parametrize("workers", [1, 2, 8, 64])
@pytest.mark.parametrize("scheduler", [FULL, ASHA(), FreezeThaw()])
def test_no_worker_is_idle_and_no_unit_is_counted_twice(scheduler: Scheduler, workers: int) -> None:
    measured = simulate(recording(400), TPE(), scheduler, budget=20, workers=workers)
    assert len(measured) == 20 * workers
    units = [(m.trial, m.at) for m in measured]
    assert len(set(units)) == len(units)
    assert all(at == 1 or (trial, at - 1) in units for trial, at in units)
    assert max(np.bincount([int(m.time) for m in measured])) == workers


def test_it_ends_when_nothing_is_left() -> None:
    few = recording(count=5, horizon=4)
    measured = simulate(few, TPE(), FreezeThaw(), budget=1000, workers=3)
    assert len(measured) == 5 * 4
    assert {m.value for m in measured} == set(few.values_NT.ravel())


def test_a_training_ends_where_it_gives_nan() -> None:
    broken = recording(count=5, horizon=10)
    broken.values_NT[:, 2:] = np.nan
    measured = simulate(broken, RandomSampler(), FULL, budget=1000)
    assert [m.at for m in measured] == [1, 2, 3] * 5


def test_a_proposal_takes_the_nearest_recorded_config() -> None:
    def wish(space: Space, history: History, *, seed: int) -> Config:
        return {"x": 0.3}

    measured = simulate(recording(), wish, ASHA(), budget=30)
    first = [m.value for m in measured if m.at == 1]
    assert first == sorted(first)


def test_blocks_find_in_the_same_time_what_full_trainings_do_not() -> None:
    def best(scheduler: Scheduler, seed: int) -> float:
        measured = simulate(recording(400), TPE(), scheduler, budget=150, seed=seed)
        return min(m.value for m in measured)

    full = np.median([best(FULL, seed) for seed in range(5)])
    assert np.median([best(ASHA(), seed) for seed in range(5)]) < full
    assert np.median([best(FreezeThaw(), seed) for seed in range(5)]) < full
