"""Tests of `tunesmith.testing.contracts`: each law is kept by ours, and broken by who breaks it."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.core.space import Config, Space
from tunesmith.testing import contracts
from tunesmith.testing.contracts import SAMPLER_LAWS, SCHEDULER_LAWS
from tunesmith.tuning.asha import ASHA, FULL
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.gp import GP
from tunesmith.tuning.hyperopt_sampler import HyperoptSampler
from tunesmith.tuning.near import Near
from tunesmith.tuning.optuna_sampler import OptunaSampler
from tunesmith.tuning.portfolio import Portfolio
from tunesmith.tuning.protocols import (
    Decision,
    History,
    Resume,
    Sampler,
    Scheduler,
    Start,
    Stop,
)
from tunesmith.tuning.random_sampler import QuasiRandomSampler, RandomSampler
from tunesmith.tuning.tpe import TPE
from tunesmith.tuning.within import Within

SAMPLERS: dict[str, Sampler] = {
    "random": RandomSampler(),
    "quasi-random": QuasiRandomSampler(),
    "near": Near(RandomSampler()),
    "within": Within(RandomSampler(), costly=("width", "depth")),
    "gp": GP(),
    "tpe": TPE(),
    "portfolio": Portfolio([{}], then=GP()),
    "optuna": OptunaSampler(),
    "optuna, gaussian": OptunaSampler(gaussian=True),
    "hyperopt": HyperoptSampler(),
}
SCHEDULERS: dict[str, Scheduler] = {
    "full": FULL,
    "asha": ASHA(),
    "asha, rung 4 %": ASHA(first=0.04),
    "freeze-thaw": FreezeThaw(),
    "freeze-thaw, blocks of 10 %": FreezeThaw(block=0.1),
}


@pytest.mark.parametrize("law", SAMPLER_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_ours_are_samplers(sampler: Sampler, law: Callable[[Sampler], None]) -> None:
    law(sampler)


@pytest.mark.parametrize("law", SCHEDULER_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_ours_are_schedulers(scheduler: Scheduler, law: Callable[[Scheduler], None]) -> None:
    law(scheduler)


class Stateful:
    """Proposes something else whenever it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, space: Space, history: History, *, seed: int) -> Config:
        self.asked += 1
        return RandomSampler()(space, history, seed=seed + self.asked)


def outside(space: Space, history: History, *, seed: int) -> Config:
    return RandomSampler()(space, history, seed=seed) | {"nobody": 1}


def everything(space: Space, history: History, *, seed: int) -> Config:
    return {name: field.default for name, field in space.items()} | RandomSampler()(
        space, history, seed=seed
    )


def ambient(space: Space, history: History, *, seed: int) -> Config:
    random.random()
    return RandomSampler()(space, history, seed=seed)


def constant(space: Space, history: History, *, seed: int) -> Config:
    return RandomSampler()(space, History(horizon=1), seed=0)


def lost_without_values(space: Space, history: History, *, seed: int) -> Config:
    _ = min(trial.best for trial in history.trials if trial.curve)
    return RandomSampler()(space, history, seed=seed)


@pytest.mark.parametrize(
    ("law", "sampler"),
    [
        (contracts.proposals_lie_in_the_space, outside),
        (contracts.proposals_lie_in_the_space, everything),
        (contracts.the_same_arguments_give_the_same_config, Stateful()),
        (contracts.it_leaves_the_global_random_state_alone, ambient),
        (contracts.it_does_not_repeat_itself, constant),
        (contracts.it_proposes_where_everything_failed, lost_without_values),
    ],
)
def test_a_sampler_that_breaks_a_law_is_found(
    law: Callable[[Sampler], None], sampler: Sampler
) -> None:
    with pytest.raises((AssertionError, ValueError)):
        law(sampler)


def beyond(history: History, **asked: Any) -> Decision:
    return Start(history.horizon + 1) if asked["may_start"] else FULL(history, **asked)


def idle(history: History, **asked: Any) -> Decision:
    return Stop("I am tired.")


ASKED = itertools.count()


def restless(history: History, **asked: Any) -> Decision:
    return Stop(f"This is question {next(ASKED)}.")


def curious(history: History, **asked: Any) -> Decision:
    if any(trial.config for trial in history.trials):
        return Stop("I know this one.")
    return FULL(history, **asked)


def absolute(history: History, **asked: Any) -> Decision:
    paused = history.paused()
    good = [number for number in paused if history.trials[number].best < 1.5]
    if good:
        return Resume(good[0], history.trials[good[0]].at + 1)
    if asked["may_start"]:
        return Start(1)
    return Resume(paused[0], history.horizon) if paused else Stop("All done.")


@pytest.mark.parametrize(
    ("law", "scheduler"),
    [
        (contracts.decisions_can_be_carried_out, beyond),
        (contracts.a_search_ends_when_every_trial_is_trained, idle),
        (contracts.the_same_arguments_give_the_same_decision, restless),
        (contracts.configs_are_none_of_its_business, curious),
        (contracts.the_unit_of_the_values_does_not_matter, absolute),
    ],
)
def test_a_scheduler_that_breaks_a_law_is_found(
    law: Callable[[Scheduler], None], scheduler: Scheduler
) -> None:
    with pytest.raises(AssertionError):
        law(scheduler)
