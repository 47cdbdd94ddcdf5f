"""What the numbers mean, in sentences that need no statistics."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from tunesmith.core.ending import EndReason
from tunesmith.core.words import counted, duration, passes
from tunesmith.report.findings import NO_NEAR_COPIES
from tunesmith.report.story import Story, is_chance
from tunesmith.report.summary import Summary

FINE = 2000  # test images from which a second decimal of a percentage means something
ALIKE = 0.95  # share of the final network's examples from which a fold's are called as many
PAIRS = 10  # confused pairs that are listed
LOOKS = ("looks", "look")

# A metric -> its name, and whether it is a share that can be written in percent.
METRICS: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "accuracy": ("accuracy", True),
        "balanced_accuracy": ("balanced accuracy: the mean over classes of their recall", True),
        "macro_f1": ("F1, the mean over classes", True),
        "roc_auc": ("area under the ROC curve", False),
        "log_loss": ("log loss, where less is better", False),
    }
)

# A baseline -> the same within a sentence.
RIVALS: Mapping[str, str] = MappingProxyType(
    {
        "Most frequent class": "always giving the most frequent class",
        "A linear model": "a linear model",
    }
)

# Why training ended, in a sentence.
ENDED: Mapping[EndReason, str] = MappingProxyType(
    {
        EndReason.HORIZON: "Every image was seen as often as has been found to help.",
        EndReason.TIME: "The time for training was used up.",
        EndReason.DIVERGED: "The loss became no finite number: the last good weights are kept.",
        EndReason.MEMORY: "Memory ran out: the last good weights are kept.",
        EndReason.INTERRUPTED: "It was interrupted.",
        EndReason.PAUSED: "It was paused.",
    }
)


def percent(share: float, *, n: int = FINE) -> str:
    """Write a share in percent, as precisely as ``n`` images allow; only 1 is 100 %.

    Example:
        >>> percent(0.99376), percent(0.986111, n=360), percent(0.99999)
        ('99.38 %', '98.6 %', '99.999 %')

    """
    digits = 2 if n >= FINE else 1
    while share < 1 and round(100 * share, digits) >= 100 and digits < 6:  # noqa: PLR2004 (percent)
        digits += 1
    return f"{100 * share:.{digits}f} %" if share < 1 else "100 %"


def score_text(value: float, metric: str, *, n: int) -> str:
    """Write a score: a share in percent, anything else with four digits."""
    return percent(value, n=n) if METRICS.get(metric, ("", False))[1] else f"{value:.4f}"


def headline(summary: Summary) -> str:
    """Say what the score measures."""
    score = summary.score
    if score.metric == "accuracy":
        return f"of {score.n:,} test images were classified correctly."
    name = METRICS.get(score.metric, (score.metric, False))[0]
    return f"{name}, on {score.n:,} test images."


def interval_sentence(summary: Summary) -> str:
    """Say how far the score can be trusted."""
    score = summary.score
    low, high = (score_text(v, score.metric, n=score.n) for v in (score.low, score.high))
    if summary.test_openings <= 1:
        measured = f"measured once on {score.n:,} images the training never saw"
    else:
        measured = (
            f"measured on {score.n:,} images the training never saw, which have by now been used "
            f"for {summary.test_openings} measurements: each makes the score a little too hopeful"
        )
    return (
        f"On new images of the same kind expect between {low} and {high} (95 % confidence, "
        f"{measured})."
    )


def cross_validation_sentence(story: Story) -> str:
    """State the score of out-of-fold predictions, of which there are more; nothing without them."""
    found = story.summary.cross_validation
    if found is None:
        return ""
    metric, n = found.metric, found.n
    value, low, high = (score_text(v, metric, n=n) for v in (found.value, found.low, found.high))
    return (
        f"By cross-validation on {n:,} training images, {metric.replace('_', ' ')} is {value}, "
        f"between {low} and {high}: each was predicted by {_predictor(story)}."
    )


def _predictor(story: Story) -> str:
    """Say what predicted an image in cross-validation, and what the final network is beyond it."""
    is_less = story.fold_share < ALIKE
    if story.by_heads:
        tuned = "; the final one was fine-tuned" if is_less else ""
        return f"a pretrained network whose last layer alone was fitted, without it{tuned}"
    briefly = f", on {passes(story.fold_share, 'example')} that the final one saw"
    return "a network that was trained without it" + (briefly if is_less else "")


def mistakes(accuracy: float, n: int) -> int:
    """Count the wrong answers behind an accuracy on ``n`` images."""
    return round((1 - accuracy) * n)


def baselines(summary: Summary) -> list[tuple[str, float]]:
    """List the baselines that need no deep learning, with their accuracies."""
    base = summary.baseline
    return [("Most frequent class", base.majority), ("A linear model", base.linear)]


def _strongest(summary: Summary) -> tuple[str, float]:
    """Return the better baseline in words, with its accuracy."""
    name, accuracy = max(baselines(summary), key=lambda row: row[1])
    return RIVALS[name], accuracy


def comparison(summary: Summary) -> str:
    """Compare with models that need no deep learning.

    In percent, not in counts: the linear model is tested on some of the test images only.
    """
    n, accuracy = summary.score.n, summary.evaluation.accuracy
    theirs, rival = _strongest(summary)
    if accuracy == rival == 1:
        return f"It makes no mistake, and neither does {theirs}."
    own = f"in {percent(1 - accuracy, n=n)} of cases" if accuracy < 1 else "in no case"
    text = f"It is wrong {own}, {theirs} in {percent(1 - rival, n=n)}"
    is_poor = summary.score.metric == "accuracy" and warning(summary)
    return f"{text}: this model has not learned what it should." if is_poor else f"{text}."


def warning(summary: Summary) -> str:
    """Warn of a model that a simpler one beats; empty if none does.

    By accuracy, it must be better than always giving the most frequent class and not clearly worse
    than a linear model, which answers some of the test images only. By another metric, a good model
    need not have the higher accuracy; but it must be better than answers that do not depend on the
    image. Where all test images are of one class, that cannot be told.
    """
    score = summary.score
    metric, own = score.metric, score.value
    if _tested_classes(summary) == 1:
        return ""
    if metric == "accuracy":
        theirs, rival = _strongest(summary)
        is_useless = own <= summary.baseline.majority or rival > score.high
    else:
        theirs, rival = "answering without looking at the image", _blind(summary)
        is_useless = own >= rival if metric == "log_loss" else own <= rival
    if not is_useless:
        return ""
    gave_all = summary.reason is EndReason.HORIZON
    need = "more images" if gave_all else "more time (a larger --budget) or more images"
    how = "no better" if score.low <= rival <= score.high else "worse"
    scores = " against ".join(score_text(value, metric, n=score.n) for value in (own, rival))
    return f"Do not use this model: it is {how} than {theirs} ({scores}). It needs {need}."


def _blind(summary: Summary) -> float:
    """Return what answers that do not depend on the image score by a metric but accuracy."""
    classes = _tested_classes(summary)
    share = summary.baseline.majority
    return {
        "balanced_accuracy": 1 / classes,
        "macro_f1": 2 * share / (1 + share) / classes,
        "roc_auc": 0.5,
        "log_loss": math.log(len(summary.data.classes)),
    }[summary.score.metric]


def _tested_classes(summary: Summary) -> int:
    """Count the classes of the test images."""
    return sum(map(any, summary.evaluation.confusion))


def told(summary: Summary) -> str:
    """State the scores for a terminal, and warn of a model that is of no use."""
    return "\n".join(filter(None, [summary.words(), warning(summary)]))


@final
@dataclass(frozen=True, kw_only=True)
class Confusion:
    """A class that was taken for another one: how often, of how many."""

    true: str
    answer: str
    count: int
    total: int


def confused(summary: Summary) -> Sequence[Confusion]:
    """Return the pairs of classes that were confused most often, the most frequent first."""
    names, counts = summary.data.classes, summary.evaluation.confusion
    pairs = [
        Confusion(true=names[i], answer=names[j], count=count, total=sum(row))
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: -pair.count)[:PAIRS]


def status_sentence(summary: Summary) -> str:
    """Say how the run ended."""
    used = f"{duration(summary.wall_s)} of {duration(summary.budget_s)}"
    if summary.status == "interrupted":
        return f"The run was interrupted after {used}; this is the best model until then."
    return f"Finished after {used}. {ENDED[summary.reason]}"


def doubtful_labels(story: Story) -> int:
    """Count the labels of training images that look wrong."""
    return sum(len(finding.items) for finding in story.findings if finding.kind == "label")


def data_sentence(story: Story) -> str:
    """Say what was wrong with the data, in one sentence."""
    data, learned = story.summary.data, doubtful_labels(story)
    leaked = counted(data.leaks, "training image", verb=("was", "were"))
    found = [
        text
        for count, text in (
            (data.quarantined, f"{counted(data.quarantined, 'file')} could not be read"),
            (data.leaks, f"{leaked} in the test part too"),
            (data.conflicts, f"{counted(data.conflicts, 'label')} contradicted by a copy"),
            (data.suspects, f"{counted(data.suspects, 'test label', verb=LOOKS)} wrong"),
            (learned, f"{counted(learned, 'training label', verb=LOOKS)} wrong"),
        )
        if count
    ]
    found += [f.title for f in story.findings if f.kind == "missing"]
    kept = [f.title for f in story.findings if f.kind == "leak" and not f.is_left_out]
    if not found:
        fine = "every image could be read, and no training image is in the test part too"
        if kept:
            fine += ", to the pixel"
        elif NO_NEAR_COPIES in story.fine:
            fine += ", to the pixel; there was no time to look for near copies"
        if others := sum(f.weight != "notable" for f in story.findings):
            return f"{counted(others, 'thing')} below should be looked at; else {fine}."
        return f"Nothing wrong was found: {fine}."
    doubts = data.conflicts or data.suspects or learned or kept
    left_out = (data.quarantined or data.leaks) and not doubts
    return "; ".join([*found, *kept]) + (". None of these was trained on." if left_out else ".")


def calibration_sentence(story: Story) -> str:
    """Say whether the probabilities mean what they say."""
    measures, bins = story.summary.evaluation, story.after
    before, after = measures.ece_before, measures.ece_after
    text = (
        "When the model says 90 %, it should be right in 90 of 100 cases. On average it is off by "
        f"{100 * after:.1f} percentage points"
    )
    if after <= before:
        return f"{text} (before calibration: {100 * before:.1f})."
    text = f"{text}. Calibration, fitted on other images, did not help here (before: "
    text += f"{100 * before:.1f})"
    if is_chance(bins):
        return f"{text}; with so few test images that is within chance."
    is_modest = sum(b.count * (b.accuracy - b.confidence) for b in bins) > 0
    if is_modest and story.fold_share < ALIKE:
        less = (
            "whose last layer alone was fitted" if story.by_heads else "that trained for less time"
        )
        return (
            f"{text}, by more than chance: it was fitted on out-of-fold predictions of networks "
            f"{less}, and so made probabilities less sure than they should be."
        )
    return f"{text}, by more than chance: the test images may be of another kind."
