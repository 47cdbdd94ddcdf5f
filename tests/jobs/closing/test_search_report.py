"""Tests of `jobs.closing.search_report`; test_search.py reads what it tells of whole runs."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from tunesmith.core.space import Field, Float
from tunesmith.evaluation.compare import Optimism
from tunesmith.jobs.closing.search_report import search_report
from tunesmith.jobs.search.finals import Finals
from tunesmith.jobs.search.searched import Searched
from tunesmith.records.history import History as Past
from tunesmith.report.story import SearchReport
from tunesmith.tuning.protocols import History, Observation, Trial


def trial(
    *values: float, lr: float = 0.1, is_dropped: bool = False, failed: str | None = None
) -> Trial:
    curve = tuple(Observation(at=n, value=value) for n, value in enumerate(values, start=1))
    return Trial(config={"lr": lr}, curve=curve, is_dropped=is_dropped, failed=failed)


def told(
    *trials: Trial,
    metric: str = "accuracy",
    is_brief: bool = False,
    finals: Finals | None = None,
) -> SearchReport:
    """What is told of a search by which trial 1 was found, and does not surely do better."""
    session: Any = SimpleNamespace(
        settings=SimpleNamespace(metric=metric), journal=SimpleNamespace(history=Past())
    )
    plan, found = (SimpleNamespace(name=f"m {n}", number=n) for n in (None, 1))
    choice = SimpleNamespace(
        candidates=(plan, found),
        accuracies=(0.9, 0.91, 0.92),
        images=1000,
        chance=0.2,
        finalists=finals.compared if finals else 1,
        is_brief=is_brief,
        reason="",
        luck=Optimism(gain=0.012, error=0.004, unseen=900),
    )
    searched = Searched(
        space={"lr": Field(Float(1e-4, 1.0, log=True), 0.1)},
        history=History(horizon=25, trials=trials),
        names=(),
        finals=finals,
        number=1,
        sign=1,
        resumed={0: (1,)},
        seconds=30.0,
        reason="It is over.",
        method="sampler gp (auto), scheduler asha",
        noise=None,
    )
    fitted: Any = SimpleNamespace(searched=searched, choice=choice, members=(plan,))
    hunt = search_report(session, fitted)
    assert hunt is not None
    return hunt


def test_trials_are_listed_by_their_last_value() -> None:
    broken = trial(0.1, math.nan, failed="It gave a value that is not finite.")
    hunt = told(trial(0.5, 0.4), broken, trial(0.2, 0.6), trial(0.9, 0.3), trial(failed="It hung."))
    assert [tried.number for tried in hunt.trials] == [3, 0, 2, 1, 4]
    assert [len(tried.resumed) for tried in hunt.trials] == [0, 1, 0, 0, 0]


def test_what_failed_and_what_was_given_up_is_counted() -> None:
    hunt = told(trial(0.5), trial(0.4), trial(0.6, is_dropped=True), trial(failed="It hung."))
    assert hunt.reasons[0] == (
        "4 settings were tried in 30.0 s; 1 failed, 1 given up to make room on the disk. "
        "It is over. The search used sampler gp (auto), scheduler asha."
    )
    assert "1 failed. It is over." in told(trial(0.5), trial(failed="It hung.")).reasons[0]


def test_what_came_to_nothing_is_not_called_tried() -> None:
    hunt = told(trial(0.5), trial(0.4), trial())
    assert hunt.reasons[0].startswith("2 settings were tried")
    assert [tried.number for tried in hunt.trials] == [1, 0]
    hunt = told(trial(), trial())
    assert hunt.reasons == ["It is over. The plan's own settings answer."]
    assert hunt.trials == []


def test_an_end_of_a_range_is_a_warning_only_where_the_setting_mattered() -> None:
    found = trial(0.1, lr=1.0)
    assert told(trial(0.5), found).warnings == []
    rest = [trial(1.0 - n / 20, lr=10 ** (-4 + n / 5)) for n in range(16)]
    (warning,) = told(trial(0.5), found, *rest).warnings
    assert warning.startswith("The best lr that was found, 1, lies at the high end")


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("accuracy", "accuracy"),
        ("balanced_accuracy", "balanced accuracy"),
        ("macro_f1", "F1"),
        ("log_loss", "log loss"),
    ],
)
def test_chance_is_told_of_the_metric_that_was_compared(metric: str, name: str) -> None:
    why = told(trial(0.5), trial(0.4), metric=metric).reasons[2]
    assert f"By {name}, two equally good networks would differ" in why
    assert why.endswith(
        "in 20 of 100 such comparisons. What was found is not surely better. So the plan's "
        "settings answer."
    )


def test_how_much_was_luck_is_told_with_its_standard_error() -> None:
    assert (
        told(trial(0.5), trial(0.4))
        .reasons[-1]
        .endswith(
            "gained +1.2 points more over the plan's settings than on 900 images that the search "
            "never saw (standard error 0.4)."
        )
    )


def test_too_little_time_to_judge_is_told() -> None:
    why = told(trial(0.5), trial(0.4), is_brief=True).reasons[2]
    assert (
        "There was too little time to judge whether what was found is better alone. So the" in why
    )
    assert "not surely better" not in why


def test_finals_are_told_with_every_loss_and_what_they_were_measured_on() -> None:
    many = Finals(losses={3: 0.5, 1: 0.25}, images=1350, unseen=1100)
    reasons = told(trial(0.5), trial(0.4), finals=many).reasons
    assert reasons[2] == (
        "2 of the best settings were trained for another 12 % of a whole training, while their "
        "learning rates fell to 0. On 1,350 images, 1,100 of which the search had never seen, the "
        "log loss then was 0.500 with those of trial 3, 0.250 with those of trial 1. So those of "
        "trial 1 were chosen."
    )
    assert "images that no training has seen, the plan's settings are right on" in reasons[3]
    assert "20 of 100 such comparisons, as the best of 2 that were compared" in reasons[3]
    few = Finals(losses={3: 0.5, 1: 0.25}, images=80, unseen=0)
    reasons = told(trial(0.5), trial(0.4), finals=few, metric="macro_f1").reasons
    assert "On 80 images that none of them was trained on, the log loss, each class" in reasons[2]
    assert "that neither a training nor the search has seen" in reasons[3]
    assert "as the best of" not in reasons[3]


def test_another_network_than_the_one_chosen_by_finals_is_explained() -> None:
    finals = Finals(losses={3: 0.25, 2: 0.5}, images=1350, unseen=1100)
    reasons = told(trial(0.5), trial(0.4), finals=finals).reasons
    assert reasons[2].endswith("So those of trial 3 were chosen.")
    assert reasons[3].startswith("The run was interrupted before")
    assert reasons[3].endswith("the one with those of trial 1, which is compared instead.")
