"""Metrics of predictions, with confidence intervals.

Shape letters: N images, K classes. ``p_NK`` are probabilities, one row per image; ``y_N`` are the
true classes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution
SMALLEST = 1e-15  # probabilities are clipped to it in logarithms, as scikit-learn does

Probabilities = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]


def wilson(correct: int, n: int, *, z: float = Z_95) -> tuple[float, float]:
    """Confidence interval of a proportion (Wilson 1927).

    Unlike the normal approximation it keeps its coverage near 0 and 1 and for few images.

    Args:
        correct: Number of successes.
        n: Number of trials.
        z: Quantile of the standard normal distribution; the default gives 95 %.

    Returns:
        Lower and upper bound; ``(0.0, 1.0)`` if ``n`` is 0.

    Example:
        >>> low, high = wilson(98, 100)
        >>> round(low, 4), round(high, 4)
        (0.93, 0.9945)

    """
    if n == 0:
        return 0.0, 1.0
    share = correct / n
    scale = 1 + z**2 / n
    center = (share + z**2 / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Exactly 0 and 1 at the ends, where rounding could leave the share itself outside.
    low = 0.0 if correct == 0 else max(0.0, center - half)
    high = 1.0 if correct == n else min(1.0, center + half)
    return low, high


def confusion_matrix(p_NK: Probabilities, y_N: Labels) -> NDArray[np.int64]:
    """Count images by true and predicted class.

    Returns:
        Counts ``[K, K]``: rows are true classes, columns are predicted ones.
    """
    k = p_NK.shape[1]
    return np.bincount(y_N * k + p_NK.argmax(1), minlength=k * k).reshape(k, k)


def accuracy(p_NK: Probabilities, y_N: Labels) -> float:
    """Share of images whose most probable class is the true one."""
    return float((p_NK.argmax(1) == y_N).mean())


def balanced_accuracy(p_NK: Probabilities, y_N: Labels) -> float:
    """Mean recall of the classes that occur in ``y_N``."""
    confusion = confusion_matrix(p_NK, y_N)
    counts = confusion.sum(1)
    there = counts > 0
    return float((confusion.diagonal()[there] / counts[there]).mean())


def log_losses(p_NK: Probabilities, y_N: Labels) -> NDArray[np.float64]:
    """Negative log likelihood of each image's class, ``(N,)``, in nats."""
    p_N = p_NK[np.arange(len(y_N)), y_N].astype(np.float64)
    losses_N: NDArray[np.float64] = -np.log(p_N.clip(SMALLEST))
    return losses_N


def log_loss(p_NK: Probabilities, y_N: Labels) -> float:
    """Mean negative log likelihood in nats; lower is better."""
    return float(log_losses(p_NK, y_N).mean())


def macro_f1(p_NK: Probabilities, y_N: Labels) -> float:
    """Mean over classes of F1, the harmonic mean of precision and recall.

    A class that neither occurs nor is predicted does not count.
    """
    confusion = confusion_matrix(p_NK, y_N)
    # F1 = 2 TP / (2 TP + FP + FN), and row sum + column sum is exactly that denominator.
    both = confusion.sum(0) + confusion.sum(1)
    there = both > 0
    return float((2 * confusion.diagonal()[there] / both[there]).mean())


def roc_auc(p_NK: Probabilities, y_N: Labels) -> float | None:
    """Area under the ROC curve: of the second class if there are two, else macro one-vs-rest.

    Computed from ranks (Mann and Whitney 1947), with ties averaged. Classes without images do not
    count.

    Returns:
        The area; None if it is undefined, since all images are of one class.
    """
    n, k = p_NK.shape
    positives = np.bincount(y_N, minlength=k)
    there = np.flatnonzero(positives)
    if len(there) < 2:  # noqa: PLR2004 (one class has no rest)
        return None
    classes = [1] if k == 2 else there.tolist()  # noqa: PLR2004 (two classes are one question)
    areas = [
        (_ranks(p_NK[:, c])[y_N == c].sum() - positives[c] * (positives[c] + 1) / 2)
        / (positives[c] * (n - positives[c]))
        for c in classes
    ]
    return float(np.mean(areas))


def _roc_auc_or_nan(p_NK: Probabilities, y_N: Labels) -> float:
    """Return `roc_auc`, or NaN if it is undefined, so that every metric is a number."""
    area = roc_auc(p_NK, y_N)
    return math.nan if area is None else area


def _ranks(x_N: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Ranks from 1, with ties averaged."""
    _, place_N, counts = np.unique(x_N, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: NDArray[np.float64] = last - (counts - 1) / 2
    return mean_rank[place_N]


def expected_calibration_error(p_NK: Probabilities, y_N: Labels, *, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy (Guo et al. 2017, arXiv:1706.04599).

    Images are binned by the probability of their predicted class; the gap of each bin is weighted
    by its number of images.

    Args:
        p_NK: Probabilities.
        y_N: True classes.
        bins: Number of bins of equal width from 0 to 1.

    Returns:
        0 for perfectly calibrated probabilities, 1 at worst.
    """
    confidence_N = p_NK.max(1).astype(np.float64)
    right_N = p_NK.argmax(1) == y_N
    # Bins are open on the left, as in the paper, so that confidence 1 falls into the last one.
    bin_N = np.clip(np.ceil(confidence_N * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(bin_N, weights=right_N - confidence_N, minlength=bins)
    return float(np.abs(gaps).sum() / len(y_N))


@final
@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric that models can be ranked by.

    Attributes:
        function: Maps probabilities ``(N, K)`` and classes ``(N,)`` to the metric; NaN where it
            is undefined.
        greater_is_better: Whether larger values are better.
    """

    function: Callable[[Probabilities, Labels], float]
    greater_is_better: bool = True


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "accuracy": Metric(function=accuracy),
        "balanced_accuracy": Metric(function=balanced_accuracy),
        "log_loss": Metric(function=log_loss, greater_is_better=False),
        "macro_f1": Metric(function=macro_f1),
        "roc_auc": Metric(function=_roc_auc_or_nan),
    }
)
# Means over classes, by which rare ones matter as much as others.
CLASSES_ALIKE = ("balanced_accuracy", "macro_f1")


@final
@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All metrics of a model on one set of images.

    Attributes:
        n: Number of images.
        accuracy: Share of correct predictions.
        low: Lower bound of its 95 % interval (Wilson).
        high: Upper bound of its 95 % interval (Wilson).
        balanced_accuracy: Mean recall over the classes that occur.
        log_loss: Mean negative log likelihood, nats.
        roc_auc: Area under the ROC curve, as by `roc_auc`; None if all images are of one class.
        macro_f1: Mean F1 over classes.
        ece: Expected calibration error, 15 bins.
        confusion: Counts, ``[true class][predicted class]``.
        recall: Recall of each class; None for a class without images.
        recall_interval: 95 % interval of each recall (Wilson).
    """

    n: int
    accuracy: float
    low: float
    high: float
    balanced_accuracy: float
    log_loss: float
    roc_auc: float | None
    macro_f1: float
    ece: float
    confusion: tuple[tuple[int, ...], ...]
    recall: tuple[float | None, ...]
    recall_interval: tuple[tuple[float, float], ...]


def evaluate(p_NK: Probabilities, y_N: Labels) -> Evaluation:
    """Compute all metrics on one set of images.

    Raises:
        ValueError: There is no image, or the shapes do not match.
    """
    if p_NK.ndim != 2 or y_N.shape != p_NK.shape[:1] or len(y_N) == 0:  # noqa: PLR2004 (N and K)
        raise ValueError(
            "Evaluation needs probabilities [N, K] and classes [N] of at least one image, "
            f"but got shapes {p_NK.shape} and {y_N.shape}."
        )
    confusion = confusion_matrix(p_NK, y_N)
    right, counts = confusion.diagonal().tolist(), confusion.sum(1).tolist()
    low, high = wilson(sum(right), len(y_N))
    return Evaluation(
        n=len(y_N),
        accuracy=accuracy(p_NK, y_N),
        low=low,
        high=high,
        balanced_accuracy=balanced_accuracy(p_NK, y_N),
        log_loss=log_loss(p_NK, y_N),
        roc_auc=roc_auc(p_NK, y_N),
        macro_f1=macro_f1(p_NK, y_N),
        ece=expected_calibration_error(p_NK, y_N),
        confusion=tuple(map(tuple, confusion.tolist())),
        recall=tuple(r / n if n else None for r, n in zip(right, counts, strict=True)),
        recall_interval=tuple(wilson(r, n) for r, n in zip(right, counts, strict=True)),
    )
