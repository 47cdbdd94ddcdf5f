"""Tests of `tunesmith.tuning.failures`."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.errors import CodeChangedError, SettingsError
from tunesmith.execution.executor import Failure, Outcome
from tunesmith.tuning.failures import (
    FAILURES_MOST,
    ShortError,
    check_failures,
    check_outcome,
    outage,
    told,
)
from tunesmith.tuning.protocols import History, Observation, Trial

WHERE = Path("trials/0002/error.txt")


def history(*reasons: str | None) -> History:
    """Trials that failed, and others that have a value."""
    point = Observation(at=1, value=0.5)
    trials = [Trial(config={}, curve=() if why else (point,), failed=why) for why in reasons]
    return History(horizon=10, trials=tuple(trials))


def test_one_reason_for_all_is_no_trials_fault() -> None:
    devices = [f"no device number {n}" for n in range(3)]
    with pytest.raises(SettingsError, match=r"first 3 trials failed.*number 2 Mend it; .*0002"):
        check_failures(history(*devices), WHERE)


@pytest.mark.parametrize(
    ("failure", "ends_if_short", "error"),
    [
        ("changed", False, CodeChangedError),
        ("memory", True, ShortError),
        ("memory", False, None),
        ("raised", True, None),
        ("", True, None),
    ],
)
def test_no_trial_is_to_blame_for_changed_code_or_where_each_has_a_part_of_the_memory(
    failure: Failure, ends_if_short: bool, error: type[Exception] | None
) -> None:
    failed = "It was lost." if failure else None
    outcome = Outcome(key="0", seconds=1.0, failed=failed, failure=failure)
    with pytest.raises(error, match=r"It was lost\.") if error else nullcontext():
        check_outcome(outcome, ends_if_short=ends_if_short)


@pytest.mark.parametrize(
    "varying", ["0x7f{}c", "/tmp/run{}/data.csv", "host{}.local:80", "C:\\data\\part-{}", "x@{}"]
)
def test_numbers_and_addresses_make_no_other_reason(varying: str) -> None:
    reasons = [f"It raised OSError: {varying.format(letter)} is lost" for letter in "abc"]
    with pytest.raises(SettingsError, match="first 3 trials failed for one reason"):
        check_failures(history(*reasons), WHERE)


@pytest.mark.parametrize(
    "reasons",
    [
        ("memory", "memory"),
        ("memory", "memory", "NaN"),
        ("memory", "memory", None, "memory"),
        ("memory", "memory", "memory", None),
        (*["memory", "NaN"] * (FAILURES_MOST // 2 - 1), "memory"),
        (*["memory", "NaN"] * FAILURES_MOST, None),
    ],
)
def test_few_failures_other_reasons_and_values_say_nothing(reasons: tuple[str | None, ...]) -> None:
    check_failures(history(*reasons), WHERE)


def test_what_trials_had_before_they_failed_is_a_value() -> None:
    trained = history(None).failed(0, "memory")
    check_failures(replace(trained, trials=trained.trials * FAILURES_MOST), WHERE)


def test_many_failures_and_no_value_are_enough_whatever_the_reasons() -> None:
    reasons = ["memory", "NaN"] * (FAILURES_MOST // 2)
    with pytest.raises(SettingsError, match=r"^10 trials failed and none .*: memory; NaN\. Mend"):
        check_failures(history(*reasons), WHERE)


def test_each_reason_is_told_once_and_not_too_many() -> None:
    assert told(["One.", "Two.", "One.", "Three.", "Four.", "Five."]) == (
        "One; Two; Three; 2 more reasons."
    )


def test_an_outage_says_that_nothing_is_lost() -> None:
    error = outage(["No device 1.", "No device 2."], WHERE)
    assert str(error).startswith("2 trials failed, and now a slice fails that had worked before")
    assert f"No device 1. {WHERE} says where it happened. What was trained is kept." in str(error)
    assert str(error).startswith(error.found)
