"""Whether one model is better than another by more than chance.

Shape letters: N images, K classes.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.interval import resamples
from tunesmith.evaluation.metrics import METRICS

Probabilities = NDArray[np.floating[Any]]
SURE = 0.05  # a difference that chance brings about less often than that counts
ONE_SIDED = 1.645  # deviations of a normal variable that chance exceeds as seldom


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two models differ on the same images.

    Attributes:
        gain: By how much the first is better, in units of the metric; negative where it is worse.
        chance: Probability that chance alone makes two equally good models differ as much.
    """

    gain: float
    chance: float

    @property
    def is_better(self) -> bool:
        """Whether the first is better, by more than chance."""
        return self.gain > 0 and self.chance < SURE


def compare(
    metric: str, one_NK: Probabilities, other_NK: Probabilities, y_N: NDArray[np.int64]
) -> Comparison:
    """Compare two models' answers to the same images by a metric.

    Accuracy by McNemar's exact test; else by the paired bootstrap (Efron and Tibshirani 1993): how
    often the better one is not better on images drawn from these with replacement.

    Args:
        metric: One of `METRICS`.
        one_NK: Probabilities by the first.
        other_NK: By the second.
        y_N: Classes.

    Example:
        >>> right, y = np.eye(2)[[0, 1] * 40], np.array([0, 1] * 40)
        >>> compare("macro_f1", right * 0.9 + 0.05, right[::-1] * 0.9 + 0.05, y).is_better
        True

    """
    measure = METRICS[metric].function
    sign = 1 if METRICS[metric].greater_is_better else -1
    gain = sign * (measure(one_NK, y_N) - measure(other_NK, y_N))
    if metric == "accuracy":
        chance = mcnemar(one_NK.argmax(1) == y_N, other_NK.argmax(1) == y_N)
        return Comparison(gain=gain, chance=chance)
    draws = np.array(
        [
            sign * (measure(one_NK[i], y_N[i]) - measure(other_NK[i], y_N[i]))
            for i in resamples(len(y_N), 2 * one_NK.size)
        ]
    )
    known = draws[np.isfinite(draws)]
    not_so = int((known <= 0).sum() if gain > 0 else (known >= 0).sum())
    return Comparison(gain=gain, chance=min(1.0, 2 * (not_so + 1) / (len(known) + 1)))


def is_lower(loss_N: NDArray[np.float64], other_N: NDArray[np.float64]) -> bool:
    """Whether a model's losses are lower than another's on the same images, by more than chance.

    A paired test of the mean difference, one-sided.
    """
    gain_N = other_N - loss_N
    return bool(gain_N.mean() > ONE_SIDED * gain_N.std(ddof=1) / math.sqrt(len(gain_N)))


def mcnemar(one_N: NDArray[np.bool_], other_N: NDArray[np.bool_]) -> float:
    """Probability that chance alone makes two models differ as much on the same images.

    Only images that one of them gets right tell anything (McNemar 1947); if the two are equally
    good, each of these is one's or the other's with probability one half. Exact and two-sided.

    Args:
        one_N: Whether one model is right, for each image.
        other_N: The same for the other.

    Example:
        >>> one, other = np.array([True] * 8), np.array([True] * 2 + [False] * 6)
        >>> mcnemar(one, other), mcnemar(one, one)
        (0.03125, 1.0)

    """
    wins, losses = int((one_N & ~other_N).sum()), int((other_N & ~one_N).sum())
    count = wins + losses
    tail = sum(math.comb(count, k) for k in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / (1 << count))
