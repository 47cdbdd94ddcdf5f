"""Calibrate probabilities by temperature scaling. Shape letters: N images, K classes."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.metrics import CLASSES_ALIKE, log_losses

# Of the temperature. Ridge regression on one-hot labels of many classes has logits of hundredths.
BOUNDS = (0.002, 20.0)
EXACT = 1e-6  # error of the logarithm of a temperature
STEPS = 50  # at most; Newton's method needs some 5


def softmax(z_NK: NDArray[np.floating[Any]], temperature: float) -> NDArray[np.float32]:
    """Turn logits into probabilities.

    Args:
        z_NK: Logits.
        temperature: Divisor of the logits: above 1 lowers the confidence, below 1 raises it; the
            predicted class does not change.

    Returns:
        Probabilities ``(N, K)``, rows sum to 1.

    Example:
        >>> softmax(np.array([[0.0, np.log(3)]]), 1.0)
        array([[0.25, 0.75]], dtype=float32)

    """
    z_NK = z_NK.astype(np.float64) / temperature
    e_NK = np.exp(z_NK - z_NK.max(1, keepdims=True))
    p_NK: NDArray[np.float64] = e_NK / e_NK.sum(1, keepdims=True)
    return p_NK.astype(np.float32)


def fit_temperature(
    z_NK: NDArray[np.floating[Any]], y_N: NDArray[np.int64], *, near: float = 1.0
) -> float:
    """Fit the temperature to held-out logits (Guo et al. 2017).

    The network must not have been trained on the images. A standard normal prior on the logarithm
    of the temperature weighs as much as a few images: it prevents certainty after a handful of
    correct predictions (Guo's likelihood alone would take the temperature to 0), and hardly matters
    with hundreds of images.

    Args:
        z_NK: Logits of held-out images.
        y_N: True classes of the images.
        near: Temperature to begin with: one that is near saves time.

    Returns:
        A temperature within `BOUNDS`; 1 if there is no image.

    Example:
        >>> z_NK, y_N = np.array([[4.0, 0.0]] * 1000), np.repeat([0, 1], [750, 250])
        >>> round(fit_temperature(z_NK, y_N), 2)  # right in 3 of 4, hence near 4 / log 3 = 3.64
        3.62

    """
    if not len(y_N):
        return 1.0
    below_NK = z_NK.astype(np.float64) - z_NK.max(1, keepdims=True)
    least, most = map(math.log, BOUNDS)
    low, high, log_t, last = -math.inf, math.inf, math.log(near), math.inf
    for _ in range(STEPS):
        slope, curvature = _derivatives(below_NK, y_N, log_t)
        low, high = (low, log_t) if slope > 0 else (log_t, high)
        newton = log_t - slope / curvature if curvature > 0 else -math.copysign(math.inf, slope)
        after = min(max(newton, least), most)
        if abs(after - log_t) < EXACT:
            return math.exp(after)
        if not low < after < high or abs(after - log_t) > last / 2:  # it might go round in circles
            after = (max(low, least) + min(high, most)) / 2
        log_t, last = after, abs(after - log_t)
    return math.exp(log_t)


def _derivatives(
    z_NK: NDArray[np.float64], y_N: NDArray[np.int64], log_t: float
) -> tuple[float, float]:
    """First and second derivative of the negative log posterior by the log temperature."""
    beta = math.exp(-log_t)
    e_NK = np.exp(beta * z_NK)
    sum_N = e_NK.sum(1)
    e_NK *= z_NK
    mean_N = e_NK.sum(1) / sum_N
    variance_N = np.einsum("nk,nk->n", e_NK, z_NK) / sum_N - mean_N**2
    slope = -beta * float((mean_N - z_NK[np.arange(len(y_N)), y_N]).sum())
    return log_t + slope, 1 - slope + beta**2 * float(variance_N.sum())


def calibrated_loss(z_NK: NDArray[np.floating[Any]], y_N: NDArray[np.int64]) -> float:
    """Log loss of held-out logits at the temperature fitted to them.

    It compares networks regardless of how over- or underconfident they are.

    Example:
        >>> z_NK, y_N = np.array([[4.0, 0.0]] * 1000), np.repeat([0, 1], [750, 250])
        >>> round(calibrated_loss(z_NK, y_N), 3) == round(calibrated_loss(5 * z_NK, y_N), 3)
        True

    """
    return float(calibrated_losses(z_NK, y_N).mean())


def calibrated_losses(
    z_NK: NDArray[np.floating[Any]], y_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log loss of each image, as in `calibrated_loss`, ``(N,)``."""
    return log_losses(softmax(z_NK, fit_temperature(z_NK, y_N)), y_N)


def weighted_losses(
    metric: str, z_NK: NDArray[np.floating[Any]], y_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log losses that compare networks by a metric, ``(N,)``: `calibrated_losses`, or weighted.

    If the metric is a mean over classes, all classes have the same weight in the mean of these,
    however many images they have.

    Example:
        >>> z_NK, y_N = np.eye(2)[[0, 0, 0, 0]], np.array([0, 0, 0, 1])
        >>> weighted_losses("accuracy", z_NK, y_N).round(2)
        array([0.3 , 0.3 , 0.3 , 1.35])
        >>> weighted_losses("balanced_accuracy", z_NK, y_N).round(2)
        array([0.2 , 0.2 , 0.2 , 2.69])

    """
    loss_N = calibrated_losses(z_NK, y_N)
    if metric not in CLASSES_ALIKE:
        return loss_N
    _, place_N, counts = np.unique(y_N, return_inverse=True, return_counts=True)
    loss_N *= len(y_N) / len(counts) / counts[place_N]
    return loss_N
