"""Find label errors by confident learning.

After Northcutt, Jiang and Chuang 2021, "Confident learning: Estimating uncertainty in dataset
labels" (arXiv:1911.00068). Shape letters: N images, K classes, D features or A descriptor
dimensions per image, S images with a doubted label.
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
SURE = -0.9  # margin up to which a label counts as wrong; above, the network may just be uncertain
WARRANTED = 0.5  # share of equally sure answers that must agree with the labels
NEIGHBORS = 10  # nearest neighbors, which vote on a doubted label
AGREED = 0.7  # share of the nearest neighbors that must belong to the other class


@final
@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All images, most doubtful label first.

    Attributes:
        places: Indices of the images, ``[N]``.
        margins: Probability of the label minus that of the most probable other class, ``[N]``: from
            -1 (surely another class) to 1.
        others: That other class, ``[N]``.
        suspected: Whether confident learning counts the label as wrong, ``[N]``.
        warranted: Share of the answers at least as sure as its own that are right; see `warrants`.
    """

    places: NDArray[np.int64]
    margins: NDArray[np.float64]
    others: NDArray[np.int64]
    suspected: NDArray[np.bool_]
    warranted: NDArray[np.float64]

    def sure(self) -> NDArray[np.int64]:
        """Ranks of the labels that count as wrong by their margin too, most doubtful first.

        Networks that learned little may be surest of all where they err, so the surest answers must
        mostly be right.
        """
        is_sure_N = (self.margins <= SURE) & (self.warranted >= WARRANTED)
        return np.flatnonzero(self.suspected & is_sure_N)


def seconded(others_N: NDArray[np.int64], around_NK: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the nearest neighbors agree that an image belongs to another class.

    They err on other images than a classifier does: on MNIST, their vote removes half of the
    classifier's false positives, and keeps nearly all of its true positives.

    Args:
        others_N: Suggested other class of each image.
        around_NK: Labels of each image's nearest neighbors.

    Example:
        >>> seconded(np.array([1, 1]), np.array([[1, 1, 1, 2], [1, 2, 2, 1]]))
        array([ True, False])

    """
    is_agreed_N: NDArray[np.bool_] = (around_NK == others_N[:, None]).mean(axis=1) >= AGREED
    return is_agreed_N


def thresholds(p_NK: Probabilities, y_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean predicted probability of each class over the images with that label, ``[K]``.

    A class without images has an infinite threshold: no image is suspected to belong to it.
    """
    classes = p_NK.shape[1]
    counts_K = np.bincount(y_N, minlength=classes)
    own_N = p_NK[np.arange(len(y_N)), y_N].astype(np.float64)
    sums_K = np.bincount(y_N, weights=own_N, minlength=classes)
    mean_K: NDArray[np.float64] = sums_K / np.maximum(counts_K, 1)
    return np.where(counts_K > 0, mean_K, np.inf)


def warrants(p_NK: Probabilities, y_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the answers at least as sure as each that agree with the label, ``[N]``.

    One agreement is added, so that the surest answer of all is given the benefit of the doubt.

    Example:
        >>> p_NK = np.array([[0.95, 0.05], [0.1, 0.9], [0.2, 0.8], [0.7, 0.3]])
        >>> warrants(p_NK, np.array([0, 0, 1, 0])).tolist()
        [1.0, 0.6666666666666666, 0.75, 0.8]

    """
    unsure_N = -p_NK.max(axis=1)
    order = np.argsort(unsure_N, kind="stable")
    agreed_N = np.cumsum(p_NK.argmax(axis=1)[order] == y_N[order])
    counts_N = np.searchsorted(unsure_N[order], unsure_N, side="right")
    share_N: NDArray[np.float64] = (agreed_N[counts_N - 1] + 1) / (counts_N + 1)
    return share_N


def rank_labels(p_NK: Probabilities, y_N: NDArray[np.int64]) -> Ranking:
    """Rank images by how probably their label is wrong.

    A class is a candidate if its probability reaches the mean over that class's own images. An
    image is suspected if its most probable candidate is not its label. With a threshold per class,
    errors are found even in classes about which the network is underconfident.

    Args:
        p_NK: Out-of-fold probabilities, by networks that were not trained on the image.
        y_N: Labels to check.

    Raises:
        ValueError: The shapes do not match, or there are fewer than two classes.

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
        warranted=warrants(p_NK, y_N)[order],
    )


@final
@dataclass(frozen=True, kw_only=True)
class Doubted:
    """Labels that both a classifier and the nearest neighbors contradict.

    Attributes:
        places: Indices of the images, most doubtful first.
        others: Probable class of each image.
        right: Share of all labels that the classifier agrees with.
    """

    places: NDArray[np.int64]
    others: NDArray[np.int64]
    right: float


def find_doubted(
    f_ND: NDArray[np.float32], d_NA: NDArray[np.float32], y_N: NDArray[np.int64], classes: int
) -> Doubted:
    """Find probable label errors by a network's image features.

    A linear classifier makes leave-one-out predictions. Where it is sure of another class, the
    nearest neighbors must belong to that class too.

    Args:
        f_ND: Image features. Of duplicates with equal labels, pass only one: they would confirm
            each other, both for the classifier and as neighbors.
        d_NA: Unit descriptors for the nearest neighbor search.
        y_N: Labels to check.
        classes: Number of classes K.

    Example:
        >>> y_N = np.arange(120) % 2
        >>> f_ND = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
        >>> f_ND[:, :2] += 40 * np.eye(2, dtype=np.float32)[y_N]
        >>> y_N[[7, 30]] = [0, 1]
        >>> found = find_doubted(f_ND, f_ND / np.linalg.norm(f_ND, axis=1, keepdims=True), y_N, 2)
        >>> sorted(found.places.tolist())
        [7, 30]

    """
    p_NK = softmax(fit_ridge(f_ND, y_N, classes, alike=True).z_NK, 1.0)
    ranking = rank_labels(p_NK, y_N)
    sure = ranking.sure()
    if len(sure):
        near_SK = nearest(d_NA, ranking.places[sure], min(NEIGHBORS, len(y_N) - 1))
        sure = sure[seconded(ranking.others[sure], y_N[near_SK])]
    return Doubted(
        places=ranking.places[sure], others=ranking.others[sure], right=accuracy(p_NK, y_N)
    )
