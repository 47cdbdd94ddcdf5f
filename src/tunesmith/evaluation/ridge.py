"""A linear classifier in closed form, with its leave-one-out predictions.

Shape letters: N images, D features, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
        z_NK: Leave-one-out logits: those of each image by the layer fitted to all others.
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
) -> Ridge:
    """Fit a linear classifier by ridge regression on one-hot labels.

    The penalty is the one with the least log loss of leave-one-out predictions, which follow from
    the hat matrix at no cost (Hastie, Tibshirani and Friedman 2009, "The elements of statistical
    learning", 7.10.1). Logits are scaled so that their softmax gives calibrated probabilities.
    The time is cubic in the images or in the features, whichever are fewer.

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
    given = _Given(f_ND=f_ND, mean_D=mean_D, std_D=std_D, y_N=y_N, mean_K=mean_K, weight_N=weight_N)
    axes = _axes_of_images(given) if n < f_ND.shape[1] else _axes_of_features(given)

    def left_out(
        b_RA: NDArray[np.float64], rows: NDArray[np.int64], penalty: float
    ) -> NDArray[np.float64]:
        """Leave-one-out predictions for some images, ``[R, K]``."""
        shrunk_A = 1 / (axes.values_A + penalty * n)
        hat_R = weight_N[rows] * (b_RA**2 @ shrunk_A + bias / n)
        t_RK = given.targets(rows)
        off_RK = t_RK - b_RA @ (shrunk_A[:, None] * axes.c_AK)
        z_RK: NDArray[np.float64] = t_RK - off_RK / (1 - hat_R).clip(LEAST_LEFT)[:, None]
        return z_RK + mean_K

    some = _judged(weight_N, classes)
    penalty, temperature = _best(partial(left_out, axes.turned(some), some), y_N[some])
    z_NK = np.concatenate([left_out(axes.turned(rows), rows, penalty) for rows in _chunks(n)])
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
    """Images to fit to: features and how they are scaled, classes and their means, weights."""

    f_ND: NDArray[np.floating[Any]]
    mean_D: NDArray[np.float64]
    std_D: NDArray[np.float64]
    y_N: NDArray[np.int64]
    mean_K: NDArray[np.float64]
    weight_N: NDArray[np.float64]

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
