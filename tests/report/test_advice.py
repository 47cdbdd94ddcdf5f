"""Tests of `tunesmith.report.advice`."""

from dataclasses import replace
from typing import Any

import pytest

from tunesmith.core.ending import EndReason
from tunesmith.evaluation.metrics import evaluate
from tunesmith.report import advice
from tunesmith.report.findings import Finding
from tunesmith.report.story import Story
from tunesmith.report.summary import Baseline, Measures

from .conftest import LEARNED, MakeStory, changed, predictions


def steps(story: Story, **parts: Any) -> str:
    """Return the advice for a story whose numbers were changed."""
    return "\n".join(advice.next_steps(replace(story, summary=changed(story.summary, **parts))))


def test_advice_follows_from_what_was_found(make_story: MakeStory) -> None:
    story = make_story()
    usual = steps(story)
    assert "Repair or delete the 2 files" in usual
    assert "In one of them the model was more than 90 % sure" in usual
    assert "Four times as many would halve" in usual
    assert "larger --budget" in usual
    assert "The run was interrupted" in steps(story, status="interrupted")
    assert "Check 4 test labels in suspects.csv, " in steps(story, data={"suspects": 4})
    learned = replace(story, findings=(LEARNED,))
    assert "Check 2 training labels in suspects.csv, " in steps(learned)
    both = steps(learned, data={"suspects": 1})
    assert "Check 1 test label and 2 training labels in suspects.csv, " in both
    weak = {
        "accuracy": 0.75,
        "recall": (0.5, 1.0, None),
        "confusion": ((10, 10, 0), (0, 20, 0), (0, 0, 0)),
    }
    none = weak | {"recall": (0.0, 1.0, None), "confusion": ((0, 20, 0), (0, 20, 0), (0, 0, 0))}
    assert "help most: none of its test images was rec" in steps(story, evaluation=none)
    text = steps(story, evaluation=weak)
    assert "More training images of “cat” would help most: only 50.0 %" in text
    assert "“cat” is most often taken for “dog” (10 of 20)" in text


def test_a_perfect_run_needs_no_advice_but_to_be_used(make_story: MakeStory) -> None:
    p_NK, y_N = predictions(3)
    p_NK[:] = 0.05
    p_NK[range(len(y_N)), y_N] = 0.9
    story = replace(make_story(), mistakes=(), findings=())
    text = steps(
        story,
        reason=EndReason.HORIZON,
        data={"quarantined": 0, "leaks": 0},
        evaluation=Measures.of(evaluate(p_NK, y_N), ece_before=0.1, temperature=1),
    )
    assert text == "Try it on images of your own: the end of this page says how."


def test_what_makes_a_score_doubtful_is_to_be_seen_to(make_story: MakeStory) -> None:
    clue = Finding(kind="shortcut", weight="serious", title="“cat” can be guessed", meaning="")
    story = make_story()
    assert "“cat” can be guessed: see" in steps(replace(story, findings=(clue,)))
    assert "can be guessed" not in steps(replace(story, findings=()))


@pytest.mark.parametrize("reason", EndReason)
def test_only_time_is_to_be_had_for_more(make_story: MakeStory, reason: EndReason) -> None:
    asks_for_more = "larger --budget" in steps(make_story(), reason=reason)
    assert asks_for_more == (reason is EndReason.TIME)


def test_a_class_is_weak_only_beyond_chance(make_story: MakeStory) -> None:
    """One mistake in 360 has to be of some class."""
    one = {
        "accuracy": 359 / 360,
        "recall": (1.0, 1.0, 35 / 36),
        "confusion": ((200, 0, 0), (0, 124, 0), (1, 0, 35)),
    }
    assert "would help most" not in steps(make_story(), evaluation=one)
    many = {
        "accuracy": 350 / 360,
        "recall": (1.0, 1.0, 26 / 36),
        "confusion": ((200, 0, 0), (0, 124, 0), (10, 0, 26)),
    }
    assert "More training images of “猫” would help most: only 72.2 %" in steps(
        make_story(), evaluation=many
    )


def test_of_a_model_of_no_use_nothing_else_is_said_of_its_answers(make_story: MakeStory) -> None:
    weak = {"accuracy": 0.275, "recall": (0.0, 1.0, 1.0), "confusion": ((0, 20, 0),) * 3}
    text = steps(
        make_story(),
        score={"value": 0.275, "low": 0.25, "high": 0.3},
        evaluation=weak,
        baseline=Baseline(majority=0.35, linear=0.1),
    )
    assert text.startswith("Do not use this model: it is worse than always giving the most freq")
    assert "Repair or delete" in text
    for useless in ("would help most", "worst mistakes", "most often taken", "Try it", "do better"):
        assert useless not in text
