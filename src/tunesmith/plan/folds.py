"""How many out-of-fold predictions a budget can afford."""

import math

from tunesmith.core.words import counted
from tunesmith.data.split import FOLDS
from tunesmith.plan.speeds import FEWEST_EPOCHS_SMALL

FOLD_SHARE = 0.5  # share of the training time for out-of-fold predictions, at most
# A fold's network says little of the final one if it is trained for a fraction of that time only.
# Then the rest of fewer folds is trained on, but of enough for as many out-of-fold predictions.
FOLD_EPOCHS, FOLD_EPOCHS_PRETRAINED, FEWEST_PREDICTED = 10.0, 2.0, 500


def folds_in(
    images: int, *, seconds: float, images_per_s: float, pretrained: bool
) -> tuple[int, float]:
    """Number of folds to predict, each by a network trained on the rest, and their share of time.

    Args:
        images: Number of training images.
        seconds: Seconds for the final training and those without a fold.
        images_per_s: Training throughput.
        pretrained: Whether the network is pretrained, so that little training is needed.

    Example:
        >>> [folds_in(n, seconds=60, images_per_s=900, pretrained=False) for n in (200, 2000)]
        [(5, 0.5), (2, 0.5)]
        >>> folds_in(2700, seconds=30, images_per_s=900, pretrained=False)[0]
        1

    """
    epochs, rest = fold_epochs(pretrained=pretrained), images * (1 - 1 / FOLDS)
    longest = int(FOLD_SHARE * seconds * images_per_s / (epochs * rest))
    count = max(1, min(FOLDS, max(longest, math.ceil(FEWEST_PREDICTED * FOLDS / images))))
    return count, min(FOLD_SHARE, count / (count + 2))


def fold_epochs(*, pretrained: bool) -> float:
    """Epochs from which a fold's network says something of the final one."""
    return FOLD_EPOCHS_PRETRAINED if pretrained else FOLD_EPOCHS


def can_tune(images: int, *, folds: int, seconds: float, images_per_s: float) -> bool:
    """Whether networks without a fold can be fine-tuned with each of their images once.

    With fewer examples, a few steps at a rate that many will need, they become worse than their
    heads on frozen features (CIFAR-10, 300 and 1,000 images).

    Args:
        images: Number of training images.
        folds: Number of networks.
        seconds: Seconds for all of them.
        images_per_s: Training throughput.

    Example:
        >>> [can_tune(1000, folds=3, seconds=s, images_per_s=100) for s in (20, 30)]
        [False, True]

    """
    return is_tuned(images_per_s * seconds / folds, images * (1 - 1 / FOLDS))


def heads_words(examples: int, images: int) -> str:
    """Explain that no network without a fold was fine-tuned, and what answers.

    Args:
        examples: Number of examples that the final network was fine-tuned with.
        images: Number of training images.

    Example:
        >>> heads_words(900, 1000).partition("for them. ")[2]
        'Such a head answers too: to fine-tune with 900 examples, fewer than images, does harm.'
        >>> heads_words(0, 1000).partition("for them. ")[2]
        'There was no time to fine-tune: such a head answers.'

    """
    told = (
        "Too little time to fine-tune networks without a part of the images: for calibration, "
        "heads on features learned from photographs stand for them."
    )
    if is_tuned(examples, images):
        return told
    if not examples:
        return f"{told} There was no time to fine-tune: such a head answers."
    return (
        f"{told} Such a head answers too: to fine-tune with {counted(examples, 'example')}, fewer "
        "than images, does harm."
    )


def is_tuned(examples: float, images: float) -> bool:
    """Whether so many examples of fine-tuning do good where images are few."""
    return examples >= FEWEST_EPOCHS_SMALL * images
