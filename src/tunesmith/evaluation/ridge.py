"""A linear classifier in closed form, and what it would answer to images it had not seen.

Shape letters: N images, D features, K classes.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.calibration import fit_temperature, softmax
from tunesmith.evaluation.metrics import log_loss

# Strengths of the penalty that are tried, as multiples of the number of images.
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
LEAST_LEFT = 1e-3  # of an image's own part in its answer; the rest is divided by it


@final
@dataclass(frozen=True, kw_only=True)
class Ridge:
    """A linear layer, and what it answers to images that it was not fitted to.

    Attributes:
        weight_KD: Weights.
        bias_K: Biases.
        z_NK: Logits of each image by the layer fitted to all others.
    """

    weight_KD: NDArray[np.float32]
    bias_K: NDArray[np.float32]
    z_NK: NDArray[np.float32]


def fit_ridge(f_ND: NDArray[np.floating[Any]], y_N: NDArray[np.int64], classes: int) -> Ridge:
    """Fit a linear classifier by ridge regression on one-hot labels.

    The penalty is the one whose leave-one-out answers have the least log loss, and these cost
    nothing: they follow from the hat matrix (Hastie, Tibshirani and Friedman 2009, "The elements
    of statistical learning", 7.10.1). Logits are scaled so that they mean probabilities.

    Args:
        f_ND: Features.
        y_N: Classes.
        classes: Their number K.

    Example:
        >>> f_ND = np.random.default_rng(0).normal(size=(60, 5))
        >>> y_N = (f_ND[:, 0] > 0).astype(np.int64)
        >>> ridge = fit_ridge(f_ND, y_N, 2)
        >>> answers_N = (f_ND @ ridge.weight_KD.T + ridge.bias_K).argmax(1)
        >>> bool((answers_N == y_N).mean() > 0.9)
        True

    """
    f_ND = f_ND.astype(np.float64)
    mean_D, std_D = f_ND.mean(0), f_ND.std(0).clip(1e-6)
    a_ND = (f_ND - mean_D) / std_D
    t_NK = (y_N[:, None] == np.arange(classes)).astype(np.float64)
    mean_K = t_NK.mean(0)
    t_NK -= mean_K
    values_D, q_DD = np.linalg.eigh(a_ND.T @ a_ND)
    values_D = values_D.clip(0)
    b_ND = a_ND @ q_DD
    c_DK = b_ND.T @ t_NK
    squares_ND = b_ND**2
    best = (np.inf, c_DK, t_NK, 1.0)
    for penalty in PENALTIES:
        shrunk_D = 1 / (values_D + penalty * len(f_ND))
        u_DK = shrunk_D[:, None] * c_DK
        hat_N = squares_ND @ shrunk_D + 1 / len(f_ND)
        z_NK = t_NK - (t_NK - b_ND @ u_DK) / (1 - hat_N).clip(LEAST_LEFT)[:, None]
        temperature = fit_temperature(z_NK, y_N)
        loss = log_loss(softmax(z_NK, temperature), y_N)
        if loss < best[0]:
            best = loss, u_DK, z_NK, temperature
    _, u_DK, z_NK, temperature = best
    w_DK = q_DD @ u_DK / std_D[:, None] / temperature
    return Ridge(
        weight_KD=w_DK.T.astype(np.float32),
        bias_K=(mean_K / temperature - mean_D @ w_DK).astype(np.float32),
        z_NK=((z_NK + mean_K) / temperature).astype(np.float32),
    )
