"""Tests of `tunesmith.core.ending`."""

import json
from dataclasses import asdict

import pytest

from tunesmith.core.ending import EndReason
from tunesmith.records.events import TrialEnded, decode, encode

JOURNALED = [
    "horizon reached",
    "time used up",
    "diverged",
    "out of memory",
    "interrupted",
    "paused",
]


def test_journals_of_this_format_hold_these_values() -> None:
    """Another value needs another `FORMAT` in `records.folder`."""
    assert [reason.value for reason in EndReason] == JOURNALED


@pytest.mark.parametrize("reason", EndReason)
def test_a_reason_survives_the_journal(reason: EndReason) -> None:
    event = TrialEnded(trial="a", reason=reason, for_good=reason.is_for_good)
    kind, content = encode(event)
    assert json.loads(content) == asdict(event)
    again = decode(kind, content)
    assert isinstance(again, TrialEnded)
    assert EndReason(again.reason) is reason


def test_a_training_that_was_stopped_has_not_ended_for_good() -> None:
    stopped = {reason for reason in EndReason if not reason.is_for_good}
    assert stopped == {EndReason.MEMORY, EndReason.INTERRUPTED, EndReason.PAUSED}
