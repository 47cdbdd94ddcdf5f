"""95 % confidence intervals of metrics.

Shape letters: N images, K classes, R resamples, P images of one class.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.areas import area_with_interval
from tunesmith.evaluation.metrics import METRICS, Evaluation, wilson

Probabilities = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
ROUNDS, FEWEST_ROUNDS = 1000, 40  # of the bootstrap
VALUES = 20_000_000  # probabilities that all but the fewest rounds may process: a second or two


def interval(metric: str, own: Evaluation, p_NK: Probabilities, y_N: Labels) -> tuple[float, float]:
    """Bounds of a metric's 95 % confidence interval.

    Accuracy has Wilson's interval. Balanced accuracy, the mean of recalls, combines Wilson's
    intervals of the recalls like those of independent quantities (Zou and Donner 2008,
    "Construction of confidence limits about effect measures"). Areas under the ROC curve have the
    mean of the classes' DeLong intervals, as if their errors were fully correlated. Other metrics
    are bootstrapped (Efron and Tibshirani 1993). If all predictions are correct, so are those of
    every resample, and accuracy's lower bound is used instead.

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
    draws = resampled(metric, p_NK, y_N, p_NK.size)
    low, high = np.nanquantile(draws, [0.025, 0.975]).tolist()
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
    bounds = [area_with_interval(p_NK[:, c], y_N == c)[1:] for c in _asked(p_NK, y_N)]
    low, high = np.mean(bounds, axis=0)
    return float(low), float(high)


def _asked(p_NK: Probabilities, y_N: Labels) -> list[int]:
    """Classes that are told from the rest: of two, which are one question, the second."""
    return [1] if p_NK.shape[1] == 2 else np.unique(y_N).tolist()  # noqa: PLR2004 (two classes)


def resamples(n: int, values: int) -> Iterator[NDArray[np.int64]]:
    """Yield indices of ``n`` images drawn with replacement; fewer times for more ``values``.

    The draws are the same in every call.
    """
    rng = np.random.default_rng(0)
    for _ in range(max(FEWEST_ROUNDS, min(ROUNDS, VALUES // max(1, values)))):
        yield rng.integers(0, n, n)


def resampled(metric: str, p_NK: Probabilities, y_N: Labels, values: int) -> Floats:
    """Compute a metric on resamples of the images, ``(R,)``; NaN where it is undefined.

    Args:
        metric: One of `METRICS`.
        p_NK: Probabilities.
        y_N: True classes.
        values: Number of probabilities that a round processes, as for `resamples`.
    """
    drawn = resamples(len(y_N), values)
    if metric == "roc_auc":
        counts = [np.bincount(i, minlength=len(y_N)).astype(np.int32) for i in drawn]
        return _resampled_areas(p_NK, y_N, np.stack(counts, axis=1))
    return np.array([METRICS[metric].function(p_NK[i], y_N[i]) for i in drawn])


def _resampled_areas(p_NK: Probabilities, y_N: Labels, count_NR: NDArray[np.int32]) -> Floats:
    """`roc_auc` of resamples, by how often each image was drawn."""
    areas = [_resampled_area(p_NK[:, c], y_N == c, count_NR) for c in _asked(p_NK, y_N)]
    known_R = np.isfinite(areas).sum(0)
    with np.errstate(invalid="ignore"):  # NaN where no class has both
        mean_R: Floats = np.nansum(areas, axis=0) / known_R
    return mean_R


def _resampled_area(
    score_N: NDArray[np.floating[Any]], is_one_N: NDArray[np.bool_], count_NR: NDArray[np.int32]
) -> Floats:
    """Area under the ROC curve in resamples; scores are sorted once for all of them."""
    order_N, one_P, drawn_PR = np.argsort(score_N), score_N[is_one_N], count_NR[is_one_N]
    lower_NR = np.zeros((len(score_N) + 1, count_NR.shape[1]), np.int32)
    np.cumsum(count_NR[order_N], axis=0, out=lower_NR[1:])  # drawn of the first ones in this order
    ends = (np.searchsorted(score_N[order_N], one_P, side=side) for side in ("left", "right"))
    twice_PR = sum(lower_NR[place_P] for place_P in ends)  # images with the same score count once
    ones_R = drawn_PR.sum(0)
    # Without pairs of one class.
    won_R = (np.einsum("pr,pr->r", drawn_PR, twice_PR, dtype=np.float64) - ones_R**2) / 2
    with np.errstate(invalid="ignore"):
        area_R: Floats = won_R / (ones_R * (len(score_N) - ones_R))
    return area_R
