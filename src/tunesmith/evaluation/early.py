"""How networks that are not fully trained yet are compared. Shape letter: N images."""

import numpy as np

from tunesmith.evaluation.baselines import majority
from tunesmith.evaluation.metrics import Labels

BALANCED = "balanced_accuracy"


def compared_by(metric: str) -> str:
    """Metric by which networks are compared before the end of training: a share of right answers.

    Others say little so early, since probabilities are not calibrated yet.

    Example:
        >>> compared_by("balanced_accuracy"), compared_by("log_loss")
        ('balanced_accuracy', 'accuracy')

    """
    return metric if metric == BALANCED else "accuracy"


def counting_words(metric: str) -> str:
    """Explain shares of right answers that are not those of images.

    Example:
        >>> counting_words("balanced_accuracy"), counting_words("accuracy")
        (' Of all these shares, each is the mean over classes.', '')

    """
    is_balanced = compared_by(metric) == BALANCED
    return " Of all these shares, each is the mean over classes." if is_balanced else ""


def counting(metric: str, y_N: Labels) -> int:
    """Number of images that decide: in a mean over classes, of each as many as of the rarest.

    Example:
        >>> y_N = np.array([0, 0, 0, 1])
        >>> counting("accuracy", y_N), counting("balanced_accuracy", y_N)
        (4, 2)

    """
    if compared_by(metric) != BALANCED:
        return len(y_N)
    counts = np.bincount(y_N)
    counts = counts[counts > 0]
    return int(len(counts) * counts.min(initial=len(y_N)))


def chance(metric: str, y_N: Labels) -> float:
    """Metric, one of `compared_by`, of always predicting the most frequent class.

    Example:
        >>> y_N = np.array([0, 0, 0, 1])
        >>> chance("accuracy", y_N), chance("balanced_accuracy", y_N)
        (0.75, 0.5)

    """
    if compared_by(metric) != BALANCED:
        return majority(y_N, y_N)
    return 1 / int(np.count_nonzero(np.bincount(y_N)))
