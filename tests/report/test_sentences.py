"""Tests of `tunesmith.report.sentences`."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.bundle.manifest import Score
from tunesmith.core.ending import EndReason
from tunesmith.evaluation.metrics import evaluate
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.gate.gate import UNSOUGHT
from tunesmith.report import sentences
from tunesmith.report.findings import Finding, Item
from tunesmith.report.story import Story
from tunesmith.report.summary import Baseline, Measures, Summary

from .conftest import MakeStory, predictions

LEARNED = Finding(
    kind="label",
    weight="doubtful",
    title="2 training labels look wrong",
    meaning="",
    items=[Item(file="a.png", label="cat"), Item(file="b.png", label="dog")],
)


def changed(summary: Summary, **parts: Any) -> Summary:
    """Return a summary with some parts' fields changed: ``score={"n": 5}``, ``seed=1``."""
    update = {
        name: getattr(summary, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in parts.items()
    }
    return summary.model_copy(update=update)


def steps(story: Story, **parts: Any) -> str:
    """Return the advice for a story whose numbers were changed."""
    return "\n".join(sentences.next_steps(replace(story, summary=changed(story.summary, **parts))))


@given(share=st.floats(0, 1), n=st.integers(1, 100_000))
def test_only_one_is_all(share: float, n: int) -> None:
    shown = float(sentences.percent(share, n=n).removesuffix(" %"))
    assert shown == pytest.approx(100 * share, abs=0.051)
    if share < 0.999_999_9:
        assert shown < 100


def test_the_headline_is_about_images_or_names_the_metric(summary: Summary) -> None:
    assert sentences.headline(summary) == "of 60 test images were classified correctly."
    other = changed(summary, score={"metric": "log_loss", "value": 0.25})
    assert sentences.headline(other) == "log loss, where less is better, on 60 test images."
    assert sentences.score_text(0.25, "log_loss", n=60) == "0.2500"


def test_the_interval_says_how_it_was_measured(summary: Summary) -> None:
    known = changed(summary, score={"low": 0.992, "high": 0.995, "n": 10_000})
    assert (
        "between 99.20 % and 99.50 % (95 % confidence, measured once on 10,000 images the "
        "training never saw)"
    ) in sentences.interval_sentence(known)
    again = changed(known, test_openings=3)
    assert "used for 3 measurements" in sentences.interval_sentence(again)


def test_a_cross_validation_is_told_where_there_was_one(summary: Summary) -> None:
    assert sentences.cross_validation_sentence(summary) == ""
    known = Score(metric="balanced_accuracy", value=0.9, low=0.85, high=0.93, n=240)
    assert sentences.cross_validation_sentence(
        summary.model_copy(update={"cross_validation": known})
    ) == (
        "By cross-validation on 240 training images, balanced accuracy is 90.0 %, between 85.0 % "
        "and 93.0 %: each was predicted by a network that was trained without it."
    )


@pytest.mark.parametrize(
    ("accuracy", "linear", "expected"),
    [
        (0.9, 0.5, "It is wrong in 10.0 % of cases, a linear model in 50.0 %."),
        (1.0, 0.5, "It is wrong in no case, a linear model in 50.0 %."),
        (1.0, 1.0, "It makes no mistake, and neither does a linear model."),
        (0.5, 0.5, "It is wrong in 50.0 % of cases, a linear model in 50.0 %."),
        (0.2, 0.2, "80.0 %: this model has not learned what it should."),
        (0.4, 0.5, "in 50.0 %: this model has not learned what it should."),
        (0.9, None, "always giving the most frequent class in 80.0 %."),
    ],
)
def test_it_is_compared_with_the_best_baseline(
    summary: Summary, accuracy: float, linear: float | None, expected: str
) -> None:
    base = Baseline(majority=0.2, linear=linear)
    given_ = changed(summary, evaluation={"accuracy": accuracy}, baseline=base)
    assert expected in sentences.comparison(given_)


def test_accuracy_is_given_away_for_rare_classes_where_that_is_asked(summary: Summary) -> None:
    text = sentences.comparison(
        changed(
            summary,
            score={"metric": "balanced_accuracy"},
            evaluation={"accuracy": 0.95},
            baseline=Baseline(majority=0.99, linear=0.9),
        )
    )
    assert "has not learned" not in text


def test_confused_pairs_come_by_number(summary: Summary) -> None:
    counts = ((15, 4, 1), (0, 20, 0), (6, 0, 14))
    found = sentences.confused(changed(summary, evaluation={"confusion": counts}))
    assert [(c.true, c.answer, c.count, c.total) for c in found] == [
        ("猫", "cat", 6, 20),
        ("cat", "dog", 4, 20),
        ("cat", "猫", 1, 20),
    ]


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
        "recall": (0.5, 1.0, None),
        "recall_interval": ((0.3, 0.7), (0.9, 1.0), (0.0, 1.0)),
        "confusion": ((10, 10, 0), (0, 20, 0), (0, 0, 0)),
    }
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


def test_bad_data_are_counted_in_words(make_story: MakeStory) -> None:
    story = replace(make_story(), findings=())

    def said(findings: tuple[Finding, ...] = (), **data: int) -> str:
        summary = changed(story.summary, data=data)
        return sentences.data_sentence(replace(story, summary=summary, findings=findings))

    assert said() == (
        "2 files could not be read; 1 training image was in the test part too. None of these was "
        "trained on."
    )
    assert said(quarantined=0, leaks=0).startswith("Nothing wrong was found")
    assert said(suspects=1).endswith("1 test label looks wrong.")
    assert said((LEARNED,), quarantined=0, leaks=0) == "2 training labels look wrong."
    assert said((LEARNED,)).endswith("too; 2 training labels look wrong.")  # and are trained on
    clue = Finding(kind="shortcut", weight="serious", title="A clue", meaning="")
    note = Finding(kind="uneven", weight="notable", title="Few images", meaning="")
    assert said((clue, note), quarantined=0, leaks=0).startswith("1 thing below should be looked")
    assert said((note,), quarantined=0, leaks=0).startswith("Nothing wrong was found")


def test_what_makes_a_score_doubtful_is_to_be_seen_to(make_story: MakeStory) -> None:
    clue = Finding(kind="shortcut", weight="serious", title="“cat” can be guessed", meaning="")
    story = make_story()
    assert "“cat” can be guessed: see" in steps(replace(story, findings=(clue,)))
    assert "can be guessed" not in steps(replace(story, findings=()))


def test_calibration_is_honest(summary: Summary) -> None:
    better = changed(summary, evaluation={"ece_before": 0.05, "ece_after": 0.01})
    assert "off by 1.0 percentage points (before calibration: 5.0)" in (
        sentences.calibration_sentence(better)
    )
    worse = changed(summary, evaluation={"ece_before": 0.01, "ece_after": 0.02})
    assert "did not help here (before: 1.0)" in sentences.calibration_sentence(worse)


def test_the_end_is_told(summary: Summary) -> None:
    assert sentences.status_sentence(summary).startswith("Finished after 58.5 s of 1 min 00 s. The")
    stopped = changed(summary, status="interrupted")
    assert "was interrupted after 58.5 s" in sentences.status_sentence(stopped)


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_has_its_sentence_and_only_time_is_to_be_had_for_more(
    make_story: MakeStory, reason: EndReason
) -> None:
    story = make_story()
    told = sentences.status_sentence(changed(story.summary, reason=reason))
    assert told.endswith(f" of 1 min 00 s. {sentences.ENDED[reason]}")
    asks_for_more = "larger --budget" in steps(story, reason=reason)
    assert asks_for_more == (reason is EndReason.TIME)


def test_what_was_not_looked_for_is_not_denied(make_story: MakeStory) -> None:
    story = make_story()
    clean = replace(
        story, summary=changed(story.summary, data={"quarantined": 0, "leaks": 0}), findings=()
    )
    assert sentences.data_sentence(clean).endswith("is in the test part too.")
    hasty = replace(clean, fine=[UNSOUGHT[Depth.EXACT]])
    assert sentences.data_sentence(hasty).endswith(
        "too, to the pixel; there was no time to look for near copies."
    )
    kept = Finding(kind="leak", weight="serious", title="", meaning="", is_suspect=True)
    told = sentences.data_sentence(replace(clean, findings=(kept,)))
    assert told.startswith("1 thing below should be looked at")
    assert told.endswith("is in the test part too, to the pixel.")
