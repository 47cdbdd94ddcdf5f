"""A linear classifier in closed form, with its leave-one-out predictions.

Shape letters: N images, D features, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.calibration import fit_temperature, softmax
from tunesmith.evaluation.metrics import log_loss

# Candidate penalties, as multiples of the number of images.
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
# Images by which the penalty is chosen, at most, and logits of these: a thousand classes take long.
JUDGED, JUDGED_LOGITS = 5000, 1_000_000
CHUNK = 4096  # images whose features are held in double precision at a time
# Least value of 1 - leverage, by which residuals are divided. Of 64 images and 1,280 features it is
# some 5e-4: a larger bound would hand each image its own label.
LEAST_LEFT = 1e-9
ALL = slice(None)


@final
@dataclass(frozen=True, kw_only=True)
class Ridge:
    """A linear layer, and its leave-one-out logits.

    Attributes:
        weight_KD: Weights.
        bias_K: Biases.
        z_NK: Leave-one-out logits: those of each image by the layer fitted to all others, or to all
            that are not of its group.
    """

    weight_KD: NDArray[np.float32]
    bias_K: NDArray[np.float32]
    z_NK: NDArray[np.float32]


def fit_ridge(
    f_ND: NDArray[np.floating[Any]],
    y_N: NDArray[np.int64],
    classes: int,
    *,
    balance: float = 0.0,
    alike: bool = False,
    bias: bool = True,
    groups_N: NDArray[np.int64] | None = None,
) -> Ridge:
    """Fit a linear classifier by ridge regression on one-hot labels.

    The penalty is the one with the least log loss of leave-one-out predictions, which follow from
    the hat matrix at no cost (Hastie, Tibshirani and Friedman 2009, "The elements of statistical
    learning", 7.10.1), or from the block of it that belongs to a group. Logits are scaled so that
    their softmax gives calibrated probabilities. The time is cubic in the images or in the
    features, whichever are fewer, and in the images of each group.

    Args:
        f_ND: Features.
        y_N: Classes.
        classes: Number of classes K.
        balance: 0 weighs images equally, 1 as if all classes were equally frequent. To shift the
            logits by the frequencies afterwards would not do: for rare classes, those of a
            regression are far from the logarithm of a probability.
        alike: Whether features are of one kind, as those of a network. Each is divided by its
            standard deviation, or by the median one if that is larger: one that hardly varies on
            these images would outweigh all others where it does vary.
        bias: Whether the layer has biases. If it has none, all are 0, features are not centered,
            and their root mean square takes the place of their standard deviation.
        groups_N: Group of each image. Images of a group, such as copies, are left out together,
            since each would tell the labels of the others; of one group alone, none could be.

    Example:
        >>> f_ND = np.random.default_rng(0).normal(size=(60, 5))
        >>> y_N = (f_ND[:, 0] > 0).astype(np.int64)
        >>> ridge = fit_ridge(f_ND, y_N, 2)
        >>> answers_N = (f_ND @ ridge.weight_KD.T + ridge.bias_K).argmax(1)
        >>> bool((answers_N == y_N).mean() > 0.9)
        True

    """
    n, weight_N = len(f_ND), _weights(y_N, balance)
    mean_K = np.bincount(y_N, weight_N, minlength=classes) / n * bias
    mean_D, std_D = _spread(f_ND, weight_N, alike=alike, bias=bias)
    if groups_N is not None and not 1 < len(np.unique(groups_N)) < n:
        groups_N = None  # each image is a group, or all are one
    given = _Given(
        f_ND=f_ND,
        mean_D=mean_D,
        std_D=std_D,
        y_N=y_N,
        mean_K=mean_K,
        weight_N=weight_N,
        bias=bias,
        groups_N=groups_N,
    )
    axes = _axes_of_images(given) if n < f_ND.shape[1] else _axes_of_features(given)
    some = _judged(weight_N, classes)
    penalty, temperature = _best(_left_out(given, axes, some), y_N[some])
    z_NK = np.concatenate([_left_out(given, axes, rows)(penalty) for rows in _chunks(n)])
    w_DK = axes.back(axes.c_AK / (axes.values_A + penalty * n)[:, None])
    w_DK = w_DK / std_D[:, None] / temperature
    return Ridge(
        weight_KD=w_DK.T.astype(np.float32),
        bias_K=(mean_K / temperature - mean_D @ w_DK).astype(np.float32),
        z_NK=(z_NK / temperature).astype(np.float32),
    )


@final
@dataclass(frozen=True, kw_only=True)
class _Given:
    """Images to fit to: features and how they are scaled, classes and their means, weights, groups.

    ``bias`` says whether the layer has biases. Without groups, each image is one.
    """

    f_ND: NDArray[np.floating[Any]]
    mean_D: NDArray[np.float64]
    std_D: NDArray[np.float64]
    y_N: NDArray[np.int64]
    mean_K: NDArray[np.float64]
    weight_N: NDArray[np.float64]
    bias: bool
    groups_N: NDArray[np.int64] | None

    def scaled(
        self, rows: NDArray[np.int64] | slice, columns: NDArray[np.int64] | slice
    ) -> NDArray[np.float64]:
        """Scaled features of some images."""
        f_RC = self.f_ND[rows, columns]
        return np.asarray((f_RC - self.mean_D[columns]) / self.std_D[columns])

    def targets(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float64]:
        """One-hot labels of some images minus their means over all, ``[R, K]``."""
        t_RK: NDArray[np.float64] = self.y_N[rows, None] == np.arange(len(self.mean_K))
        return t_RK - self.mean_K

    def whole_groups(
        self, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64] | slice, list[NDArray[np.int64]]]:
        """Complete the groups of some images.

        Returns:
            All images of these groups; the places of the given ones among them; and the places of
            the images of each group that has several, ``[G, M]`` for all groups of one size.
        """
        if self.groups_N is None:
            return rows, ALL, []
        whole = np.flatnonzero(np.isin(self.groups_N, self.groups_N[rows]))
        group_W = self.groups_N[whole]
        order = np.argsort(group_W, kind="stable")
        _, begins, sizes = np.unique(group_W[order], return_index=True, return_counts=True)
        blocks = [
            order[begins[sizes == size, None] + np.arange(size)]
            for size in np.unique(sizes[sizes > 1])
        ]
        return whole, np.searchsorted(whole, rows), blocks


@final
@dataclass(frozen=True, kw_only=True)
class _Axes:
    """Axes A in which the weighted products of the features with each other are diagonal.

    Attributes:
        values_A: The diagonal.
        c_AK: Weighted products of the features with the targets.
        turned: Features of some images, ``[R, A]``.
        back: Turns weights ``[A, K]`` to those of the features ``[D, K]``.
    """

    values_A: NDArray[np.float64]
    c_AK: NDArray[np.float64]
    turned: Callable[[NDArray[np.int64]], NDArray[np.float64]]
    back: Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _axes_of_features(given: _Given) -> _Axes:
    """Find the axes from the products of the features over all images, ``[D, D]``."""
    gram_DD, c_DK = np.zeros(()), np.zeros(())
    for rows in _chunks(len(given.y_N)):
        a_RD = given.scaled(rows, ALL)
        weighted_DR = a_RD.T * given.weight_N[rows]
        gram_DD = gram_DD + weighted_DR @ a_RD
        c_DK = c_DK + weighted_DR @ given.targets(rows)
    values_D, q_DD = np.linalg.eigh(gram_DD)
    return _Axes(
        values_A=values_D.clip(0),
        c_AK=q_DD.T @ c_DK,
        turned=lambda rows: given.scaled(rows, ALL) @ q_DD,
        back=lambda w_AK: q_DD @ w_AK,
    )


def _axes_of_images(given: _Given) -> _Axes:
    """Find the same axes from the products of the images over all features, ``[N, N]``."""
    root_N, columns = np.sqrt(given.weight_N), _chunks(given.f_ND.shape[1])

    def weighted(some: NDArray[np.int64]) -> NDArray[np.float64]:
        return given.scaled(ALL, some) * root_N[:, None]

    gram_NN = np.zeros(())
    for some in columns:
        b_NC = weighted(some)
        gram_NN = gram_NN + b_NC @ b_NC.T
    values_N, u_NN = np.linalg.eigh(gram_NN)
    values_N = values_N.clip(np.finfo(np.float64).tiny)  # its root divides, and cancels
    root_A = np.sqrt(values_N)

    def back(w_AK: NDArray[np.float64]) -> NDArray[np.float64]:
        w_NK = u_NN @ (w_AK / root_A[:, None])
        return np.concatenate([weighted(some).T @ w_NK for some in columns])

    return _Axes(
        values_A=values_N,
        c_AK=root_A[:, None] * (u_NN.T @ (root_N[:, None] * given.targets(ALL))),
        turned=lambda rows: u_NN[rows] * root_A / root_N[rows, None],
        back=back,
    )


def _left_out(
    given: _Given, axes: _Axes, rows: NDArray[np.int64]
) -> Callable[[float], NDArray[np.float64]]:
    """Bind images to predict; by a penalty, this gives their leave-one-out logits, ``[R, K]``."""
    whole, place_R, blocks = given.whole_groups(rows)
    b_WA, t_WK, weight_W = axes.turned(whole), given.targets(whole), given.weight_N[whole]
    n = len(given.y_N)

    def left_out(penalty: float) -> NDArray[np.float64]:
        shrunk_A = 1 / (axes.values_A + penalty * n)
        hat_W = weight_W * (b_WA**2 @ shrunk_A + given.bias / n)
        off_WK = t_WK - b_WA @ (shrunk_A[:, None] * axes.c_AK)
        left_WK = off_WK / (1 - hat_W).clip(LEAST_LEFT)[:, None]
        for block_GM in blocks:
            b_GMA, one_MM = b_WA[block_GM], np.eye(block_GM.shape[1])
            hat_GMM = (b_GMA * shrunk_A) @ b_GMA.transpose(0, 2, 1) + given.bias / n
            hat_GMM *= weight_W[block_GM][:, None]
            rest_GMM = (1 + LEAST_LEFT) * one_MM - hat_GMM
            left_WK[block_GM] = np.linalg.solve(rest_GMM, off_WK[block_GM])
        z_WK: NDArray[np.float64] = t_WK - left_WK
        return (z_WK + given.mean_K)[place_R]

    return left_out


def _chunks(n: int) -> list[NDArray[np.int64]]:
    """Row indices in chunks, to bound the memory of features in double precision."""
    return [np.arange(begin, min(n, begin + CHUNK)) for begin in range(0, n, CHUNK)]


def _best(
    left_out: Callable[[float], NDArray[np.float64]], y_R: NDArray[np.int64]
) -> tuple[float, float]:
    """Penalty with the least log loss, and the temperature that goes with it."""
    temperature, best = 1.0, (np.inf, PENALTIES[0], 1.0)
    for penalty in PENALTIES:
        z_RK = left_out(penalty)
        temperature = fit_temperature(z_RK, y_R, near=temperature)
        best = min(best, (log_loss(softmax(z_RK, temperature), y_R), penalty, temperature))
    return best[1:]


def _judged(weight_N: NDArray[np.float64], classes: int) -> NDArray[np.int64]:
    """Images by which the penalty is chosen, drawn by their weights where these differ."""
    n, chance = len(weight_N), np.random.default_rng(0)
    most = min(n, JUDGED, JUDGED_LOGITS // classes)
    if np.ptp(weight_N):
        return chance.choice(n, most, p=weight_N / n)
    return chance.permutation(n)[:most]


def _weights(y_N: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """Weight of each image, 1 on average."""
    weight_N = np.bincount(y_N)[y_N].astype(np.float64) ** -balance
    return np.asarray(weight_N * len(y_N) / weight_N.sum())


def _spread(
    f_ND: NDArray[np.floating[Any]], weight_N: NDArray[np.float64], *, alike: bool, bias: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean of each feature, 0 without biases, and what to divide its difference by."""
    n, zero_D = len(f_ND), np.zeros(f_ND.shape[1])
    sums = (weight_N[rows] @ f_ND[rows] for rows in _chunks(n))
    mean_D = sum(sums, zero_D) / n if bias else zero_D
    squares = (weight_N[rows] @ (f_ND[rows] - mean_D) ** 2 for rows in _chunks(n))
    std_D = np.sqrt(sum(squares, zero_D) / n)
    return mean_D, std_D.clip(max(1e-6, float(np.median(std_D)) if alike else 0.0))
