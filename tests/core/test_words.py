"""Tests of `tunesmith.core.words`."""

import pytest

from tunesmith.core.words import brief, duration, nearest, shortened, tally
from tunesmith.data.archives import REPLACED
from tunesmith.data.folders import HIDDEN, NOT_IMAGE, NOT_READ
from tunesmith.data.tables import NO_LABEL, NO_PATH, REPEATED


def test_nothing_near_says_nothing() -> None:
    assert nearest("zebra", ["budget", "seed"]) == ""


def test_what_is_near_is_so_in_any_case_and_told_as_it_is_written() -> None:
    assert nearest("BUDGTE", ["Budget", "seed"]) == " Did you mean `Budget`?"
    assert nearest("gpu", ["gpus", "path"]) == " Did you mean `gpus`?"  # no device here


def test_long_texts_keep_head_and_tail() -> None:
    assert shortened("a" * 30, 30) == "a" * 30
    assert shortened("h" * 50 + "t" * 50, 30) == f"{'h' * 13} [...] {'t' * 10}"


def test_durations_carry() -> None:
    assert duration(59.94) == "59.9 s"
    assert duration(3599.9) == "1 h 00 min"
    assert (brief(0.0949), brief(0.0951), brief(0.0)) == ("95 ms", "0.1 s", "0.0 s")


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        (HIDDEN, "hidden files"),
        (NOT_IMAGE, "files of another kind"),
        (NOT_READ, "images of a format that is not read"),
        (REPLACED, "files that a later one replaces"),
        (NO_PATH, "rows without a path"),
        (NO_LABEL, "rows without a label"),
        (REPEATED, "repeated rows"),
        ("empty folder", "empty folders"),
    ],
)
def test_what_is_skipped_has_a_plural(kind: str, plural: str) -> None:
    assert tally({kind: 1}) == f"1 {kind}"
    assert tally({kind: 3}) == f"3 {plural}"
