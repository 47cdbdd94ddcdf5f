"""Train the model that is handed over, and what its probabilities are calibrated on."""

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
from tunesmith.jobs.prepare import Prepared, builder
from tunesmith.jobs.session import Session
from tunesmith.jobs.trial import Trained, Trial, Validate, run_trial
from tunesmith.models.build import Family
from tunesmith.models.preprocess import Deployed
from tunesmith.training.epoch import TrainData

MAIN = "model"  # the trial that is handed over
VALIDATED = 2000  # images in the learning curve's validation, at most


@final
@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained model, before calibration.

    Attributes:
        deployed: The network from bytes to probabilities, temperature still 1.
        trained: How its training went.
        z_NK: Logits of images that the network giving them never saw, for calibration.
        y_N: Their classes.
    """

    deployed: Deployed
    trained: Trained
    z_NK: NDArray[np.float32]
    y_N: NDArray[np.int64]


def train_all(
    session: Session,
    prepared: Prepared,
    family: Family,
    chosen: planning.Plan,
    *,
    extended: bool,
) -> Fitted:
    """Train within the time that the plan leaves, and get logits for calibration."""
    network = _Network(prepared=prepared, family=family, chosen=chosen)
    finish_at = session.settings.budget - chosen.reserve_s
    if prepared.split.folds is None:
        x_NCHW, y_N = prepared.part(prepared.split.validation[:VALIDATED])
        trained = run_trial(
            session,
            network.trial(MAIN, prepared.train, finish_at, network.validate(x_NCHW, y_N)),
            extended=extended,
        )
        deployed = network.deploy(trained, *prepared.part(prepared.split.selection))
        x_NCHW, y_N = prepared.part(prepared.split.calibration)
        return Fitted(
            deployed=deployed, trained=trained, z_NK=network.logits(deployed, x_NCHW), y_N=y_N
        )
    begun = session.clock.elapsed()
    main_at = begun + (finish_at - begun) * (1 - planning.FOLD_SHARE)
    trained = run_trial(
        session, network.trial(MAIN, prepared.train, main_at, None), extended=extended
    )
    deployed = network.deploy(trained, None, None)
    z_NK, y_N = _out_of_fold(session, network, finish_at, extended=extended)
    return Fitted(deployed=deployed, trained=trained, z_NK=z_NK, y_N=y_N)


def _out_of_fold(
    session: Session, network: "_Network", finish_at: float, *, extended: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits of each training image by a network that was trained without its fold.

    An interruption leaves out the folds that were not trained yet.
    """
    prepared, folds = network.prepared, network.prepared.split.folds
    assert folds is not None
    count = int(folds.max()) + 1
    parts: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []
    for fold in range(count):
        if session.interrupted.is_set():
            break
        held = folds == fold
        rows = prepared.train.rows[torch.from_numpy(~held)]
        x_NCHW, y_N = prepared.part(prepared.split.train[held])
        now = session.clock.elapsed()
        trial = network.trial(
            f"fold-{fold + 1}",
            replace(prepared.train, rows=rows),
            now + (finish_at - now) / (count - fold),
            network.validate(x_NCHW, y_N) if fold == 0 else None,
        )
        trained = run_trial(session, trial, extended=extended)
        deployed = network.deploy(trained, None, None)
        parts.append((network.logits(deployed, x_NCHW), y_N))
    if not parts:
        classes = len(prepared.source.classes)
        return np.zeros((0, classes), np.float32), np.zeros(0, np.int64)
    return np.concatenate([z for z, _ in parts]), np.concatenate([y for _, y in parts])


@final
@dataclass(frozen=True, kw_only=True)
class _Network:
    """One planned network, to be trained several times."""

    prepared: Prepared
    family: Family
    chosen: planning.Plan

    def trial(self, name: str, data: TrainData, ends_at: float, validate: Validate | None) -> Trial:
        batch = self.chosen.train.batch
        return Trial(
            name=name,
            build=self.builder(data),
            config=self.chosen.train,
            data=data,
            validate=validate,
            horizon=max(1, planning.most_examples(len(data)) // batch) * batch,
            images_per_s=self.chosen.images_per_s,
            ends_at=ends_at,
        )

    def builder(self, data: TrainData) -> Callable[[], nn.Module]:
        classes = len(self.prepared.source.classes)
        return builder(self.family, data, classes=classes, params=self.chosen.params)

    def load(self, weights: Mapping[str, Tensor]) -> nn.Module:
        network = self.builder(self.prepared.train)()
        network.load_state_dict(weights)
        network.eval()
        return network

    def logits(self, deployed: Deployed, x_NCHW: Tensor) -> NDArray[np.float32]:
        return logits(deployed.logits, x_NCHW, normalize=deployed.normalize)

    def validate(self, x_NCHW: Tensor, y_N: NDArray[np.int64]) -> Validate:
        def metrics(weights: Mapping[str, Tensor]) -> dict[str, float]:
            normalize = self.prepared.train.normalize
            z_NK = logits(self.load(weights), x_NCHW, normalize=normalize)
            log_loss = METRICS["log_loss"].function(softmax(z_NK, 1.0), y_N)
            return {"accuracy": accuracy(z_NK, y_N), "log_loss": log_loss}

        return metrics

    def deploy(
        self, trained: Trained, x_NCHW: Tensor | None, y_N: NDArray[np.int64] | None
    ) -> Deployed:
        """Make the network ready to be handed over.

        Where mirrored copies were trained on, their logits are averaged too, unless that does
        worse on the images given.
        """
        flipped = self.chosen.train.augmentation.flip
        deployed = Deployed(
            self.load(trained.checkpoint.average),
            self.prepared.train.normalize,
            size=self.chosen.size,
            mirrored=flipped,
        ).eval()
        if not flipped or x_NCHW is None or y_N is None or not len(y_N):
            return deployed
        losses = {}
        for mirrored in (True, False):
            deployed.mirrored = mirrored
            p_NK = softmax(self.logits(deployed, x_NCHW), 1.0)
            losses[mirrored] = METRICS["log_loss"].function(p_NK, y_N)
        deployed.mirrored = losses[True] <= losses[False]
        return deployed
