"""95 % confidence intervals of metrics.

Shape letters: N images, K classes.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.metrics import METRICS, Evaluation, area_with_interval, wilson

Probabilities = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]
ROUNDS, FEWEST_ROUNDS = 1000, 40  # of the bootstrap
VALUES = 20_000_000  # probabilities that all its rounds may process: a second or two


def interval(metric: str, own: Evaluation, p_NK: Probabilities, y_N: Labels) -> tuple[float, float]:
    """Bounds of a metric's 95 % confidence interval.

    Accuracy has Wilson's interval. Balanced accuracy, the mean of recalls, combines Wilson's
    intervals of the recalls like those of independent quantities (Zou and Donner 2008,
    "Construction of confidence limits about effect measures"). Areas under the ROC curve have the
    mean of the classes' DeLong intervals, as if their errors were fully correlated. Other metrics
    are bootstrapped. If all predictions are correct, so are those of every resample, and accuracy's
    lower bound is used instead.

    Args:
        metric: One of `METRICS`.
        own: Result of `evaluate` on these images.
        p_NK: Probabilities.
        y_N: True classes.

    Example:
        >>> from tunesmith.evaluation.metrics import evaluate
        >>> p_NK, y_N = np.eye(2)[[0] * 10 + [1] * 10], np.repeat([0, 1], 10)
        >>> bounds = interval("balanced_accuracy", evaluate(p_NK, y_N), p_NK, y_N)
        >>> [round(bound, 2) for bound in bounds]
        [0.8, 1.0]

    """
    match metric:
        case "accuracy":
            return own.low, own.high
        case "balanced_accuracy":
            return _mean_of_recalls(own.recall, own.recall_interval)
        case "roc_auc":
            return _areas(p_NK, y_N)
    low, high = _resampled(metric, p_NK, y_N)
    if METRICS[metric].greater_is_better and own.accuracy == 1:
        low = min(low, wilson(own.n, own.n)[0])
    return low, high


def _mean_of_recalls(
    recall: tuple[float | None, ...], bounds: tuple[tuple[float, float], ...]
) -> tuple[float, float]:
    known = [(r, *ends) for r, ends in zip(recall, bounds, strict=True) if r is not None]
    mean = math.fsum(r for r, _, _ in known) / len(known)
    below = math.sqrt(math.fsum((r - low) ** 2 for r, low, _ in known)) / len(known)
    above = math.sqrt(math.fsum((high - r) ** 2 for r, _, high in known)) / len(known)
    return mean - below, mean + above


def _areas(p_NK: Probabilities, y_N: Labels) -> tuple[float, float]:
    """Interval of the ROC AUC: of the second class if there are two, else one-vs-rest."""
    k = p_NK.shape[1]
    classes = [1] if k == 2 else np.unique(y_N).tolist()  # noqa: PLR2004 (one question)
    bounds = [area_with_interval(p_NK[:, c], y_N == c)[1:] for c in classes]
    low, high = np.mean(bounds, axis=0)
    return float(low), float(high)


def resamples(n: int, values: int) -> Iterator[NDArray[np.int64]]:
    """Yield indices of ``n`` images drawn with replacement; fewer times for more ``values``.

    The draws are the same in every call.
    """
    rng = np.random.default_rng(0)
    for _ in range(max(FEWEST_ROUNDS, min(ROUNDS, VALUES // max(1, values)))):
        yield rng.integers(0, n, n)


def _resampled(metric: str, p_NK: Probabilities, y_N: Labels) -> tuple[float, float]:
    """Interval by the percentile bootstrap (Efron and Tibshirani 1993)."""
    draws = [METRICS[metric].function(p_NK[i], y_N[i]) for i in resamples(len(y_N), p_NK.size)]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)
