"""Tests of `tunesmith.tuning.failures`."""

from pathlib import Path

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.tuning.failures import check_failures
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
    "reasons",
    [
        ("memory", "memory"),
        ("memory", "memory", "NaN"),
        ("memory", "memory", None, "memory"),
        ("memory", "memory", "memory", None),
    ],
)
def test_few_failures_other_reasons_and_values_say_nothing(reasons: tuple[str | None, ...]) -> None:
    check_failures(history(*reasons), WHERE)
