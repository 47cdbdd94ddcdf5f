"""What to do next, after a training."""

import math
from collections.abc import Iterator

from tunesmith.core.ending import EndReason
from tunesmith.core.words import counted
from tunesmith.report.sentences import confused, doubtful_labels, percent, warning
from tunesmith.report.story import Story
from tunesmith.report.summary import Summary

SURE = 0.9  # confidence above which a wrong prediction makes its label suspect
FEW = 1000  # test images below which the interval is worth a sentence
UNLIKELY = 0.05  # chance below which a class is called weak, all classes together


def next_steps(story: Story) -> Iterator[str]:
    """Yield what to do next, most useful first."""
    summary = story.summary
    if warned := warning(summary):
        yield warned
    if summary.status == "interrupted":
        yield "The run was interrupted. The same command goes on where it stopped."
    yield from _about_data(story)
    if not warned:
        yield from _about_answers(story)
    if summary.reason is EndReason.TIME and summary.status == "finished" and not warned:
        yield (
            "Training used all its time. The same command with a larger --budget continues from "
            "here, and may do better."
        )
    if summary.score.n < FEW and summary.evaluation.accuracy < 1:
        yield (
            f"The score rests on {summary.score.n:,} test images. Four times as many would halve "
            "the width of its interval."
        )
    if not warned:
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
        for part, count in (("test", data.suspects), ("training", doubtful_labels(story)))
        if count
    ]
    if doubted:
        yield (
            f"Check {' and '.join(doubted)} in suspects.csv, where the most doubtful come first: a "
            "network that did not learn from the image is at least 90 % sure of another class."
        )
    if data.leaks:
        yield (
            f"Remove the {counted(data.leaks, 'training image')} that the test part has too; this "
            "training did without."
        )
    for finding in story.findings:
        if finding.weight == "serious" and not finding.is_left_out:
            yield f"{finding.title}: see The data below for what it means."


def _about_answers(story: Story) -> Iterator[str]:
    summary = story.summary
    sure = sum(answer.probability >= SURE for answer in story.mistakes)
    if sure:
        many = "one of them" if sure == 1 else f"{sure} of them"
        yield (
            f"Look at the worst mistakes below. In {many} the model was more than "
            f"{100 * SURE:.0f} % sure: often the label is what is wrong."
        )
    yield from _weakest(summary)
    pairs = confused(summary)
    if pairs and pairs[0].count >= 3:  # noqa: PLR2004 (fewer is chance)
        worst = pairs[0]
        yield (
            f"“{worst.true}” is most often taken for “{worst.answer}” ({worst.count:,} of "
            f"{worst.total:,}). If people mix them up too, the labels may need a clearer rule."
        )


def _weakest(summary: Summary) -> Iterator[str]:
    """Name the class that stands out most, unless chance explains it."""
    evaluation = summary.evaluation
    rows = [
        (_luck(counts[i], sum(counts), evaluation.accuracy), recall, name)
        for i, (counts, recall, name) in enumerate(
            zip(evaluation.confusion, evaluation.recall, summary.data.classes, strict=True)
        )
        if recall is not None and recall < evaluation.accuracy
    ]
    luck, recall, name = min(rows, default=(1.0, 0.0, ""))
    if luck * len(summary.data.classes) < UNLIKELY:
        few = f"only {percent(recall, n=0)} of its test images were"
        yield (
            f"More training images of “{name}” would help most: "
            f"{few if recall else 'none of its test images was'} recognized."
        )


def _luck(right: int, total: int, share: float) -> float:
    """Return the probability of so few right answers for a class that is as easy as all are.

    Example:
        >>> round(_luck(35, 36, 359 / 360), 3)  # one mistake
        0.095

    """

    def probability(k: int) -> float:
        ways = math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
        return math.exp(ways + k * math.log(share) + (total - k) * math.log1p(-share))

    return sum(map(probability, range(right + 1)))
