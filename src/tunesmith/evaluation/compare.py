"""Test whether one model is significantly better than another.

Shape letters: N images, K classes.
"""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.interval import resampled
from tunesmith.evaluation.metrics import METRICS

Probabilities = NDArray[np.floating[Any]]
SURE = 0.05  # significance level


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two models differ on the same images.

    Attributes:
        gain: Advantage of the first model, in units of the metric; negative if it is worse.
        chance: p-value: probability that two equally good models differ as much.
    """

    gain: float
    chance: float

    @property
    def is_better(self) -> bool:
        """Whether the first model is significantly better."""
        return self.gain > 0 and self.chance < SURE

    def among(self, count: int) -> Self:
        """Correct for the best of several models having been compared, by Bonferroni's bound.

        Example:
            >>> one = Comparison(gain=0.01, chance=0.02)
            >>> one.is_better, one.among(3).is_better
            (True, False)

        """
        return replace(self, chance=min(1.0, count * self.chance))


def compare(
    metric: str, one_NK: Probabilities, other_NK: Probabilities, y_N: NDArray[np.int64]
) -> Comparison:
    """Compare two models' predictions for the same images by a metric.

    Accuracy is compared by McNemar's exact test, other metrics by the paired bootstrap (Efron and
    Tibshirani 1993): how often the better model is not better on resampled images.

    Args:
        metric: One of `METRICS`.
        one_NK: Probabilities by the first model.
        other_NK: Probabilities by the second model.
        y_N: True classes.

    Example:
        >>> right, y = np.eye(2)[[0, 1] * 40], np.array([0, 1] * 40)
        >>> compare("macro_f1", right * 0.9 + 0.05, right[::-1] * 0.9 + 0.05, y).is_better
        True

    """
    gain = advantage(metric, one_NK, other_NK, y_N)
    if metric == "accuracy":
        chance = mcnemar(one_NK.argmax(1) == y_N, other_NK.argmax(1) == y_N)
        return Comparison(gain=gain, chance=chance)
    one_R, other_R = (resampled(metric, p, y_N, 2 * p.size) for p in (one_NK, other_NK))
    draws = one_R - other_R if METRICS[metric].greater_is_better else other_R - one_R
    known = draws[np.isfinite(draws)]
    not_so = int((known <= 0).sum() if gain > 0 else (known >= 0).sum())
    return Comparison(gain=gain, chance=min(1.0, 2 * (not_so + 1) / (len(known) + 1)))


def advantage(
    metric: str, one_NK: Probabilities, other_NK: Probabilities, y_N: NDArray[np.int64]
) -> float:
    """Advantage of the first model, in units of the metric; negative if it is worse.

    Example:
        >>> advantage("log_loss", np.eye(2) / 2 + 0.25, np.full((2, 2), 0.25), np.array([0, 1])) > 0
        True

    """
    measure = METRICS[metric].function
    difference = measure(one_NK, y_N) - measure(other_NK, y_N)
    return difference if METRICS[metric].greater_is_better else -difference


@final
@dataclass(frozen=True, kw_only=True)
class Optimism:
    """How much larger a gain is on the images that it was chosen for than on others.

    Attributes:
        gain: The difference of both gains in accuracy, as a share.
        error: Its standard error.
        unseen: Number of images that did not choose.
    """

    gain: float
    error: float
    unseen: int


def optimism(chosen_N: NDArray[np.float64], unseen_N: NDArray[np.float64]) -> Optimism:
    """Estimate how much of a gain is luck, the winner's curse, by images that did not choose.

    Args:
        chosen_N: Gain of each image that the better model was chosen by; see `gains`.
        unseen_N: Gain of each image that it was not chosen by.

    Example:
        >>> optimism(np.array([1.0, 0, 0, 1]), np.array([1.0, 0, -1, 0])).gain
        0.5

    """
    spread = sum(gain_N.var(ddof=1) / len(gain_N) for gain_N in (chosen_N, unseen_N))
    gain = float(chosen_N.mean() - unseen_N.mean())
    return Optimism(gain=gain, error=math.sqrt(spread), unseen=len(unseen_N))


def gains(
    one_NK: Probabilities, other_NK: Probabilities, y_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Gain of each image: 1 if only the first model is right, -1 if only the other one is.

    Example:
        >>> gains(np.eye(3), np.eye(3)[[0, 2, 1]], np.array([0, 1, 1])).tolist()
        [0.0, 1.0, -1.0]

    """
    one_N, other_N = ((p_NK.argmax(1) == y_N).astype(np.float64) for p_NK in (one_NK, other_NK))
    gain_N: NDArray[np.float64] = one_N - other_N
    return gain_N


def is_lower(
    loss_N: NDArray[np.float64], other_N: NDArray[np.float64], *, finalists: int = 1
) -> bool:
    """Whether a model's losses are significantly lower than another's on the same images.

    A one-sided paired test of the mean difference; of fewer than two images, nothing is known.

    Args:
        loss_N: Loss of each image by the first model.
        other_N: Loss of each image by the second model.
        finalists: Number of models of which the first is the best on these images (Bonferroni).
    """
    gain_N = other_N - loss_N
    if len(gain_N) < 2:  # noqa: PLR2004 (a deviation needs two)
        return False
    least = NormalDist().inv_cdf(1 - SURE / finalists)
    return bool(gain_N.mean() > least * gain_N.std(ddof=1) / math.sqrt(len(gain_N)))


def mcnemar(one_N: NDArray[np.bool_], other_N: NDArray[np.bool_]) -> float:
    """Exact, two-sided p-value of McNemar's test for two models on the same images.

    Only images that exactly one model classifies correctly count (McNemar 1947); if both are
    equally good, each of these is either model's with probability one half.

    Args:
        one_N: Whether the first model is correct, for each image.
        other_N: Whether the second model is correct, for each image.

    Example:
        >>> one, other = np.array([True] * 8), np.array([True] * 2 + [False] * 6)
        >>> mcnemar(one, other), mcnemar(one, one)
        (0.03125, 1.0)

    """
    wins, losses = int((one_N & ~other_N).sum()), int((other_N & ~one_N).sum())
    count = wins + losses
    tail = sum(math.comb(count, k) for k in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / (1 << count))
