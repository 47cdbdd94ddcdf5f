"""Tests of `tunesmith.tuning.own`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunesmith.core.space import Choice, Config, Field, Float, Int, Space, When
from tunesmith.testing.contracts import SAMPLER_LAWS, SCHEDULER_LAWS
from tunesmith.tuning.asha import ASHA
from tunesmith.tuning.own import OwnError, OwnSampler, OwnScheduler
from tunesmith.tuning.protocols import (
    Decision,
    History,
    Observation,
    Resume,
    Sampler,
    Scheduler,
    Start,
    Stop,
)
from tunesmith.tuning.random_sampler import RandomSampler

SPACE: Space = {
    "lr": Field(Float(0.0, 1.0), 0.5),
    "depth": Field(Int(1, 4), 2),
    "kind": Field(Choice("a", "b"), "a"),
    "rate": Field(Float(0.0, 1.0), 0.5, When("kind", "b")),
}
GOOD: Config = {"lr": 0.25, "depth": 3, "kind": "a"}
# Trial 0 runs, and trial 1 has paused.
HISTORY = (
    History(horizon=10)
    .started({}, until=2)
    .started({}, until=2)
    .observed(1, (Observation(at=2, value=1.0),), seconds=1.0)
)


def proposed(config: object) -> dict[str, Any]:
    def sampler(space: Space, history: History, *, seed: int) -> Any:
        return config

    return OwnSampler("mine.sampler", sampler)(SPACE, HISTORY, seed=0)


def decided(decision: object, *, may_start: bool = True) -> Decision:
    def scheduler(history: History, **_: object) -> Any:
        return decision

    own = OwnScheduler("mine.scheduler", scheduler)
    return own(HISTORY, spent=0.0, may_start=may_start, seed=0)


@pytest.mark.parametrize("law", SAMPLER_LAWS, ids=lambda law: law.__name__)
def test_a_good_sampler_stays_one(law: Callable[[Sampler], None]) -> None:
    law(OwnSampler("mine", RandomSampler()))


@pytest.mark.parametrize("law", SCHEDULER_LAWS, ids=lambda law: law.__name__)
def test_a_good_scheduler_stays_one(law: Callable[[Scheduler], None]) -> None:
    law(OwnScheduler("mine", ASHA()))


def test_numbers_of_numpy_become_those_of_python() -> None:
    config = proposed({"lr": np.float32(0.25), "depth": np.int64(3), "kind": np.str_("a")})
    assert config == GOOD
    assert [type(value) for value in config.values()] == [float, int, str]
    resumed = decided(Resume(np.int64(1), np.int64(4)))  # type: ignore[arg-type]
    assert resumed == Resume(1, 4)
    assert isinstance(resumed, Resume)
    assert (type(resumed.trial), type(resumed.until)) == (int, int)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "must return a mapping of fields to values, but returned None. Mend it"),
        ({**GOOD, "lr": 7.0}, r"does not fit the space: `lr` must lie in Float.* but got 7\.0\."),
        ({**GOOD, "lr": np.zeros(2)}, "does not fit the space: "),
        ({**GOOD, "kind": np.zeros(2)}, "does not fit the space: "),
        ({**GOOD, "lr": float("nan")}, "does not fit the space: `lr` must lie in"),
        ({**GOOD, "Lr": 0.5}, "the space: `Lr` is no field of it .it has: lr, depth, kind, rate"),
        ({3: 0.5}, "the space: `3` is no field of it"),
        ({"lr": 0.25, "kind": "a"}, "does not fit the space: `depth` is missing"),
        ({**GOOD, "rate": 0.5}, "`rate` means nothing beside the other values"),
    ],
)
def test_what_does_not_fit_the_space_is_refused(config: object, message: str) -> None:
    with pytest.raises(OwnError, match=message) as caught:
        proposed(config)
    assert str(caught.value).startswith("The sampler mine.sampler ")
    assert "Mend it, or pass another `sampler`: what was trained is kept" in str(caught.value)


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (Start(2), "no other trial may be started now"),
        (Resume(0, 4), r"only a paused trial can be resumed \(now: 1\)"),
        (Resume(7, 4), "only a paused trial can be resumed"),
        (Resume(-1, 4), "only a paused trial can be resumed"),
        (Resume(1, 2), "`until` must be from 3 to 10 units"),
        (Resume(1, 11), "`until` must be from 3 to 10 units"),
        (Resume(1, 2.5), "it must return Start, Resume or Stop"),  # type: ignore[arg-type]
        (Stop(""), "a reason is needed"),
        (None, "decided None, but it must return Start, Resume or Stop"),
    ],
)
def test_what_cannot_be_done_is_refused(decision: object, message: str) -> None:
    with pytest.raises(OwnError, match=message) as caught:
        decided(decision, may_start=False)
    assert str(caught.value).startswith("The scheduler mine.scheduler decided ")


@pytest.mark.parametrize("until", [0, -1, 11])
def test_a_new_trial_trains_within_the_horizon(until: int) -> None:
    assert decided(Start(10)) == Start(10)
    with pytest.raises(OwnError, match="`until` must be from 1 to 10 units"):
        decided(Start(until))


class Speechless(Exception):  # noqa: N818 (it is what it says)
    """One whose text cannot be read."""

    def __str__(self) -> str:
        raise AttributeError("no text")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no luck."), "The sampler mine raised ValueError: no luck. Mend it"),
        (Speechless(), "The sampler mine raised Speechless. Mend it"),
    ],
)
def test_an_error_is_told_with_its_owner(error: Exception, message: str) -> None:
    def fails(space: Space, history: History, *, seed: int) -> Config:
        raise error

    with pytest.raises(OwnError, match=message) as caught:
        OwnSampler("mine", fails)(SPACE, HISTORY, seed=0)
    assert caught.value.__cause__ is error
    assert caught.value.kind == "sampler"


def test_what_takes_other_arguments_is_told() -> None:
    with pytest.raises(
        OwnError, match=r"The scheduler mine raised TypeError: .*unexpected keyword"
    ):
        OwnScheduler("mine", lambda _: Stop("All done."))(  # type: ignore[arg-type]
            HISTORY, spent=0.0, may_start=True, seed=0
        )
