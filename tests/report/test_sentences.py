"""Tests of `tunesmith.report.sentences`."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.bundle.manifest import Score
from tunesmith.core.ending import EndReason
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.gate.gate import UNSOUGHT
from tunesmith.report import sentences
from tunesmith.report.findings import Finding
from tunesmith.report.story import Bin
from tunesmith.report.summary import Baseline, Summary

from .conftest import LEARNED, MakeStory, changed


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


@pytest.mark.parametrize(
    ("accuracy", "linear", "expected"),
    [
        (0.9, 0.5, "It is wrong in 10.0 % of cases, a linear model in 50.0 %."),
        (1.0, 0.5, "It is wrong in no case, a linear model in 50.0 %."),
        (1.0, 1.0, "It makes no mistake, and neither does a linear model."),
        (0.5, 0.5, "It is wrong in 50.0 % of cases, a linear model in 50.0 %."),
        (0.2, 0.2, "80.0 %: this model has not learned what it should."),
        (0.4, 0.6, "in 40.0 %: this model has not learned what it should."),
        (0.9, 0.1, "always giving the most frequent class in 80.0 %."),
    ],
)
def test_it_is_compared_with_the_best_baseline(
    summary: Summary, accuracy: float, linear: float, expected: str
) -> None:
    base = Baseline(majority=0.2, linear=linear)
    score = {"value": accuracy, "high": accuracy + 0.1}
    given_ = changed(summary, score=score, evaluation={"accuracy": accuracy}, baseline=base)
    assert expected in sentences.comparison(given_)


@pytest.mark.parametrize("value", [0.9, 0.3])
def test_accuracy_is_given_away_for_rare_classes_where_that_is_asked(
    summary: Summary, value: float
) -> None:
    asked = changed(
        summary,
        score={"metric": "balanced_accuracy", "value": value},
        evaluation={"accuracy": 0.95},
        baseline=Baseline(majority=0.99, linear=0.9),
    )
    assert bool(sentences.warning(asked)) == (value < 1 / 3)
    assert "has not learned" not in sentences.comparison(asked)


def test_confused_pairs_come_by_number(summary: Summary) -> None:
    counts = ((15, 4, 1), (0, 20, 0), (6, 0, 14))
    found = sentences.confused(changed(summary, evaluation={"confusion": counts}))
    assert [(c.true, c.answer, c.count, c.total) for c in found] == [
        ("猫", "cat", 6, 20),
        ("cat", "dog", 4, 20),
        ("cat", "猫", 1, 20),
    ]


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
    lost = Finding(kind="missing", weight="doubtful", title="2 rows are left aside", meaning="")
    assert said((lost,), quarantined=0, leaks=0) == "2 rows are left aside."
    clue = Finding(kind="shortcut", weight="serious", title="A clue", meaning="")
    note = Finding(kind="uneven", weight="notable", title="Few images", meaning="")
    assert said((clue, note), quarantined=0, leaks=0).startswith("1 thing below should be looked")
    assert said((note,), quarantined=0, leaks=0).startswith("Nothing wrong was found")


def test_the_end_is_told(summary: Summary) -> None:
    assert sentences.status_sentence(summary).startswith("Finished after 58.5 s of 1 min 00 s. The")
    stopped = changed(summary, status="interrupted")
    assert "was interrupted after 58.5 s" in sentences.status_sentence(stopped)


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


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_has_its_sentence(summary: Summary, reason: EndReason) -> None:
    told = sentences.status_sentence(changed(summary, reason=reason))
    assert told.endswith(f" of 1 min 00 s. {sentences.ENDED[reason]}")


def test_a_cross_validation_is_told_where_there_was_one(make_story: MakeStory) -> None:
    story = make_story()
    assert sentences.cross_validation_sentence(story) == ""
    known = Score(metric="balanced_accuracy", value=0.9, low=0.85, high=0.93, n=240)
    story = replace(story, summary=changed(story.summary, cross_validation=known))
    whole = (
        "By cross-validation on 240 training images, balanced accuracy is 90.0 %, between 85.0 % "
        "and 93.0 %: each was predicted by a network that was trained without it"
    )
    assert sentences.cross_validation_sentence(story) == f"{whole}."
    assert sentences.cross_validation_sentence(replace(story, fold_share=0.25)) == (
        f"{whole}, on 25 % of the examples that the final one saw."
    )
    heads = "each was predicted by a pretrained network whose last layer alone was fitted"
    for share, rest in (
        (1.0, ", without it."),
        (0.0, ", without it; the final one was fine-tuned."),
    ):
        told = sentences.cross_validation_sentence(replace(story, by_heads=True, fold_share=share))
        assert told.endswith(heads + rest)


def test_calibration_is_honest(make_story: MakeStory) -> None:
    story = make_story()

    def said(before: float, after: float, accuracy: float, **fields: Any) -> str:
        summary = changed(story.summary, evaluation={"ece_before": before, "ece_after": after})
        bins = [Bin(confidence=0.8, accuracy=accuracy, count=400)]
        return sentences.calibration_sentence(replace(story, summary=summary, after=bins, **fields))

    assert "off by 1.0 percentage points (before calibration: 5.0)" in said(0.05, 0.01, 0.8)
    assert said(0.01, 0.02, 0.81).endswith(
        "did not help here (before: 1.0); with so few test images that is within chance."
    )
    assert said(0.01, 0.15, 0.95, fold_share=0.3).endswith(
        "by more than chance: it was fitted on out-of-fold predictions of networks that trained "
        "for less time, and so made probabilities less sure than they should be."
    )
    assert said(0.01, 0.15, 0.95, by_heads=True, fold_share=0.0).endswith(
        "it was fitted on out-of-fold predictions of networks whose last layer alone was fitted, "
        "and so made probabilities less sure than they should be."
    )
    for unexplained in (
        said(0.01, 0.15, 0.95),
        said(0.01, 0.15, 0.95, by_heads=True),
        said(0.01, 0.15, 0.65, fold_share=0.3),
    ):
        assert unexplained.endswith("the test images may be of another kind.")


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("accuracy", 0.275, "it is worse than always giving the most frequent class (27.5 % again"),
        ("accuracy", 0.35, "it is no better than always giving the most frequent class (35.0 %"),
        ("accuracy", 0.36, ""),
        (
            "balanced_accuracy",
            0.33,
            "it is no better than answering without looking at the image (",
        ),
        ("balanced_accuracy", 0.34, ""),
        ("macro_f1", 0.17, "it is no better than"),
        ("macro_f1", 0.18, ""),
        ("roc_auc", 0.5, "it is no better than"),
        ("log_loss", 1.2, "it is worse than answering without looking at the image (1.2000 again"),
        ("log_loss", 1.0, ""),
    ],
)
def test_a_model_of_no_use_is_warned_of(
    summary: Summary, metric: str, value: float, expected: str
) -> None:
    base = Baseline(majority=0.35, linear=0.1)
    score = {"metric": metric, "value": value, "low": value - 0.05, "high": value + 0.05}
    poor = changed(summary, score=score, baseline=base)
    found = sentences.warning(poor)
    assert found.startswith(f"Do not use this model: {expected}" if expected else "")
    assert bool(found) == bool(expected)
    assert found in sentences.told(poor)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1", "log_loss"])
def test_a_test_part_of_one_class_tells_nothing_of_use(summary: Summary, metric: str) -> None:
    alone = changed(
        summary,
        score={"metric": metric, "value": 0.9, "high": 0.95},
        evaluation={"confusion": ((54, 6, 0), (0, 0, 0), (0, 0, 0))},
        baseline=Baseline(majority=1.0, linear=1.0),
    )
    assert sentences.warning(alone) == ""


def test_what_is_not_tested_could_have_been_answered(summary: Summary) -> None:
    confusion = {"confusion": ((20, 10, 0), (10, 20, 0), (0, 0, 0))}
    score = {"metric": "log_loss", "value": 0.9, "low": 0.8, "high": 1.0}  # over log 2
    assert sentences.warning(changed(summary, score=score, evaluation=confusion)) == ""


def test_a_linear_model_may_be_equaled_but_not_be_better(summary: Summary) -> None:
    base = Baseline(majority=0.2, linear=0.5)
    equal = changed(summary, score={"value": 0.5}, baseline=base)
    assert sentences.warning(equal) == ""
    by_chance = changed(equal, score={"value": 0.4, "low": 0.3, "high": 0.51})
    assert sentences.warning(by_chance) == ""
    worse = changed(equal, score={"value": 0.4, "low": 0.3, "high": 0.45}, reason=EndReason.HORIZON)
    assert sentences.warning(worse) == (
        "Do not use this model: it is worse than a linear model (40.0 % against 50.0 %). It needs "
        "more images."
    )
