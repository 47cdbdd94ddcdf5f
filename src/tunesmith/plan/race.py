"""When networks race against each other, and how the report describes it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from tunesmith.core.words import duration
from tunesmith.training.findings import beyond_chance

RACE_SHARE = 0.1  # share of the training time for each candidate's heat, a short training
WELL = 0.9  # accuracy beyond chance of the probe training from which on pretraining cannot help
TOGETHER_FEWEST_S = 1200.0  # a shorter budget is better spent on one network to the end
# Largest ratio of two networks' errors to train both. A pretrained network that is not even better
# costs many times as much for each image, and so takes more than it adds.
WITHIN_SCRATCH, WITHIN_PRETRAINED = 1.1, 1.3
OPEN_WITHIN = 1.15  # largest ratio of a pretrained network's error to the other's, to start a race
FEW = 100  # images on which an accuracy says little
HOPELESS = 2.0  # ratio of the other's error to it from which on the other need not be tried
RACE_FEWEST_S = 90.0  # two heats take too much of a shorter budget
# A shorter budget is better spent on one network; with few images, and with many.
TRANSFER_FEWEST_S, TRANSFER_FEWEST_MANY_S = 20.0, 30.0
# From the error after a heat to the final error. A network from scratch has more to gain, and the
# more, the better it learns, down to a least share of the error. A pretrained one is good at once;
# its error falls with this power of the examples, 5,000 to 160,000 of them (CIFAR-10).
LEFT_SCRATCH, LEAST_LEFT, POWER = 0.9, 0.35, 0.22
# The same for a head on frozen features, before any fine-tuning; and the number of examples after
# which fine-tuning has brought most of what it brings.
LEFT_HEAD, TUNED = 0.4, 20_000
# Share of a probe's error that is left after a heat from scratch, if it is so many times longer.
HEAT_LEFT, LONG = 0.75, 4.0


@final
@dataclass(frozen=True, kw_only=True)
class Probed:
    """Result of the probe training, a few seconds from scratch.

    Attributes:
        accuracy: Its accuracy, plain or balanced as the user's metric; None if there was none.
        images: Number of images that it was measured on; 0 if that is not known.
        chance: Accuracy of always predicting the most frequent class.
    """

    accuracy: float | None
    images: int = 0
    chance: float = 0.0


def after_heat(brief: float, *, heat_s: float, brief_s: float) -> float:
    """Expected accuracy of a heat from scratch, by that of the probe training.

    Example:
        >>> after_heat(0.5, heat_s=50, brief_s=6), after_heat(0.5, heat_s=5, brief_s=2)
        (0.625, 0.5)

    """
    return 1 - HEAT_LEFT * (1 - brief) if heat_s >= LONG * brief_s else brief


def after_tuning(head: float, examples: int) -> float:
    """Expected accuracy of a fine-tuned network, by that of a linear head on its frozen features.

    Example:
        >>> after_tuning(0.75, 20_000), after_tuning(0.75, 0)
        (0.9, 0.75)

    """
    return 1 - float(LEFT_HEAD ** min(1.0, examples / TUNED)) * (1 - head)


def may_transfer(budget: float, *, small: bool) -> bool:
    """Whether there is time to consider a pretrained network beside one from scratch.

    Example:
        >>> may_transfer(25, small=True), may_transfer(25, small=False)
        (True, False)

    """
    return budget >= (TRANSFER_FEWEST_S if small else TRANSFER_FEWEST_MANY_S)


def is_worth_trying(brief: float, chance: float) -> bool:
    """Whether a pretrained network may help, by the accuracy of a probe training from scratch.

    Args:
        brief: Accuracy of the probe training.
        chance: Accuracy of always predicting the most frequent class, which is no sign of learning.

    Example:
        >>> is_worth_trying(0.95, chance=0.1), is_worth_trying(0.95, chance=0.94)
        (False, True)

    """
    return beyond_chance(brief, chance) < WELL


def is_worth_racing(scratch: float, pretrained: float) -> bool:
    """Whether to start a race, by the accuracies expected of both networks in the end.

    Example:
        >>> is_worth_racing(0.78, 0.77), is_worth_racing(0.95, 0.9)
        (True, False)

    """
    return 1 - pretrained <= OPEN_WITHIN * (1 - scratch)


def is_hopeless(scratch: float, pretrained: float) -> bool:
    """Whether a network from scratch need not be tried, by the accuracies expected of both.

    Example:
        >>> is_hopeless(0.61, 0.88), is_hopeless(0.8, 0.88)
        (True, False)

    """
    return 1 - scratch > HOPELESS * (1 - pretrained)


def unhoped_words(probed: Probed, head: float) -> str:
    """Explain why a network from scratch did not compete."""
    few = f" of only {probed.images} images" if probed.images < FEW else ""
    return (
        f"A head on features learned from photographs gave {100 * head:.1f} % right, and a few "
        f"seconds of training from scratch {100 * (probed.accuracy or 0.0):.1f} %{few}, so that "
        "was not tried further."
    )


def short_words(scratch: str, budget: float) -> str:
    """Explain why a network from scratch goes on without a race in a short budget.

    The budget is told too: once it is larger, the race is still not run.
    """
    return (
        f"{scratch} goes on: a race with a pretrained network takes a budget of "
        f"{duration(RACE_FEWEST_S)} or more, and it was {duration(budget)} when this was decided."
    )


def untried_words(brief: float, head: float | None = None) -> str:
    """Explain why a pretrained network did not compete."""
    start = f"Trained from scratch: a few seconds of that gave {100 * brief:.1f} % right"
    if head is None:
        return f"{start}, so features learned from photographs were not tried."
    return f"{start}, and a head on features learned from photographs only {100 * head:.1f} %."


def expected(score: float, *, pretrained: bool, longer: float) -> float:
    """Expected accuracy of a full training, by that after the first `RACE_SHARE` of it.

    Args:
        score: Accuracy after that share.
        pretrained: Whether the network is pretrained.
        longer: Examples of the full training over those of that share, at least 1.

    Example:
        >>> scratch = expected(0.75, pretrained=False, longer=10)
        >>> scratch > expected(0.8, pretrained=True, longer=10)
        True
        >>> expected(0.8, pretrained=True, longer=1)
        0.8

    """
    error = 1 - score
    if pretrained:
        return 1 - float(longer**-POWER) * error
    return 1 - error * max(LEAST_LEFT, LEFT_SCRATCH * error)


def continued(points: Sequence[tuple[int, float]], examples: int) -> float:
    """Expected accuracy after more examples: the error falls by the same power of them as before.

    Of few images, some are learned by heart within seconds and others never: a network's own curve
    tells more than that of others.

    Args:
        points: Numbers of examples and accuracies after them; at least one.
        examples: Number of examples in the end.

    Example:
        >>> round(continued([(100, 0.2), (1000, 0.6)], 10_000), 4), continued([(100, 0.5)], 1000)
        (0.8, 0.5)

    """
    (first, one), (last, other) = points[0], points[-1]
    if other <= one or first >= last or other >= 1 or examples <= last:
        return other
    power = math.log((1 - one) / (1 - other)) / math.log(last / first)
    return 1 - (1 - other) * float((examples / last) ** -power)


def sharing(networks: int, *, budget: float) -> int:
    """Number of networks in a race that may be trained to their end.

    Example:
        >>> sharing(2, budget=600), sharing(2, budget=1800)
        (1, 2)

    """
    return networks if budget >= TOGETHER_FEWEST_S else 1


def pays_together(scratch: float, pretrained: float, *, budget: float) -> bool:
    """Whether to train two networks for half of the time each, by their expected accuracies.

    Half of the time makes each a little worse, but an ensemble more than makes up for it, if
    neither is much worse than the other. In the end, the held-out images decide.

    Example:
        >>> pays_together(0.86, 0.88, budget=1800), pays_together(0.88, 0.86, budget=1800)
        (True, False)

    """
    better, worse = max(scratch, pretrained), min(scratch, pretrained)
    within = WITHIN_SCRATCH if scratch >= pretrained else WITHIN_PRETRAINED
    return budget >= TOGETHER_FEWEST_S and 1 - worse <= within * (1 - better)


def untuned_words(head: float, tuned: float, examples: int) -> str:
    """Explain why a fine-tuned network does not answer.

    Args:
        head: Accuracy of a head on frozen features, on held-out images.
        tuned: That of the fine-tuned network.
        examples: Number of examples that it was fine-tuned with.
    """
    return (
        f"A head on features learned from photographs answers: {100 * head:.1f} % right on "
        f"held-out images, {100 * tuned:.1f} % after fine-tuning with {examples:,} examples, and "
        "the lower loss."
    )


def unraced_words(scores: Mapping[str, float], at_end: Mapping[str, float]) -> str:
    """Explain why there is no race, if a pretrained network is expected to be much worse.

    Args:
        scores: Accuracies by name: from scratch so far, then of a linear head on frozen features.
        at_end: Expected accuracies after a full training, by name.
    """
    (scratch, own), (_, head) = scores.items()
    return (
        f"{scratch} goes on: a short training from scratch gave {100 * own:.1f} % right, and a "
        f"head on features learned from photographs {100 * head:.1f} %; to be expected at the end: "
        f"about {' and '.join(f'{100 * share:.0f} %' for share in at_end.values())}."
    )


def race_words(
    best: str,
    scores: Mapping[str, float],
    at_end: Mapping[str, float],
    *,
    together: bool = False,
) -> str:
    """Describe the outcome of a race.

    Args:
        best: Name of the winner.
        scores: Accuracies after the heats, by name.
        at_end: Expected accuracies after a full training, by name.
        together: Whether all of them are trained on.

    Example:
        >>> words = race_words("b", {"a": 0.5, "b": 0.75}, {"a": 0.6, "b": 0.875})
        >>> words.partition("images: ")[2]
        'a 50.0 % right, b 75.0 %; to be expected at the end: about 60 % and 88 %. b goes on.'

    """
    (first, value), *others = scores.items()
    rest = "".join(f", {name} {100 * other:.1f} %" for name, other in others)
    ends = ""
    if at_end != scores:
        ends = "; to be expected at the end: about "
        ends += " and ".join(f"{100 * at_end[name]:.0f} %" for name in scores)
    return (
        f"After a short training each, on held-out images: {first} {100 * value:.1f} % right"
        f"{rest}{ends}. {'Both go' if together else f'{best} goes'} on."
    )
