"""Linear heads on a pretrained network's frozen features, fitted in closed form."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith import plan as planning
from tunesmith.evaluation.metrics import METRICS
from tunesmith.evaluation.ridge import Ridge, fit_ridge
from tunesmith.jobs.run.prepare import Prepared
from tunesmith.training.epoch import TrainData
from tunesmith.training.head import features

# Share for one fit, and for all those without a fold, if these are more than were planned; and the
# estimated seconds of one over the cube of the images or of the features, whichever are fewer.
FIT_SHARE, FIT_S = 0.1, 4e-10


@final
@dataclass(frozen=True, kw_only=True)
class Heads:
    """Heads for one network, whose features are extracted once.

    Attributes:
        prepared: The data, normalized as the network expects.
        chosen: Training plan.
        build: Builds the network with its pretrained weights.
        classifier: Name of its last layer.
        bias: Whether that layer has biases; if it has none, nor have its heads.
    """

    prepared: Prepared
    chosen: planning.Plan
    build: Callable[[], nn.Module]
    classifier: str
    bias: bool

    def of(self, data: TrainData) -> Ridge:
        """Fit a head to some of the training images in ``data``."""
        return self._whole if data is self.prepared.train else self._fit(data)

    def without(self, fold: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Fit a head without a fold, and ask it for that fold's images.

        Returns:
            Their logits, and their indices in the decoded data; those whose features are known.
        """
        data, held = self.prepared.without_fold(fold)
        rows_N, f_ND = (value.cpu().numpy() for value in self._features)
        known, head = np.isin(rows_N, held), self._fit(data)
        return f_ND[known] @ head.weight_KD.T + head.bias_K, rows_N[known]

    def folds(self, fewest: int) -> int:
        """Return for how many folds there is time to fit a head without it; ``fewest`` at least."""
        fit_s = FIT_S * min(self._features[1].shape) ** 3
        return min(self.prepared.folds, max(fewest, int(FIT_SHARE * self.chosen.train_s / fit_s)))

    def score(self, metric: str) -> float:
        """Metric of a head fitted to all of these images, on each group of them left out of it."""
        y_N = self.prepared.train.y_N[self._features[0]].cpu().numpy()
        return METRICS[metric].function(self._whole.z_NK, y_N)

    @functools.cached_property
    def _whole(self) -> Ridge:
        return self._fit(self.prepared.train)

    def _fit(self, data: TrainData) -> Ridge:
        rows_N, f_ND = self._features
        known = torch.isin(rows_N, data.rows)
        fitted_N = rows_N[known]
        return fit_ridge(
            f_ND[known.cpu()].numpy(),
            data.y_N[fitted_N].cpu().numpy(),
            len(self.prepared.source.classes),
            balance=self.chosen.train.balance,
            alike=True,
            bias=self.bias,
            groups_N=self.prepared.split.groups[fitted_N.cpu().numpy()],
        )

    @functools.cached_property
    def _features(self) -> tuple[Tensor, Tensor]:
        """Indices of some training images, and their features ``(N, D)``."""
        data, chosen, network = self.prepared.train, self.chosen, self.build()
        layer = network.get_submodule(self.classifier)
        assert isinstance(layer, nn.Linear)
        count = planning.head_images(
            len(data),
            len(self.prepared.source.classes),
            train_s=chosen.train_s,
            per_s=chosen.device_answers_per_s,
            small=self.prepared.split.folds is not None,
            most=_fitted_in(FIT_SHARE * chosen.train_s, layer.in_features),
        )
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
        shuffled = data.rows[order.to(data.rows.device)]
        first = _each_class_first(data.y_N[shuffled].cpu().numpy())[:count]
        some = replace(data, rows=shuffled[torch.from_numpy(first).to(shuffled.device)])
        found = features(network, self.classifier, some, channels_last=chosen.train.channels_last)
        return some.rows, found


def _each_class_first(y_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order of images in which the first `PER_CLASS` of each class come first."""
    order = np.argsort(y_N, kind="stable")
    _, begins, sizes = np.unique(y_N[order], return_index=True, return_counts=True)
    rank_N = np.empty(len(y_N), np.int64)
    rank_N[order] = np.arange(len(y_N)) - np.repeat(begins, sizes)
    return np.argsort(rank_N.clip(max=planning.PER_CLASS), kind="stable")


def _fitted_in(seconds: float, features: int) -> int:
    """Maximum number of images that a head with so many features can be fitted to in time."""
    images = int((seconds / FIT_S) ** (1 / 3))
    return images if images < features else planning.HEAD_MOST
