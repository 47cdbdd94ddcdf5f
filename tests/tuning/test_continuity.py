"""Tests of `tunesmith.tuning.continuity`."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.records.events import SliceDone, Stored
from tunesmith.records.history import History as Past
from tunesmith.records.history import replay
from tunesmith.tuning.continuity import (
    begins_anew,
    check_left,
    is_ignored,
    look_at_slices,
    stands_still,
)
from tunesmith.tuning.folders import at_unit
from tunesmith.tuning.protocols import History, Observation
from tunesmith.tuning.unread import mark


def history(*curves: list[float], step: int = 1) -> History:
    made = History(horizon=100)
    for number, values in enumerate(curves):
        points = tuple(Observation(at=n * step, value=v) for n, v in enumerate(values, start=1))
        made = made.started({}, until=100).observed(number, points, seconds=1.0)
    return made


def falling(top: float, count: int) -> list[float]:
    return [top * math.exp(-0.3 * n) for n in range(count)]


TOPS = (1.0, 0.8, 2.0, 3.0, 4.0)
ENDS = dict.fromkeys(range(len(TOPS)), (4, 8))
ANEW = [falling(top, 4) + falling(1.02 * top, 4) for top in TOPS]
STILL = [[top, top] for top in TOPS]


def test_curves_that_continue() -> None:
    made = history(*[falling(top, 8) for top in TOPS])
    assert not begins_anew(made, ENDS)
    assert not stands_still(made, ENDS)


def test_curves_that_begin_anew() -> None:
    assert begins_anew(history(*ANEW), ENDS)


def test_one_that_continues_clears_the_function() -> None:
    assert not begins_anew(history(*ANEW[:4], falling(4.0, 8)), ENDS)


def test_curves_that_have_nothing_left_to_learn_do_not_begin_anew() -> None:
    assert not begins_anew(history(*[[top] * 8 for top in TOPS]), ENDS)


def test_a_value_for_each_slice_that_is_the_same_again() -> None:
    assert stands_still(history(*STILL, step=4), ENDS)
    assert not begins_anew(history(*STILL, step=4), ENDS)
    assert not stands_still(history(*STILL[:4], [4.0, 3.9], step=4), ENDS)


def test_trials_that_all_stand_still_at_one_value_prove_nothing() -> None:
    assert not stands_still(history(*[[0.9, 0.9]] * 5, step=4), ENDS)


def test_too_few_trials_prove_nothing() -> None:
    few = {number: ENDS[number] for number in range(4)}
    assert not begins_anew(history(*ANEW[:4]), few)
    assert not begins_anew(history(*ANEW), dict.fromkeys(ENDS, (8,)))


def recorded(ends: Mapping[int, tuple[int, ...]]) -> Past:
    """The journal of trials whose slices of 4 units ended there."""
    return replay(
        Stored(
            event=SliceDone(
                trial=str(n), begin=end - 4, end=end, seconds=1.0, checkpoint=str(end), rows=()
            ),
            elapsed=0.0,
            phases={},
        )
        for n, ends_of_one in ends.items()
        for end in ends_of_one
    )


PAST = recorded(ENDS)


def test_no_trial_read_what_it_left(tmp_path: Path) -> None:
    falls, path = history(*[falling(top, 8) for top in TOPS]), tmp_path / "0000" / "00000008"
    path.mkdir(parents=True)
    (path / "state").touch()
    for number in ENDS:
        (tmp_path / f"{number:04d}").mkdir(exist_ok=True)
        mark(at_unit(tmp_path, number, 8), is_unread=True)
    with pytest.raises(SettingsError, match="`train` reads nothing of what it left in its folder"):
        look_at_slices(falls, PAST, 0, path, "file.py:train")
    assert not is_ignored(path, {0: (4, 8), 1: (4,)})
    assert is_ignored(path, {0: (4, 8), 1: (4, 8), 2: (4,)})
    mark(at_unit(tmp_path, 4, 8), is_unread=False)
    assert look_at_slices(falls, PAST, 0, path, "file.py:train") == ""


def left(folder: Path) -> Path:
    """What a trial may go on from, after 8 units."""
    (path := folder / "00000008").mkdir()
    (path / "state").touch()
    return path


def test_what_does_not_go_on_is_told_in_the_words_of_the_function(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"`train` does not go on from .*curves begin anew"):
        look_at_slices(history(*ANEW), PAST, 4, left(tmp_path), "file.py:train")


def test_a_slice_that_left_nothing_is_told_in_the_words_of_the_function(tmp_path: Path) -> None:
    (part := tmp_path / "00000004.part").mkdir()
    for folder in (part, tmp_path / "gone"):
        with pytest.raises(SettingsError, match=r"`train` left nothing in its folder.*none\."):
            check_left(folder, "file.py:train")
    (part / "state").touch()
    check_left(part, "file.py:train")


def test_what_may_go_on_is_a_doubt_or_none(tmp_path: Path) -> None:
    still, falls = history(*STILL, step=4), history(*[falling(top, 8) for top in TOPS])
    path = left(tmp_path)
    doubt = look_at_slices(still, PAST, 4, path, "file.py:train")
    assert doubt.startswith("Every trial of `train` gave the same value twice.")
    assert look_at_slices(falls, PAST, 4, path, "file.py:train") == ""
    # What another slice says was said before.
    further = recorded({**ENDS, 5: (4,), 6: (4, 8, 12)})
    assert not any(look_at_slices(still, further, n, path, "file.py:train") for n in (5, 6))
