"""From a data source to tensors: decode, clean, split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith import plan as planning
from tunesmith.core.errors import SourceError
from tunesmith.core.spread import spread
from tunesmith.core.words import assigned
from tunesmith.data import quarantine
from tunesmith.data.clean import check
from tunesmith.data.decode import load
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.data.loaded import Loaded
from tunesmith.data.source import Given, Source
from tunesmith.data.split import Split, split
from tunesmith.execution.machine import Machine
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.gate.conflicts import torn
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.gate import Gated, gate
from tunesmith.jobs.gate.parts import uncovered, unheld
from tunesmith.jobs.gate.unread import missing, unreadable
from tunesmith.jobs.run.session import Session
from tunesmith.models.build import Family
from tunesmith.models.preprocess import Normalize, resize_pixels
from tunesmith.records.editable import write_editable
from tunesmith.report.findings import Finding, quarantine_rows
from tunesmith.training.device import choose_device
from tunesmith.training.epoch import TrainData

# Pixels of the images that data-dependent first layers are fitted to, in each slice anew, and of
# those that mean and standard deviation are measured on.
FITTED_PIXELS, NORMALIZED_PIXELS = 500_000, 8_000_000


def tensor(pixels_NHWC: NDArray[np.uint8]) -> Tensor:
    """View pixels as a tensor ``(N, C, H, W)`` with channels last in memory; nothing is copied."""
    return torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2)


def builder(
    family: Family,
    data: TrainData,
    *,
    classes: int,
    params: Mapping[str, Any],
) -> Callable[[], nn.Module]:
    """Bind everything that is needed to build a network, with the fit of data-dependent layers."""
    size = (data.x_NCHW.shape[2], data.x_NCHW.shape[3])
    build = family.builder(classes, data.x_NCHW.shape[1], size=size, params=params)
    images = data.some(max(1, FITTED_PIXELS // (size[0] * size[1]))).cpu()

    def build_and_fit() -> nn.Module:
        network = build()
        fit_input: Callable[[Tensor], None] | None = getattr(network, "fit_input", None)
        if fit_input:
            fit_input(images)
        return network

    return build_and_fit


@final
@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Everything that training needs, and what the report says about the data.

    Attributes:
        source: Data source.
        loaded: Decoded images, at the network's input size.
        gated: Results of the data gate.
        split: Indices of the training images, and of each held-out set.
        labels: Class of each decoded image.
        train: Training set.
    """

    source: Source
    loaded: Loaded
    gated: Gated
    split: Split
    labels: NDArray[np.int64]
    train: TrainData

    def part(self, indices: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64]]:
        """Return the images ``(N, C, H, W)`` and labels at some indices."""
        return tensor(self.loaded.pixels[indices]), self.labels[indices]

    @property
    def folds(self) -> int:
        """Number of folds; 0 if other sets are held out."""
        return 0 if self.split.folds is None else int(self.split.folds.max()) + 1

    def without_fold(self, fold: int) -> tuple[TrainData, NDArray[np.int64]]:
        """Return the training data without a fold, and the indices of the images in that fold."""
        assert self.split.folds is not None
        held = self.split.folds == fold
        kept = torch.from_numpy(~held).to(self.train.rows.device)
        rest = replace(self.train, rows=self.train.rows[kept])
        return rest, self.split.train[held]

    def for_search(self) -> tuple[TrainData, NDArray[np.int64]]:
        """Return what trials of a search are trained on, and the indices of their validation."""
        if self.split.folds is not None:
            return self.without_fold(0)
        kept = torch.from_numpy(~np.isin(self.split.train, self.split.tried))
        rest = replace(self.train, rows=self.train.rows[kept.to(self.train.rows.device)])
        return rest, np.concatenate([self.split.validation, self.split.tried])


def prepare(
    session: Session,
    source: Source,
    data: Fingerprint,
    machine: Machine,
    *,
    size: tuple[int, int],
    depth: Depth,
) -> Prepared:
    """Decode, clean and split.

    Raises:
        SourceError: Too many images cannot be decoded, a class has none left, or the metric is
            undefined on the test set.
    """
    with session.phase("decode"):
        loaded = load(
            source,
            channels=data.channels,
            size=size,
            resize=resize_pixels,
            threads=machine.cores,
            memory_bound=int(planning.HELD_SHARE * machine.memory_bytes),
            folder=session.folder,
        )
    if source.columns:
        session.terminal.say(f"columns: {assigned(source.columns)}")
    if lost := missing(source):
        session.terminal.say(f"{lost.title}.")
    seen = Data(source=source, loaded=loaded)
    _check_readable(session, seen)
    metric, threads = session.settings.metric, machine.cores
    gated = gate(seen, depth, session.phase, metric=metric, threads=threads)
    _write_quarantine(session, gated.findings)
    with session.phase("split"):
        parts = _split(session, seen, gated)
    gated = gated.told([uncovered(seen, parts), unheld(parts)])
    _check_metric(metric, seen.labels[parts.test], source.classes)
    x_NCHW, rows = tensor(loaded.pixels), torch.from_numpy(parts.train)
    normalize = _normalize(x_NCHW, parts.train)
    compute = choose_device(session.settings.device)
    train = TrainData.on(compute, x_NCHW, torch.from_numpy(seen.labels), rows, normalize)
    return Prepared(
        source=source, loaded=loaded, gated=gated, split=parts, labels=seen.labels, train=train
    )


def _check_readable(session: Session, seen: Data) -> None:
    """Refuse data with too many undecodable images; the list of them is written all the same.

    Raises:
        SourceError: See `prepare`.
    """
    try:
        check(seen.source, seen.loaded.rejected, seen.loaded.kept)
    except SourceError:
        _write_quarantine(session, [unreadable(seen)])
        raise


def _check_metric(metric: str, tested_N: NDArray[np.int64], classes: Sequence[str]) -> None:
    """Refuse a test set on which the metric is undefined.

    Raises:
        SourceError: All test images are of one class, and the metric compares classes.
    """
    there = np.unique(tested_N)
    if metric == "roc_auc" and len(there) == 1:
        raise SourceError(
            f"The metric roc_auc needs test images of two classes at least, but all "
            f"{len(tested_N):,} are of {classes[there[0]]!r}. Pass another --metric, or a test "
            "part with images of more classes."
        )


def _normalize(x_NCHW: Tensor, places: NDArray[np.int64]) -> Normalize:
    """Measure mean and standard deviation on some of the images."""
    some = spread(places, max(1, NORMALIZED_PIXELS // (x_NCHW.shape[2] * x_NCHW.shape[3])))
    return Normalize.of(x_NCHW[torch.from_numpy(some)])


def _write_quarantine(session: Session, found: Sequence[Finding | str]) -> None:
    """Write the list of images that are left out.

    Raises:
        RunFolderError: The list was edited meanwhile, or cannot be written.
    """
    findings = [each for each in found if isinstance(each, Finding)]
    rows = quarantine_rows(findings, suspects=session.settings.on_suspects == "quarantine")
    write_editable(session.folder / quarantine.FILE, quarantine.to_csv(rows))


def _split(session: Session, data: Data, gated: Gated) -> Split:
    """Split the images into training set and held-out sets."""
    source = data.source
    return split(
        data.labels,
        _given(session, data, gated),
        gated.alike.groups_N,
        classes=len(source.classes),
        names=source.classes,
        seed=session.settings.seed,
        stated=None if source.groups is None else source.groups[data.loaded.kept],
        column=source.columns.get("group", ""),
    )


def _given(session: Session, data: Data, gated: Gated) -> NDArray[np.int8]:
    """Return the requested split of each image; test images are never left out."""
    given_N = data.source.given[data.loaded.kept].copy()
    if session.settings.on_suspects == "quarantine":
        places = torn(data, gated.alike)
        given_N[places[~data.tested[places]]] = Given.LEFT_OUT
    return given_N


def as_expected(prepared: Prepared, family: Family) -> Prepared:
    """Return the data normalized as a pretrained network expects; for others, unchanged."""
    if family.pretrained is None:
        return prepared
    normalize = family.pretrained.normalize().to(prepared.train.compute.device)
    train = replace(prepared.train, normalize=normalize)
    return replace(prepared, train=train)
