"""A network that could be handed over, and all that is done with it."""

import copy
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith import plan as planning
from tunesmith.evaluation.calibration import softmax
from tunesmith.evaluation.metrics import METRICS, accuracy
from tunesmith.evaluation.predict import logits
from tunesmith.evaluation.ridge import Ridge, fit_ridge
from tunesmith.jobs.prepare import Prepared, builder
from tunesmith.jobs.trial import Trained, Trial, Validate
from tunesmith.models.build import Family
from tunesmith.models.preprocess import Deployed
from tunesmith.training.epoch import TrainData
from tunesmith.training.head import features
from tunesmith.training.losses import log_frequencies, loss_of
from tunesmith.training.slice import Checkpoint

ANSWERS_PER_S = "answers_per_s"  # a measure of a validation, beside those of its answers
HEAD_MOST = 5000  # images that a pretrained network's head is fitted to, at most
HEAD_SHARE = 0.2  # of the training time that their features may take


@final
@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One planned network, to be trained once or several times.

    Attributes:
        prepared: The data, normalized as the network expects them.
        family: Its kind.
        chosen: Its plan.
        number: Of the trial of a search that found its settings; None if they are the plan's own.
    """

    prepared: Prepared
    family: Family
    chosen: planning.Plan
    number: int | None = None

    @property
    def name(self) -> str:
        """Of its trial in the journal."""
        return self.family.name if self.number is None else f"{self.family.name} {self.number}"

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.prepared.source.classes)

    def trial(self, name: str, data: TrainData, ends_at: float, validate: Validate | None) -> Trial:
        """Plan one training, on all or some of the images."""
        return Trial(
            name=name,
            build=self.builder(data),
            begin=(lambda: self.begin(data)) if self.family.pretrained else None,
            config=self.chosen.train,
            data=data,
            loss=loss_of(self.chosen.train, data.y_N[data.rows], self.classes),
            validate=validate,
            horizon=_horizon(self.chosen, len(data)),
            images_per_s=self.chosen.images_per_s,
            ends_at=ends_at,
        )

    def builder(self, data: TrainData) -> Callable[[], nn.Module]:
        """Bind all that building the network needs."""
        return builder(self.family, data, classes=self.classes, params=self.chosen.params)

    @property
    def is_mirrored(self) -> bool:
        """Whether answers to mirrored copies may be averaged: they were trained on, in time."""
        return self.chosen.train.augmentation.flip and self.chosen.mirrored

    def begin(self, data: TrainData) -> Checkpoint:
        """Start from the pretrained network, with a head fitted to its features."""
        assert self.family.pretrained is not None
        head = self.head(data)
        network = self.builder(data)()
        layer = network.get_submodule(self.family.pretrained.classifier)
        rare_K = log_frequencies(data.y_N[data.rows].cpu(), self.classes)
        rare_K *= self.chosen.train.balance
        weight, bias = torch.from_numpy(head.weight_KD), torch.from_numpy(head.bias_K)
        layer.load_state_dict({"weight": weight, "bias": bias - rare_K}, strict=False)
        weights = network.state_dict()
        return Checkpoint(seen=0, network=weights, average=weights, optimizer={})

    def head(self, data: TrainData) -> Ridge:
        """Fit a pretrained network's last layer to some of the training images in ``data``."""
        return self._whole_head if data is self.prepared.train else self._fit(data)

    @functools.cached_property
    def _whole_head(self) -> Ridge:
        return self._fit(self.prepared.train)

    def _fit(self, data: TrainData) -> Ridge:
        rows_N, f_ND = self._features
        known = torch.isin(rows_N, data.rows)
        y_N = data.y_N[rows_N[known]].cpu().numpy()
        return fit_ridge(f_ND[known.cpu()].numpy(), y_N, self.classes)

    def head_accuracy(self) -> float:
        """Share of images that a head on frozen features gets right without having seen them."""
        data = self.prepared.train
        return accuracy(self.head(data).z_NK, data.y_N[self._features[0]].cpu().numpy())

    @functools.cached_property
    def _features(self) -> tuple[Tensor, Tensor]:
        """Places of some training images, and their features ``(N, D)``."""
        assert self.family.pretrained is not None
        data, chosen = self.prepared.train, self.chosen
        affordable = int(HEAD_SHARE * chosen.train_s * chosen.answers_per_s)
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
        order = order[: max(2 * chosen.train.batch, min(HEAD_MOST, affordable))]
        some = replace(data, rows=data.rows[order.to(data.rows.device)])
        network = self.builder(data)()
        return some.rows, features(network, self.family.pretrained.classifier, some)

    def load(self, weights: Mapping[str, Tensor]) -> nn.Module:
        """Build the network with these weights, ready to answer on the device."""
        network = self.builder(self.prepared.train)()
        network.load_state_dict(weights)
        return network.eval().to(self.prepared.train.compute.device)

    def logits(self, deployed: Deployed, x_NCHW: Tensor) -> NDArray[np.float32]:
        """Logits ``(N, K)`` of uint8 images ``(N, C, H, W)``."""
        return logits(deployed.logits, x_NCHW, normalize=deployed.normalize)

    def validate(self, x_NCHW: Tensor, y_N: NDArray[np.int64]) -> Validate:
        """Bind the images that a learning curve is drawn from."""

        def metrics(weights: Mapping[str, Tensor]) -> dict[str, float]:
            network = self.load(weights)
            began = time.perf_counter()
            z_NK = logits(network, x_NCHW, normalize=self.prepared.train.normalize)
            seconds = time.perf_counter() - began
            return {
                "accuracy": accuracy(z_NK, y_N),
                "log_loss": METRICS["log_loss"].function(softmax(z_NK, 1.0), y_N),
                ANSWERS_PER_S: len(y_N) / max(seconds, 1e-9),
            }

        return metrics

    def deploy(self, trained: Trained) -> Deployed:
        """Make the network ready to be handed over.

        Where mirrored copies were trained on, their logits are averaged too.
        """
        return Deployed(
            self.load(trained.checkpoint.average),
            copy.deepcopy(self.prepared.train.normalize),
            size=self.chosen.size,
            mirrored=self.is_mirrored,
        ).eval()

    def settle(
        self, deployed: Deployed, x_NCHW: Tensor, y_N: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Leave mirrored copies out after all, if that does better on held-out images.

        Returns:
            Logits of these images, as the network will answer from now on.
        """
        normalize = self.prepared.train.normalize
        plain_NK = logits(deployed.network, x_NCHW, normalize=normalize)
        if not deployed.mirrored:
            return plain_NK
        mirror_NK = logits(deployed.network, x_NCHW.flip(-1), normalize=normalize)
        both_NK = ((plain_NK + mirror_NK) / 2).astype(np.float32)
        alone, both = (
            METRICS["log_loss"].function(softmax(z_NK, 1.0), y_N) for z_NK in (plain_NK, both_NK)
        )
        deployed.mirrored = both <= alone
        return both_NK if deployed.mirrored else plain_NK


def _horizon(chosen: planning.Plan, images: int) -> int:
    """Examples of a training at most: until more would not help, or as planned, not by time.

    Where the number of trials is given, nothing that is done depends on how long it takes.
    """
    search, batch = chosen.search, chosen.train.batch
    most = planning.most_examples(images)
    if search is not None and search.trials is not None:
        most = search.examples
    return max(1, most // batch) * batch
