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
JUDGED = 5000  # images by which the penalty is chosen
CHUNK = 4096  # images whose features are held in double precision at a time
# Least value of 1 - leverage, by which residuals are divided. Of 64 images and 1,280 features it is
# some 5e-4: a larger bound would hand each image its own label.
LEAST_LEFT = 1e-9


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
) -> Ridge:
    """Fit a linear classifier by ridge regression on one-hot labels.

    The penalty is the one with the least log loss of leave-one-out predictions, which follow from
    the hat matrix at no cost (Hastie, Tibshirani and Friedman 2009, "The elements of statistical
    learning", 7.10.1). Logits are scaled so that their softmax gives calibrated probabilities.

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

    Example:
        >>> f_ND = np.random.default_rng(0).normal(size=(60, 5))
        >>> y_N = (f_ND[:, 0] > 0).astype(np.int64)
        >>> ridge = fit_ridge(f_ND, y_N, 2)
        >>> answers_N = (f_ND @ ridge.weight_KD.T + ridge.bias_K).argmax(1)
        >>> bool((answers_N == y_N).mean() > 0.9)
        True

    """
    n, weight_N = len(f_ND), _weights(y_N, balance)
    mean_D, std_D = _spread(f_ND, weight_N, alike=alike)
    mean_K = np.bincount(y_N, weight_N, minlength=classes) / n
    gram_DD, c_DK = _products(lambda rows: (f_ND[rows] - mean_D) / std_D, y_N, weight_N, mean_K)
    values_D, q_DD = np.linalg.eigh(gram_DD)
    values_D, c_DK = values_D.clip(0), q_DD.T @ c_DK

    def turned(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Features of some images in the axes of the Gram matrix, ``[R, D]``."""
        return np.asarray(((f_ND[rows] - mean_D) / std_D) @ q_DD)

    def left_out(
        b_RD: NDArray[np.float64], rows: NDArray[np.int64], penalty: float
    ) -> NDArray[np.float64]:
        """Leave-one-out predictions for some images, ``[R, K]``."""
        shrunk_D = 1 / (values_D + penalty * n)
        hat_R = weight_N[rows] * (b_RD**2 @ shrunk_D + 1 / n)
        t_RK = _targets(y_N[rows], mean_K)
        off_RK = t_RK - b_RD @ (shrunk_D[:, None] * c_DK)
        z_RK: NDArray[np.float64] = t_RK - off_RK / (1 - hat_R).clip(LEAST_LEFT)[:, None]
        return z_RK + mean_K

    some = _judged(weight_N)
    penalty, temperature = _best(partial(left_out, turned(some), some), y_N[some])
    z_NK = np.concatenate([left_out(turned(rows), rows, penalty) for rows in _chunks(n)])
    w_DK = q_DD @ (c_DK / (values_D + penalty * n)[:, None]) / std_D[:, None] / temperature
    return Ridge(
        weight_KD=w_DK.T.astype(np.float32),
        bias_K=(mean_K / temperature - mean_D @ w_DK).astype(np.float32),
        z_NK=(z_NK / temperature).astype(np.float32),
    )


def _products(
    scaled: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    y_N: NDArray[np.int64],
    weight_N: NDArray[np.float64],
    mean_K: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted products of the features with themselves ``[D, D]`` and with targets ``[D, K]``."""
    gram_DD, c_DK = np.zeros(()), np.zeros(())
    for rows in _chunks(len(y_N)):
        a_RD = scaled(rows)
        weighted_DR = a_RD.T * weight_N[rows]
        gram_DD = gram_DD + weighted_DR @ a_RD
        c_DK = c_DK + weighted_DR @ _targets(y_N[rows], mean_K)
    return gram_DD, c_DK


def _chunks(n: int) -> list[NDArray[np.int64]]:
    """Row indices in chunks, to bound the memory of features in double precision."""
    return [np.arange(begin, min(n, begin + CHUNK)) for begin in range(0, n, CHUNK)]


def _best(
    left_out: Callable[[float], NDArray[np.float64]], y_R: NDArray[np.int64]
) -> tuple[float, float]:
    """Penalty with the least log loss, and the temperature that goes with it."""
    best = np.inf, PENALTIES[0], 1.0
    for penalty in PENALTIES:
        z_RK = left_out(penalty)
        temperature = fit_temperature(z_RK, y_R)
        best = min(best, (log_loss(softmax(z_RK, temperature), y_R), penalty, temperature))
    return best[1:]


def _judged(weight_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """Images by which the penalty is chosen, drawn by their weights where these differ."""
    n, chance = len(weight_N), np.random.default_rng(0)
    if np.ptp(weight_N):
        return chance.choice(n, min(n, JUDGED), p=weight_N / n)
    return chance.permutation(n)[:JUDGED]


def _weights(y_N: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """Weight of each image, 1 on average."""
    weight_N = np.bincount(y_N)[y_N].astype(np.float64) ** -balance
    return np.asarray(weight_N * len(y_N) / weight_N.sum())


def _spread(
    f_ND: NDArray[np.floating[Any]], weight_N: NDArray[np.float64], *, alike: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean of each feature, and the standard deviation to divide it by."""
    n, zero_D = len(f_ND), np.zeros(f_ND.shape[1])
    mean_D = sum((weight_N[rows] @ f_ND[rows] for rows in _chunks(n)), zero_D) / n
    squares = (weight_N[rows] @ (f_ND[rows] - mean_D) ** 2 for rows in _chunks(n))
    std_D = np.sqrt(sum(squares, zero_D) / n)
    return mean_D, std_D.clip(max(1e-6, float(np.median(std_D)) if alike else 0.0))


def _targets(y_R: NDArray[np.int64], mean_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-hot labels minus their means over all images."""
    t_RK: NDArray[np.float64] = (y_R[:, None] == np.arange(len(mean_K))) - mean_K
    return t_RK
