"""Laws of every sampler, every scheduler and every executor, which tests of a new one run too.

```
@pytest.mark.parametrize("law", SAMPLER_LAWS, ids=lambda law: law.__name__)
def test_mine_is_a_sampler(law):
    law(MySampler())
```
A law is a function that raises `AssertionError` if it is violated. `EXECUTOR_LAWS` end what they
began; give each of them an executor that is new.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.core.space import Choice, Field, Float, Int, Space, When, check_values, complete
from tunesmith.testing.executors import EXECUTOR_LAWS
from tunesmith.tuning.cube import decode
from tunesmith.tuning.fresh import new_config
from tunesmith.tuning.protocols import (
    Decision,
    History,
    Observation,
    Resume,
    Sampler,
    Scheduler,
    Start,
    Stop,
    Trial,
)

__all__ = ["EXECUTOR_LAWS", "SAMPLER_LAWS", "SCHEDULER_LAWS"]

SPACES: dict[str, Space] = {
    "numbers": {
        "lr": Field(Float(1e-5, 1.0, log=True), 1e-2),
        "width": Field(Int(1, 512, log=True), 64),
        "dropout": Field(Float(0.0, 0.9), 0.1),
        "depth": Field(Int(1, 3), 2),
    },
    "conditions": {
        "optimizer": Field(Choice("sgd", "adamw", None), "sgd"),
        "lr": Field(Float(1e-5, 1.0, log=True), 1e-2),
        "momentum": Field(Float(0.0, 0.99), 0.9, When("optimizer", "sgd")),
        "nesterov": Field(Choice("yes", "no"), "no", When("momentum", 0.9)),
    },
    "one choice": {"pooling": Field(Choice("2 x 2", "none"), "none")},
}
HORIZON = 25
FAILING = 0.05  # share of the slices that fail


def _history(space: Space, count: int, *, seed: int = 0) -> History:
    """Make a search with trials of every state: paused, done, failed and running."""
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        units = int(rng.integers(1, HORIZON + 1))
        values = (rng.random() + 1 / np.arange(1, units + 1)).tolist()
        curve = tuple(Observation(at=at, value=v) for at, v in enumerate(values, start=1))
        trial = Trial(config=decode(space, rng.random(len(space))), curve=curve, seconds=units)
        match number % 8:
            case 5:
                trial = replace(trial, failed="It gave NaN.")
            case 6:
                trial = replace(trial, curve=(), until=2)
            case 7:
                trial = replace(trial, curve=(Observation(at=1, value=np.nan),), failed="NaN.")
            case _:
                pass
        trials.append(trial)
    return History(horizon=HORIZON, trials=tuple(trials))


def _situations() -> Iterator[tuple[Space, History]]:
    for space in SPACES.values():
        for count in (0, 1, 9, 40):
            yield space, _history(space, count)


def proposals_lie_in_the_space(sampler: Sampler) -> None:
    """A proposal has a value in its range for each active field, and no other."""
    for space, history in _situations():
        for seed in range(3):
            config = dict(sampler(space, history, seed=seed))
            check_values(space, config)
            assert config == complete(space, config), f"not the fields that count: {config}"


def the_same_arguments_give_the_same_config(sampler: Sampler) -> None:
    """A sampler has no state: equal arguments give equal configs, whatever it was asked before."""
    first = [sampler(space, history, seed=1) for space, history in _situations()]
    second = [sampler(space, history, seed=1) for space, history in reversed([*_situations()])]
    assert first == second[::-1]


def it_leaves_the_global_random_state_alone(sampler: Sampler) -> None:
    """The user's own random numbers do not depend on the sampler."""
    for space, history in _situations():
        before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index] # noqa: NPY002
        sampler(space, history, seed=0)
        after = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index] # noqa: NPY002
        assert before == after


def it_does_not_repeat_itself(sampler: Sampler) -> None:
    """While its last proposals run, a sampler proposes something else.

    So it does in a small space, if what was tried before is drawn again, as a search does.
    """
    space, history = SPACES["numbers"], _history(SPACES["numbers"], 20)
    for _ in range(4):
        history = history.started(sampler(space, history, seed=0), until=1)
    proposed = [trial.config for trial in history.trials[-4:]]
    assert all(proposed.count(config) == 1 for config in proposed)
    space, history = SPACES["one choice"], History(horizon=HORIZON)
    for _ in range(2):
        config = new_config(sampler, space, history, seed=0)
        history = history.started(config, until=1).observed(
            len(history.trials), (Observation(at=1, value=1.0),), seconds=1.0
        )
    first, second = (trial.config for trial in history.trials)
    assert first != second


def it_proposes_where_everything_failed(sampler: Sampler) -> None:
    """A sampler works even if no trial has a value."""
    for space in SPACES.values():
        history = _history(space, 30)
        failed = tuple(replace(t, curve=(), until=None, failed="Memory.") for t in history.trials)
        check_values(space, sampler(space, replace(history, trials=failed), seed=0))


SAMPLER_LAWS: tuple[Callable[[Sampler], None], ...] = (
    proposals_lie_in_the_space,
    the_same_arguments_give_the_same_config,
    it_leaves_the_global_random_state_alone,
    it_does_not_repeat_itself,
    it_proposes_where_everything_failed,
)


def _search(
    scheduler: Scheduler, *, horizon: int, trials: int, workers: int, seed: int = 0
) -> Iterator[tuple[History, dict[str, Any], Decision]]:
    """Run a search of a few trials to its end, on random curves; yield each decision."""
    rng = np.random.default_rng(seed)
    history, most = History(horizon=horizon), 4 * horizon * trials + 20
    for step in range(most):
        may_start = len(history.trials) < trials
        asked: dict[str, Any] = {"spent": step / most, "may_start": may_start, "seed": seed}
        running = [n for n, trial in enumerate(history.trials) if trial.until is not None]
        decision: Decision = Stop("")
        if len(running) < workers:
            decision = scheduler(history, **asked)
            yield history, asked, decision
        match decision:
            case Start(until=until):
                history = history.started({}, until=until)
            case Resume(trial=number, until=until):
                history = history.resumed(number, until=until)
            case Stop():
                if not running:
                    return
                history = _ended(history, running[int(rng.integers(len(running)))], rng)
    raise AssertionError(f"{trials} trials of {horizon} units did not end in {most} steps")


def _ended(history: History, number: int, rng: np.random.Generator) -> History:
    """End a slice: with a value per unit, or one in all; or with a failure, or without result."""
    trial = history.trials[number]
    assert trial.until is not None
    if rng.random() < FAILING:
        return history.failed(number, "It ran out of memory.")
    if rng.random() < FAILING:
        point = Observation(at=trial.at + 1, value=np.nan)
        return history.observed(number, (point,), seconds=1.0).failed(number, "It gave NaN.")
    if rng.random() < FAILING:
        return history.observed(number, (), seconds=0.0)
    ends = range(trial.at + 1, trial.until + 1) if number % 2 else [trial.until]
    curve = tuple(Observation(at=at, value=rng.random() + 1 / at) for at in ends)
    return history.observed(number, curve, seconds=len(curve))


def _searches(
    scheduler: Scheduler,
) -> Iterator[tuple[History, dict[str, Any], Decision]]:
    for horizon, trials, workers in ((1, 3, 1), (HORIZON, 12, 1), (100, 20, 4)):
        yield from _search(scheduler, horizon=horizon, trials=trials, workers=workers)


def decisions_can_be_carried_out(scheduler: Scheduler) -> None:
    """Only what may start is started, only paused trials are resumed, and each slice advances."""
    for history, asked, decision in _searches(scheduler):
        match decision:
            case Start(until=until):
                assert asked["may_start"], "a trial too many"
                assert 0 < until <= history.horizon
            case Resume(trial=number, until=until):
                assert number in history.paused(), f"trial {number} has not paused"
                assert history.trials[number].at < until <= history.horizon
            case Stop(reason=reason):
                assert reason, "a reason is missing"


def a_search_ends_when_every_trial_is_trained(scheduler: Scheduler) -> None:
    """If no more trials may start, the existing ones are trained to the horizon."""
    for history, asked, decision in _searches(scheduler):
        if isinstance(decision, Stop):
            assert not history.paused(), "stopped with trials that could go on"
            assert not asked["may_start"], "stopped with trials that could start"


def the_same_arguments_give_the_same_decision(scheduler: Scheduler) -> None:
    """A scheduler has no state: equal arguments give equal decisions."""
    asked = [*_searches(scheduler)]
    for history, arguments, decision in reversed(asked):
        assert scheduler(history, **arguments) == decision


def configs_are_none_of_its_business(scheduler: Scheduler) -> None:
    """Decisions depend on the curves, and not on the configs."""
    for history, asked, decision in _searches(scheduler):
        other = tuple(replace(trial, config={"lr": n}) for n, trial in enumerate(history.trials))
        assert scheduler(replace(history, trials=other), **asked) == decision


def the_unit_of_the_values_does_not_matter(scheduler: Scheduler) -> None:
    """Scaling all values by a power of two changes no decision, to the bit."""
    for history, asked, decision in _searches(scheduler):
        other = tuple(
            replace(trial, curve=tuple(replace(o, value=8 * o.value) for o in trial.curve))
            for trial in history.trials
        )
        assert scheduler(replace(history, trials=other), **asked) == decision


SCHEDULER_LAWS: tuple[Callable[[Scheduler], None], ...] = (
    decisions_can_be_carried_out,
    a_search_ends_when_every_trial_is_trained,
    the_same_arguments_give_the_same_decision,
    configs_are_none_of_its_business,
    the_unit_of_the_values_does_not_matter,
)
