"""Tests of `tunesmith.core.words`."""

from tunesmith.core.words import duration, nearest


def test_nothing_near_says_nothing() -> None:
    assert nearest("zebra", ["budget", "seed"]) == ""


def test_durations_carry() -> None:
    assert duration(59.94) == "59.9 s"
    assert duration(3599.9) == "1 h 00 min"
