"""Labels that are probably wrong, by confident learning.

After Northcutt, Jiang and Chuang 2021, "Confident learning: Estimating uncertainty in dataset
labels" (arXiv:1911.00068). Shape letters: N images, K classes, D or A numbers of an image, S images
whose label is doubted.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.calibration import softmax
from tunesmith.evaluation.metrics import accuracy
from tunesmith.evaluation.ridge import fit_ridge
from tunesmith.screening.neighbors import nearest

Probabilities = NDArray[np.floating]
SURE = -0.9  # margin from which on a label is called wrong, and not just the network in doubt
NEIGHBORS = 10  # most similar images, which are asked where a label is doubted
AGREED = 0.7  # share of the most similar images that have to be of the other class


@final
@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All images, those whose label is most doubtful first.

    Attributes:
        places: Of the images, ``[N]``.
        margins: Probability of the label less that of the likeliest other class, ``[N]``: from -1
            (surely another class) to 1.
        others: That other class, ``[N]``.
        suspected: Whether confident learning counts the label as wrong, ``[N]``.
    """

    places: NDArray[np.int64]
    margins: NDArray[np.float64]
    others: NDArray[np.int64]
    suspected: NDArray[np.bool_]

    def sure(self) -> NDArray[np.int64]:
        """Ranks of the labels that are called wrong, the most doubtful first."""
        return np.flatnonzero(self.suspected & (self.margins <= SURE))


def seconded(others_N: NDArray[np.int64], around_NK: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the most similar images agree that an image is of another class.

    They err on other images than a classifier does: of MNIST's digits, half of what a classifier
    falsely doubts is left, and of labels that are wrong nearly all of what it finds.

    Args:
        others_N: The classes that some images are said to be of.
        around_NK: Labels of the images that are most like each.

    Example:
        >>> seconded(np.array([1, 1]), np.array([[1, 1, 1, 2], [1, 2, 2, 1]]))
        array([ True, False])

    """
    is_agreed_N: NDArray[np.bool_] = (around_NK == others_N[:, None]).mean(axis=1) >= AGREED
    return is_agreed_N


def thresholds(p_NK: Probabilities, y_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """How sure a network is of each class, on average over the images that bear its label ``[K]``.

    A class without images has an infinite threshold: nothing is suspected to be of it.
    """
    classes = p_NK.shape[1]
    counts_K = np.bincount(y_N, minlength=classes)
    own_N = p_NK[np.arange(len(y_N)), y_N].astype(np.float64)
    sums_K = np.bincount(y_N, weights=own_N, minlength=classes)
    mean_K: NDArray[np.float64] = sums_K / np.maximum(counts_K, 1)
    return np.where(counts_K > 0, mean_K, np.inf)


def rank_labels(p_NK: Probabilities, y_N: NDArray[np.int64]) -> Ranking:
    """Find labels that are probably wrong.

    An image is suspected if the network is as sure of another class as it usually is of that
    class's own images, and no less sure of it than of the label. The thresholds are the classes'
    own, so that a network that is timid about a class finds its errors all the same.

    Args:
        p_NK: Probabilities by networks that did not learn from the image they are asked about.
        y_N: The labels in question.

    Raises:
        ValueError: Shapes do not fit, or there are fewer than two classes.

    Example:
        >>> p_NK = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.95, 0.05]])
        >>> ranking = rank_labels(p_NK, np.array([0, 0, 1, 1, 1]))
        >>> ranking.places[ranking.suspected], ranking.others[ranking.suspected]
        (array([4]), array([0]))

    """
    if p_NK.ndim != 2 or p_NK.shape[1] < 2 or y_N.shape != p_NK.shape[:1]:  # noqa: PLR2004 (N, K)
        raise ValueError(
            f"Probabilities (N, K) of two classes or more and labels (N,) are needed, but got "
            f"{p_NK.shape} and {y_N.shape}."
        )
    rows = np.arange(len(y_N))
    sure_NK = np.where(p_NK >= thresholds(p_NK, y_N), p_NK, -np.inf)
    is_sure_N = np.isfinite(sure_NK.max(axis=1, initial=-np.inf))
    suspected_N = is_sure_N & (sure_NK.argmax(axis=1) != y_N)
    others_NK = p_NK.astype(np.float64)
    others_NK[rows, y_N] = -np.inf
    other_N = others_NK.argmax(axis=1)
    margin_N = p_NK[rows, y_N].astype(np.float64) - others_NK[rows, other_N]
    order = np.argsort(margin_N, kind="stable")
    return Ranking(
        places=order,
        margins=margin_N[order],
        others=other_N[order],
        suspected=suspected_N[order],
    )


@final
@dataclass(frozen=True, kw_only=True)
class Doubted:
    """Labels that two judges of different kinds call wrong.

    Attributes:
        places: Of the images, the most doubtful first.
        others: The class that each probably is of.
        right: Share of all labels that the first judge agrees with.
    """

    places: NDArray[np.int64]
    others: NDArray[np.int64]
    right: float


def find_doubted(
    f_ND: NDArray[np.float32], d_NA: NDArray[np.float32], y_N: NDArray[np.int64], classes: int
) -> Doubted:
    """Find labels that are probably wrong by what a network sees in the images.

    A linear classifier is asked about each image as if it had not been fitted to it. Where it is
    sure of another class, the most similar images have to be of that class too.

    Args:
        f_ND: What the network sees. Of copies with one label one is enough: more would vouch for
            each other, before either judge.
        d_NA: Unit vectors that images are compared by.
        y_N: The labels in question.
        classes: Their number K.

    Example:
        >>> y_N = np.arange(120) % 2
        >>> f_ND = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
        >>> f_ND[:, :2] += 40 * np.eye(2, dtype=np.float32)[y_N]
        >>> y_N[[7, 30]] = [0, 1]
        >>> found = find_doubted(f_ND, f_ND / np.linalg.norm(f_ND, axis=1, keepdims=True), y_N, 2)
        >>> sorted(found.places.tolist())
        [7, 30]

    """
    p_NK = softmax(fit_ridge(f_ND, y_N, classes).z_NK, 1.0)
    ranking = rank_labels(p_NK, y_N)
    sure = ranking.sure()
    if len(sure):
        near_SK = nearest(d_NA, ranking.places[sure], min(NEIGHBORS, len(y_N) - 1))
        sure = sure[seconded(ranking.others[sure], y_N[near_SK])]
    return Doubted(
        places=ranking.places[sure], others=ranking.others[sure], right=accuracy(p_NK, y_N)
    )
