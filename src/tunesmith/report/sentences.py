"""What the numbers mean, in sentences that need no statistics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from tunesmith.core.ending import EndReason
from tunesmith.core.words import counted, duration
from tunesmith.report.findings import NO_NEAR_COPIES
from tunesmith.report.story import Story
from tunesmith.report.summary import Summary

FINE = 2000  # test images from which a second decimal of a percentage means something
SURE = 0.9  # confidence above which a wrong prediction makes its label suspect
FEW = 1000  # test images below which the interval is worth a sentence
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

# Why training ended, in a sentence.
ENDED: Mapping[EndReason, str] = MappingProxyType(
    {
        EndReason.HORIZON: "Every image was seen as often as has been found to help.",
        EndReason.TIME: "The time for training was used up.",
        EndReason.DIVERGED: "The loss became no finite number: the last good weights are kept.",
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


def cross_validation_sentence(summary: Summary) -> str:
    """State the score of out-of-fold predictions, of which there are more; nothing without them."""
    found = summary.cross_validation
    if found is None:
        return ""
    metric, n = found.metric, found.n
    value, low, high = (score_text(v, metric, n=n) for v in (found.value, found.low, found.high))
    return (
        f"By cross-validation on {n:,} training images, {metric.replace('_', ' ')} is {value}, "
        f"between {low} and {high}: each was predicted by a network that was trained without it."
    )


def mistakes(accuracy: float, n: int) -> int:
    """Count the wrong answers behind an accuracy on ``n`` images."""
    return round((1 - accuracy) * n)


def baselines(summary: Summary) -> list[tuple[str, float]]:
    """List the baselines that need no deep learning, with their accuracies."""
    base = summary.baseline
    rows = [("Most frequent class", base.majority), ("A linear model", base.linear)]
    return [(name, accuracy) for name, accuracy in rows if accuracy is not None]


def comparison(summary: Summary) -> str:
    """Compare with models that need no deep learning.

    In percent, not in counts: the linear model is tested on some of the test images only.
    """
    n, accuracy = summary.score.n, summary.evaluation.accuracy
    name, rival = max(baselines(summary), key=lambda row: row[1])
    theirs = {
        "A linear model": "a linear model",
        "Most frequent class": "always giving the most frequent class",
    }[name]
    if accuracy == rival == 1:
        return f"It makes no mistake, and neither does {theirs}."
    own = f"in {percent(1 - accuracy, n=n)} of cases" if accuracy < 1 else "in no case"
    text = f"It is wrong {own}, {theirs} in {percent(1 - rival, n=n)}"
    # By another metric, a good model need not have the higher accuracy, and a tie with the linear
    # model is fine; but one as good as the most frequent class has learned nothing.
    is_worse = accuracy < rival or accuracy == summary.baseline.majority
    is_worse = is_worse and summary.score.metric == "accuracy"
    return f"{text}: this model has not learned what it should." if is_worse else f"{text}."


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


def next_steps(story: Story) -> Iterator[str]:
    """Yield what to do next, most useful first."""
    summary = story.summary
    if summary.status == "interrupted":
        yield "The run was interrupted. The same command goes on where it stopped."
    yield from _about_data(story)
    yield from _about_answers(story)
    if summary.reason is EndReason.TIME and summary.status == "finished":
        yield (
            "Training used all its time. The same command with a larger --budget continues from "
            "here, and may do better."
        )
    if summary.score.n < FEW and summary.evaluation.accuracy < 1:
        yield (
            f"The score rests on {summary.score.n:,} test images. Four times as many would halve "
            "the width of its interval."
        )
    yield "Try it on images of your own: the end of this page says how."


def _about_data(story: Story) -> Iterator[str]:
    data = story.summary.data
    if data.quarantined:
        yield (
            f"Repair or delete the {counted(data.quarantined, 'file')} that could not be read; "
            "quarantine.csv lists all of them."
        )
    if data.conflicts:
        yield (
            f"Mend {counted(data.conflicts, 'label')} of images that are there with different "
            "ones; with --on-suspects quarantine they are left out of training."
        )
    doubted = [
        counted(count, f"{part} label")
        for part, count in (("test", data.suspects), ("training", _doubted(story)))
        if count
    ]
    if doubted:
        yield (
            f"Check {' and '.join(doubted)} in suspects.csv, where the most doubtful come first: a "
            "network that did not learn from the image is sure of another class."
        )
    if data.leaks:
        yield (
            f"Remove the {counted(data.leaks, 'training image')} that the test part has too; this "
            "training did without."
        )
    for finding in story.findings:
        if finding.weight == "serious" and not finding.is_left_out:
            yield f"{finding.title}: see The data below for what it means."


def _doubted(story: Story) -> int:
    """Count the labels of training images that look wrong."""
    return sum(len(finding.items) for finding in story.findings if finding.kind == "label")


def _about_answers(story: Story) -> Iterator[str]:
    summary = story.summary
    evaluation, names = summary.evaluation, summary.data.classes
    sure = sum(answer.probability >= SURE for answer in story.mistakes)
    if sure:
        many = "one of them" if sure == 1 else f"{sure} of them"
        yield (
            f"Look at the worst mistakes below. In {many} the model was more than "
            f"{100 * SURE:.0f} % sure: often the label is what is wrong."
        )
    known = [
        (recall, interval[1], name)
        for recall, interval, name in zip(
            evaluation.recall, evaluation.recall_interval, names, strict=True
        )
        if recall is not None
    ]
    if known:
        recall, high, name = min(known)
        # Only if chance is no good explanation.
        if high < evaluation.accuracy:
            yield (
                f"More training images of “{name}” would help most: only "
                f"{percent(recall, n=0)} of its test images were recognized."
            )
    pairs = confused(summary)
    if pairs and pairs[0].count >= 3:  # noqa: PLR2004 (fewer is chance)
        worst = pairs[0]
        yield (
            f"“{worst.true}” is most often taken for “{worst.answer}” ({worst.count:,} of "
            f"{worst.total:,}). If people mix them up too, the labels may need a clearer rule."
        )


def data_sentence(story: Story) -> str:
    """Say what was wrong with the data, in one sentence."""
    data, learned = story.summary.data, _doubted(story)
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
    kept = [f.title for f in story.findings if f.kind == "leak" and not f.is_left_out]
    if not found:
        fine = "every image could be read, and no training image is in the test part too"
        if kept:
            fine += ", to the pixel"
        elif NO_NEAR_COPIES in story.fine:
            fine += ", to the pixel; there was no time to look for near copies"
        others = sum(f.weight != "notable" for f in story.findings)
        if others:
            return f"{counted(others, 'thing')} below should be looked at; else {fine}."
        return f"Nothing wrong was found: {fine}."
    doubts = data.conflicts or data.suspects or learned or kept
    left_out = (data.quarantined or data.leaks) and not doubts
    return "; ".join([*found, *kept]) + (". None of these was trained on." if left_out else ".")


def calibration_sentence(summary: Summary) -> str:
    """Say whether the probabilities mean what they say."""
    before, after = summary.evaluation.ece_before, summary.evaluation.ece_after
    text = (
        "When the model says 90 %, it should be right in 90 of 100 cases. On average it is off by "
        f"{100 * after:.1f} percentage points"
    )
    if after <= before:
        return f"{text} (before calibration: {100 * before:.1f})."
    return (
        f"{text}. Calibration, fitted on other images, did not help here (before: "
        f"{100 * before:.1f}); with few test images that is within chance."
    )
