"""Wrong labels among the training images: how they show, and a training that forgives them.

Shape letters: N images, K classes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluation.metrics import wilson
from tunesmith.training.config import TrainConfig

SUREST = (0.2, 0.05)  # shares of the held-out images that the network is surest of
FEWEST = 100  # of them: fewer tell too little
# Share of labels contradicted by these answers, from which on labels look wrong; and up to which:
# what contradicts most labels has learned nothing from them.
NOISY, CLUELESS = 0.06, 0.4
EVEN = 0.6  # times the share among many sure answers that the share among the surest has at least
LEARNED = 0.25  # share of a training after which its surest answers are to be believed
ROBUST, SMOOTHING = 0.7, 0.05  # of the loss from then on; the first as its authors recommend


def surest_contradicted(z_NK: NDArray[np.floating[Any]], y_N: NDArray[np.int64]) -> float:
    """Measure how often the labels of held-out images contradict the answers that are surest.

    Hard images get unsure answers, so that what is left where a network is surest is hardly its
    own fault: about the share of wrong labels, if these are spread evenly. They are then as
    frequent among the surest twentieth as among the surest fifth, while a network that has not
    learned much makes fewer mistakes there: the smaller share counts. Too few images give 0.

    Returns:
        The lower end of the 95 % interval of the smaller share.

    Args:
        z_NK: Logits of images that were not trained on.
        y_N: Their labels.

    Example:
        >>> z_NK, y_N = np.eye(2).repeat([900, 100], axis=0), np.zeros(1000, np.int64)
        >>> y_N[::10] = 1
        >>> round(surest_contradicted(z_NK, y_N), 2)
        0.07

    """
    if SUREST[0] * len(y_N) < FEWEST:
        return 0.0
    z_NK = z_NK.astype(np.float64)
    best_N = z_NK.max(1)
    sure_N = best_N - np.log(np.exp(z_NK - best_N[:, None]).sum(1)) - best_N
    contradicted_N = (z_NK.argmax(1) != y_N)[np.argsort(-sure_N, kind="stable")]
    most, few = (max(FEWEST, int(share * len(y_N))) for share in SUREST)
    if contradicted_N[:few].mean() < EVEN * contradicted_N[:most].mean():
        return 0.0
    return wilson(int(contradicted_N[:most].sum()), most)[0]


def forgiving(config: TrainConfig) -> TrainConfig:
    """The same training with a loss that wrong labels pull at less."""
    smoothing = min(SMOOTHING, config.label_smoothing)
    return config.model_copy(update={"robust": ROBUST, "label_smoothing": smoothing})
