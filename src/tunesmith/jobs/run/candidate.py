"""A candidate for the final model: a planned network, and how it is trained and deployed."""

import copy
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith import plan as planning
from tunesmith.evaluation.calibration import calibrated_loss
from tunesmith.evaluation.early import BALANCED
from tunesmith.evaluation.metrics import METRICS, accuracy
from tunesmith.evaluation.predict import logits
from tunesmith.jobs.run.heads import Heads
from tunesmith.jobs.run.prepare import Prepared, builder
from tunesmith.jobs.run.trial import SUREST_CONTRADICTED, Trained, Trial, Validate
from tunesmith.models.build import Family
from tunesmith.models.preprocess import Deployed, Normalize
from tunesmith.models.views import ManyViews, View, copies_in, offered, uncompared
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import loss_of
from tunesmith.training.noise import surest_contradicted
from tunesmith.training.slice import Checkpoint, copied, untrained

ANSWERS_PER_S = "answers_per_s"  # a validation metric: inference speed


@final
@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One planned network, to be trained once or several times.

    Attributes:
        prepared: The data, normalized as the network expects.
        family: Network family.
        chosen: Training plan.
        number: Number of the search trial that found its config; None for the plan's own config.
    """

    prepared: Prepared
    family: Family
    chosen: planning.Plan
    number: int | None = None

    @property
    def name(self) -> str:
        """Name of its trial in the journal."""
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
            begin=functools.cache(lambda: self.begin(data)) if self.family.pretrained else None,
            config=self.chosen.train,
            data=data,
            loss=lambda config: loss_of(config, data.y_N[data.rows], self.classes),
            validate=validate,
            horizon=_horizon(self.chosen, len(data)),
            images_per_s=self.chosen.images_per_s,
            ends_at=ends_at,
        )

    def builder(self, data: TrainData) -> Callable[[], nn.Module]:
        """Bind everything that is needed to build the network."""
        return builder(self.family, data, classes=self.classes, params=self.chosen.params)

    def untrained(self, data: TrainData) -> nn.Module:
        """Build the network as for the start of its training."""
        return untrained(self.builder(data), self.chosen.train.seed)

    @property
    def views(self) -> list[tuple[View, ...]]:
        """Sets of test-time augmentation views that there is time for, cheapest first."""
        return offered(most=self.chosen.passes, mirrored=self.chosen.train.augmentation.flip)

    def begin(self, data: TrainData) -> Checkpoint:
        """Start from the pretrained network, with a head fitted to its features."""
        assert self.family.pretrained is not None
        head, network = self.heads.of(data), self.untrained(data)
        layer = network.get_submodule(self.family.pretrained.classifier)
        weight, bias = torch.from_numpy(head.weight_KD), torch.from_numpy(head.bias_K)
        # If the layer has no biases, those of its head are 0.
        layer.load_state_dict({"weight": weight, "bias": bias}, strict=False)
        weights = network.state_dict()
        # Copied, since a file holds no two tensors in one memory; layers may share theirs, too.
        return Checkpoint(seen=0, network=copied(weights), average=copied(weights), optimizer={})

    @functools.cached_property
    def heads(self) -> Heads:
        """Heads on the features of a pretrained network."""
        assert self.family.pretrained is not None
        return Heads(
            prepared=self.prepared,
            chosen=self.chosen,
            build=lambda: self.untrained(self.prepared.train),
            classifier=self.family.pretrained.classifier,
            bias=self.family.pretrained.bias,
        )

    def load(self, weights: Mapping[str, Tensor]) -> nn.Module:
        """Build the network with these weights, in eval mode on the device."""
        network = self.untrained(self.prepared.train)
        network.load_state_dict(weights)
        return network.eval().to(self.prepared.train.compute.device)

    def logits(self, deployed: Deployed, x_NCHW: Tensor) -> NDArray[np.float32]:
        """Compute the logits ``(N, K)`` of uint8 images ``(N, C, H, W)``."""
        network = deployed.network
        return logits(
            network,
            x_NCHW,
            normalize=deployed.normalize,
            channels_last=self.chosen.train.channels_last,
            copies=copies_in(network),
        )

    def validate(self, x_NCHW: Tensor, y_N: NDArray[np.int64]) -> Validate:
        """Bind the validation images of a learning curve."""

        def metrics(weights: Mapping[str, Tensor]) -> dict[str, float]:
            network = self.load(weights)
            began = time.perf_counter()
            z_NK = logits(
                network,
                x_NCHW,
                normalize=self.prepared.train.normalize,
                channels_last=self.chosen.train.channels_last,
            )
            seconds = time.perf_counter() - began
            return {
                "accuracy": accuracy(z_NK, y_N),
                BALANCED: METRICS[BALANCED].function(z_NK, y_N),
                "log_loss": calibrated_loss(z_NK, y_N),
                ANSWERS_PER_S: len(y_N) / max(seconds, 1e-9),
                SUREST_CONTRADICTED: surest_contradicted(z_NK, y_N),
            }

        return metrics

    def deploy(self, trained: Trained) -> Deployed:
        """Make the network ready for deployment.

        If mirrored images were trained on, the logits of the mirror image are averaged in. Further
        views are used only after a comparison on held-out images: see `settle`.
        """
        normalize = copy.deepcopy(self.prepared.train.normalize)
        many = many_views(self.load(trained.checkpoint.average), uncompared(self.views), normalize)
        return Deployed(many, normalize, size=self.chosen.size).eval()

    def settle(
        self, deployed: Deployed, x_NCHW: Tensor, y_N: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Choose the test-time augmentation views on held-out images.

        Returns:
            Logits of these images with the chosen views.
        """
        many = deployed.network
        assert isinstance(many, ManyViews)
        normalize = self.prepared.train.normalize
        by_view = partial(
            _seen_as, many.network, x_NCHW, normalize, channels_last=self.chosen.train.channels_last
        )
        z_NK = {view: by_view(view) for view in {view for views in self.views for view in views}}
        means: dict[tuple[View, ...], NDArray[np.float32]] = {
            views: np.mean([z_NK[view] for view in views], axis=0) for views in self.views
        }
        best = min(means, key=lambda views: calibrated_loss(means[views], y_N))
        deployed.network = many_views(many.network, best, normalize)
        return means[best]


def many_views(network: nn.Module, views: Sequence[View], normalize: Normalize) -> ManyViews:
    """Wrap a network with test-time augmentation, on the device of its normalization."""
    return ManyViews(network, views).eval().to(normalize.mean.device)


def _seen_as(
    network: nn.Module, x_NCHW: Tensor, normalize: Normalize, view: View, *, channels_last: bool
) -> NDArray[np.float32]:
    """Compute the logits of images by one view of each."""
    return logits(
        many_views(network, [view], normalize),
        x_NCHW,
        normalize=normalize,
        channels_last=channels_last,
        copies=view.passes,
    )


def _horizon(chosen: planning.Plan, images: int) -> int:
    """Maximum number of training examples: where more stops helping, whatever the time.

    If the number of trials is given, it is the planned number, so that nothing depends on timing.
    """
    search, batch = chosen.search, chosen.train.batch
    most = planning.most_examples(images)
    if search is not None and search.trials is not None:
        most = search.examples
    return max(1, most // batch) * batch
