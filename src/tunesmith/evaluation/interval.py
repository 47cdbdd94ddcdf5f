"""How far a score can be trusted: 95 % confidence intervals.

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
VALUES = 20_000_000  # probabilities that all its rounds may look at: a second or two


def interval(metric: str, own: Evaluation, p_NK: Probabilities, y_N: Labels) -> tuple[float, float]:
    """Bounds of a metric's 95 % confidence interval.

    Wilson's for accuracy. For balanced accuracy, the mean of recalls, Wilson's for each recall, put
    together as those of independent quantities are (Zou and Donner 2008, "Construction of
    confidence limits about effect measures"). For areas under the ROC curve the mean of DeLong's
    for each class, as if they erred together. Else from resampling, which knows of nothing between
    the images that it has: where no answer was wrong, no resample has a wrong one either, and
    accuracy's lower bound stands in.

    Args:
        metric: One of `METRICS`.
        own: What `evaluate` measured on these images.
        p_NK: Probabilities.
        y_N: Classes.

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
    """Of the second class if there are two, else of each that occurs against all others."""
    k = p_NK.shape[1]
    classes = [1] if k == 2 else np.unique(y_N).tolist()  # noqa: PLR2004 (one question)
    bounds = [area_with_interval(p_NK[:, c], y_N == c)[1:] for c in classes]
    low, high = np.mean(bounds, axis=0)
    return float(low), float(high)


def resamples(n: int, values: int) -> Iterator[NDArray[np.int64]]:
    """Places of ``n`` images drawn with replacement, as many times as time allows, always alike."""
    rng = np.random.default_rng(0)
    for _ in range(max(FEWEST_ROUNDS, min(ROUNDS, VALUES // max(1, values)))):
        yield rng.integers(0, n, n)


def _resampled(metric: str, p_NK: Probabilities, y_N: Labels) -> tuple[float, float]:
    """The percentile bootstrap (Efron and Tibshirani 1993)."""
    draws = [METRICS[metric].function(p_NK[i], y_N[i]) for i in resamples(len(y_N), p_NK.size)]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)
