"""Tests of `tunesmith.jobs.search.tune_result`; test_tune.py runs whole searches."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.space import Choice, Field, Float
from tunesmith.jobs.search.tune_result import tell
from tunesmith.tuning.asha import FULL
from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.random_sampler import QuasiRandomSampler
from tunesmith.tuning.repeats import Noise
from tunesmith.tuning.search import Search
from tunesmith.tuning.timing import best_trial

SEARCH = Search(
    function="train.py:train",
    space={
        "lr": Field(Float(1e-4, 1.0, log=True), 0.01),
        "kind": Field(Choice("a", "b"), "a"),
    },
    horizon=10,
    sign=-1,
    sampler=QuasiRandomSampler(),
    scheduler=FULL,
    block=10,
    trials=None,
    units=None,
    method="sampler gp (auto), scheduler none",
    seed=0,
)


def trial(number: int) -> Trial:
    """One of a search in which high rates are best; the more training, the better. One paused."""
    lr = 10 ** (-4 + 4 * number / 15)
    units = (2,) if number == 1 else (2, 10)
    curve = tuple(Observation(at=at, value=-number - at / 10) for at in units)
    return Trial(config={"lr": lr, "kind": "ab"[number % 2]}, curve=curve)


HISTORY = History(
    horizon=10,
    trials=(*map(trial, range(16)), Trial(config={}, failed="It ran out of memory.")),
)


def test_defaults_that_failed_later_have_the_value_they_had() -> None:
    history = HISTORY.failed(0, "It was lost.").failed(15, "It was lost.")
    found = tell(Path("run"), SEARCH, history, None, status="finished", reason="It is over.")
    assert (found.number, found.default, len(found.failed)) == (15, 1.0, 3)


def test_what_was_found_is_told_with_its_doubts() -> None:
    noise = Noise(at=2, values={0: (0.0, 0.25, -0.25)}, chosen=15)
    found = tell(Path("run"), SEARCH, HISTORY, noise, status="finished", reason="It is over.")
    assert (found.number, found.value, found.default) == (15, 16.0, 1.0)
    assert found.failed == {16: "It ran out of memory."}
    assert found.parts_at == 2
    assert next(iter(found.parts)) == "lr"
    assert [part.trials for part in found.parts["lr"]] == [4] * 4
    assert [part.median for part in found.parts["lr"]] == pytest.approx([13.7, 9.7, 5.7, 1.7])
    trial_line, by, why, where = found.words().splitlines()[2:6]
    assert by == "by      sampler gp (auto), scheduler none"
    assert trial_line == "trial   15 of 17, 1 of them failed; It is over."
    assert why.endswith("trained again, differ by 0.25 (standard deviation after 2 units)")
    assert where == (
        "where   lr 0.158 to 1: median 13.7 of 4 trials after 2 of 10 units; the next best part "
        "has 9.7"
    )
    assert json.loads(found.as_json())["parts"]["lr"][0]["trials"] == 4
    (warning,) = found.warnings
    assert warning.startswith("The best lr that was found, 1, lies at the high end of what was")
    assert found.words().splitlines()[-2] == f"note    {warning}"


def test_by_how_much_the_best_was_lucky_is_told_by_its_other_trainings() -> None:
    values = {0: (0.0, 0.25, -0.25), 15: (-15.2, -14.9, -15.0)}
    noise = Noise(at=2, values=values, chosen=15)
    found = tell(Path("run"), SEARCH, HISTORY, noise, status="finished", reason="It is over.")
    assert found.again == [15.2, 14.9, 15.0]
    assert found.why().endswith(
        "after 2 units): this one had 15.2 then, and 14.9 and 15 when trained again"
    )


def test_it_says_where_the_best_is_not_surely_better_than_the_defaults() -> None:
    given = {"status": "finished", "reason": "It is over."}
    values = {0: (-14.9, -15.1, -14.7), 15: (-15.9, -15.0, -14.8)}
    noise = Noise(at=2, values=values, chosen=15)
    found = tell(Path("run"), SEARCH, HISTORY, noise, **given)
    assert found.warnings[0] == (
        "It is not surely better than the defaults: trained again, this config had 15 and 14.8 "
        "after 2 units, and the defaults 14.9 and 15.1 and 14.7 (a difference below 2 standard "
        "errors; so few tell little of the end)."
    )
    assert f"note    {found.warnings[0]}\n" in found.words()
    whole = tell(Path("run"), SEARCH, HISTORY, replace(noise, at=10), **given)
    assert whole.warnings[0].endswith("(a difference below 2 standard errors).")
    sure = replace(noise, values={**values, 15: (-15.9, -15.8, -15.7)})
    for measured in (sure, replace(noise, values={0: values[0]}), None):
        found = tell(Path("run"), SEARCH, HISTORY, measured, **given)
        assert not any("not surely better" in warning for warning in found.warnings)


def test_values_that_differ_by_rounding_leave_no_doubt() -> None:
    """They were compared after less training than at the end, by which it was chosen."""
    values = {0: (-15.0, -15.0, -15.0), 15: (-14.9, -14.9, -14.9 + 2e-15)}
    noise = Noise(at=2, values=values, chosen=15)
    found = tell(Path("run"), SEARCH, HISTORY, noise, status="finished", reason="It is over.")
    assert not any("not surely better" in warning for warning in found.warnings)


def test_few_trials_and_no_time_are_told_too() -> None:
    few = History(horizon=10, trials=HISTORY.trials[:2])
    found = tell(Path("run"), SEARCH, few, None, status="finished", reason="It is over.")
    assert (found.parts, found.noise, found.warnings) == ({}, None, [])
    assert "by how much equal configs differ was not measured" in found.words()
    assert "\nwhere   there were too few trials to say which fields mattered\n" in found.words()


def test_many_trials_in_which_nothing_matters_are_not_too_few() -> None:
    trials = tuple(replace(trial(n), curve=(Observation(at=10, value=1.0),)) for n in range(12))
    for count, told in ((11, "there were too few trials"), (12, "no field made a significant")):
        history = History(horizon=10, trials=trials[:count])
        found = tell(Path("run"), SEARCH, history, None, status="finished", reason="It is over.")
        assert f"\nwhere   {told} " in found.words()


def test_units_of_the_defaults_are_told_if_they_are_others() -> None:
    first, *others = HISTORY.trials
    paused = History(horizon=10, trials=(first.after(2), *others))
    for history, words in ((HISTORY, "(defaults: 1)"), (paused, "(defaults: 0.2 after 2)")):
        found = tell(Path("run"), SEARCH, history, None, status="finished", reason="It is over.")
        assert found.words().startswith(f"value   16 after 10 units {words}\n")


def test_a_best_trial_that_was_not_trained_to_the_end_says_so() -> None:
    *others, last, failed = HISTORY.trials
    paused = replace(HISTORY, trials=(*others, last.after(2), failed))
    found = tell(Path("run"), SEARCH, paused, None, status="finished", reason="It is over.")
    assert (found.number, found.units, found.whole, found.whole_value) == (15, 2, 14, 15.0)
    assert found.words().startswith("value   15.2 after 2 of 10 units (defaults: 1 after 10)\n")
    told = "though it was not trained to the end (the best that was is trial 14, with 15)"
    assert found.why().startswith(f"it has the best last value of all, {told}; ")
    whole = tell(Path("run"), SEARCH, HISTORY, None, status="finished", reason="It is over.")
    assert (whole.whole, whole.whole_value) == (15, 16.0)
    assert "the end" not in whole.why()


def test_where_nothing_was_trained_to_the_end_that_is_said_too() -> None:
    none = replace(HISTORY, trials=(HISTORY.trials[0].after(2),))
    found = tell(Path("run"), SEARCH, none, None, status="interrupted", reason="It is over.")
    assert "though it was not trained to the end (none was); " in found.why()
    assert replace(found, horizon=0).why().startswith("it has the best last value of all; ")


def test_notes_of_the_search_are_among_the_warnings() -> None:
    given = {"status": "finished", "reason": "It is over.", "notes": ["Does it go on?"]}
    found = tell(Path("run"), SEARCH, HISTORY, None, **given)  # type: ignore[arg-type]
    assert len(found.warnings) == 2
    assert "note    Does it go on?\n" in found.words()
    assert json.loads(found.as_json())["warnings"] == found.warnings


def test_what_was_given_up_is_counted() -> None:
    given_up = replace(HISTORY.trials[1], is_dropped=True)
    history = History(horizon=10, trials=(HISTORY.trials[0], given_up))
    found = tell(Path("run"), SEARCH, history, None, status="finished", reason="It is over.")
    assert (found.number, found.failed, found.dropped) == (0, {}, 1)
    assert "trial   0 of 2, 1 given up to make room; It is over." in found.words()


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ((), r"before any trial had a value \(It is over.\) Give it a longer budget"),
        (
            (Trial(config={}), HISTORY.trials[-1]),
            r"\(It is over.\) Slices failed: It ran out of memory\. Mend that, .* What was tried",
        ),
        (HISTORY.trials[-1:], r"since each failed, at last so: It ran out of memory. Mend that."),
    ],
)
def test_without_a_value_there_is_nothing_to_tell(trials: tuple[Trial, ...], message: str) -> None:
    none = History(horizon=10, trials=trials)
    assert best_trial(none) is None
    with pytest.raises(SettingsError, match=message):
        tell(Path("run"), SEARCH, none, None, status="finished", reason="It is over.")
