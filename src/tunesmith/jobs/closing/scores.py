"""The user's metric, with its interval."""

import numpy as np
from numpy.typing import NDArray

from tunesmith.bundle.manifest import Score
from tunesmith.evaluation.interval import interval
from tunesmith.evaluation.metrics import METRICS, Evaluation, evaluate


def score(
    metric: str, evaluation: Evaluation, p_NK: NDArray[np.float32], y_N: NDArray[np.int64]
) -> Score:
    """Return a metric of predictions, with its 95 % interval.

    Args:
        metric: One of `METRICS`.
        evaluation: Result of `evaluate` on these predictions.
        p_NK: Predicted probabilities.
        y_N: True classes.
    """
    value = METRICS[metric].function(p_NK, y_N)
    low, high = interval(metric, evaluation, p_NK, y_N)
    return Score(metric=metric, value=value, low=low, high=high, n=len(y_N))


def cross_validation(
    metric: str, p_NK: NDArray[np.float32], y_N: NDArray[np.int64], *, tested: int
) -> Score | None:
    """Return the score of out-of-fold predictions, if they are more than the test images.

    The interval of a score on 12 test images says next to nothing; there are four times as many
    out-of-fold predictions. They err on both sides: each is of a network of fewer images, but they
    chose among networks, and the temperature was fitted to them.

    Args:
        metric: One of `METRICS`.
        p_NK: Out-of-fold probabilities; none if images were held out instead of folds.
        y_N: True classes.
        tested: Number of test images.
    """
    return score(metric, evaluate(p_NK, y_N), p_NK, y_N) if len(y_N) > tested else None
