"""Baselines: two models without deep learning that any network should beat.

Shape letters: N images, H height, W width, C channels, K classes, D features.
"""

import numpy as np
from numpy.typing import NDArray

SIDE = 16  # pixels, after averaging blocks
RIDGE = 0.1  # penalty, relative to the features' mean square


def majority(train_N: NDArray[np.int64], test_N: NDArray[np.int64]) -> float:
    """Accuracy of always predicting the most frequent class of the training set.

    Example:
        >>> majority(np.array([0, 1, 1]), np.array([1, 0, 1, 1]))
        0.75

    """
    return float((test_N == np.bincount(train_N).argmax()).mean())


def linear(
    x_NHWC: NDArray[np.uint8],
    y_N: NDArray[np.int64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> float:
    """Accuracy of ridge regression on coarse pixels, with targets +1 (own class) and -1 (others).

    Images are averaged down to 16 x 16 pixels or less; none is copied whole.

    Args:
        x_NHWC: Images.
        y_N: Their classes.
        train: Indices of the training images; a few thousand are enough.
        test: Indices of the test images.
    """
    x_ND, t_ND = coarse(x_NHWC, train), coarse(x_NHWC, test)
    train_N, test_N = y_N[train], y_N[test]
    mean_D = x_ND.mean(0)
    classes = int(max(train_N.max(), test_N.max())) + 1
    y_NK = np.where(train_N[:, None] == np.arange(classes), 1, -1).astype(np.float32)
    w_DK, bias_K = _ridge(x_ND - mean_D, y_NK)
    answer_N = ((t_ND - mean_D) @ w_DK + bias_K).argmax(1)
    return float((answer_N == test_N).mean())


def coarse(
    x_NHWC: NDArray[np.uint8], rows: NDArray[np.int64], side: int = SIDE
) -> NDArray[np.float32]:
    """Average some images over side x side blocks of pixels, scaled to 0..1 and flattened.

    Example:
        >>> coarse(np.array([[[[0], [51]], [[102], [51]]]], np.uint8), np.array([0]), side=1)
        array([[0.2]], dtype=float32)

    """
    height, width = x_NHWC.shape[1:3]
    # Of large images, only about two pixels per block are read in each direction.
    step_h, step_w = max(1, height // (2 * side)), max(1, width // (2 * side))
    thin_NHWC = np.stack([x_NHWC[row, ::step_h, ::step_w] for row in rows]).astype(np.float32)
    for axis in (1, 2):
        length = thin_NHWC.shape[axis]
        edges = np.linspace(0, length, min(length, side), endpoint=False).astype(np.int64)
        counts = np.diff(edges, append=length).astype(np.float32)
        sums_NHWC = np.add.reduceat(thin_NHWC, edges, axis=axis, dtype=np.float32)
        shape = [-1 if a == axis else 1 for a in range(4)]
        thin_NHWC = np.divide(sums_NHWC, counts.reshape(shape), dtype=np.float32)
    return thin_NHWC.reshape(len(rows), -1) / np.float32(255)


def _ridge(
    x_ND: NDArray[np.float32], y_NK: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Solve ridge regression of centered features in closed form: weights and bias."""
    bias_K = y_NK.mean(0)
    penalty = RIDGE * float((x_ND**2).mean()) * len(x_ND) + 1e-6
    if x_ND.shape[1] <= len(x_ND):
        gram_DD = x_ND.T @ x_ND
        gram_DD.flat[:: len(gram_DD) + 1] += penalty
        return np.linalg.solve(gram_DD, x_ND.T @ (y_NK - bias_K)), bias_K
    gram_NN = x_ND @ x_ND.T
    gram_NN.flat[:: len(gram_NN) + 1] += penalty
    return x_ND.T @ np.linalg.solve(gram_NN, y_NK - bias_K), bias_K
