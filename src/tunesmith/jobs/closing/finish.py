"""From a trained network to the final bundle: calibrate, export, verify, test once."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as to_bytes

import tunesmith
from tunesmith import plan as planning
from tunesmith.bundle import manifest as handed
from tunesmith.bundle.card import write_card
from tunesmith.bundle.predictor import Graph
from tunesmith.core.spread import spread
from tunesmith.core.words import counted
from tunesmith.data.originals import originals
from tunesmith.evaluation import baselines
from tunesmith.evaluation.calibration import fit_temperature, softmax
from tunesmith.evaluation.compare import is_lower
from tunesmith.evaluation.metrics import (
    Evaluation,
    evaluate,
    expected_calibration_error,
    log_losses,
)
from tunesmith.execution.machine import Machine
from tunesmith.export import onnx, verify
from tunesmith.jobs.closing import answers
from tunesmith.jobs.closing.scores import score
from tunesmith.jobs.run.module import NETWORK_FILE, WEIGHTS_FILE
from tunesmith.jobs.run.prepare import Prepared
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.training.train import Fitted
from tunesmith.models.build import ENSEMBLE, Family
from tunesmith.models.preprocess import Deployed
from tunesmith.models.views import ManyViews
from tunesmith.records.atomic_folder import new_folder, put_in_place
from tunesmith.records.events import TestOpened
from tunesmith.records.folder import write_atomic, writing

# In total, since photographs of 12 megapixels take long; and the least number of images.
VERIFIED_PIXELS, FEWEST_VERIFIED = 30_000_000, 16
BASELINE = 3000  # images to train a linear model on, and to test it on: fast rather than exact


@final
@dataclass(frozen=True, kw_only=True)
class Tested:
    """Evaluation of the exported graph on the test set.

    Attributes:
        places: Indices of the test images in the loaded data.
        p_NK: Predicted probabilities.
        evaluation: Metrics of these predictions.
        score: The user's metric, with its interval.
    """

    places: NDArray[np.int64]
    p_NK: NDArray[np.float32]
    evaluation: Evaluation
    score: handed.Score


@final
@dataclass(frozen=True, kw_only=True)
class Handed:
    """The exported bundle of a run, and its measurements.

    Attributes:
        manifest: Manifest of the bundle.
        verified: Comparison of the graph with the network.
        tested: Evaluation of the graph on the test set.
        ece_before: Expected calibration error at temperature 1.
        majority: Accuracy of always predicting the most frequent class.
        linear: Accuracy of a linear model.
    """

    manifest: handed.Manifest
    verified: verify.Verified
    tested: Tested
    ece_before: float
    majority: float
    linear: float


def hand_over(session: Session, fitted: Fitted, *, machine: Machine) -> Handed:
    """Make the bundle; the score is measured on the exported graph itself.

    Raises:
        ExportMismatchError: The outputs of the graph differ from those of the network.
        RunFolderError: The bundle cannot be written.
    """
    prepared, family = fitted.members[0].prepared, fitted.members[0].family
    deployed, folder = fitted.deployed, new_folder(session.folder / handed.BUNDLE)
    path = folder / handed.GRAPH_FILE
    with session.phase("calibrate"):
        deployed.temperature.fill_(_temperature(fitted.z_NK, fitted.labels))
    deployed.cpu()  # export, verify and test what any machine can run
    with session.phase("export"), writing(folder):
        _export(deployed, prepared, family, folder)
    with session.phase("verify"):
        verified = verify.verify(
            deployed, path, _real(prepared, machine.cores), threads=machine.cores
        )
        image_HWC = prepared.loaded.pixels[prepared.split.train[0]]
        latency = verify.latency(path, image_HWC, threads=machine.cores)
    with session.phase("test"):
        tested = _test(session, prepared, path, machine.cores)
        majority, linear = _baselines(prepared, tested.places)
    before_NK = uncalibrated(tested.p_NK, float(deployed.temperature))
    manifest = _manifest(session, fitted, tested, latency)
    with writing(folder):
        openings = session.journal.history.test_openings
        write_card(folder, manifest, asdict(tested.evaluation), openings=openings)
        manifest = handed.write_manifest(folder, manifest)
    put_in_place(folder, session.folder / handed.BUNDLE)
    return Handed(
        manifest=manifest,
        verified=verified,
        tested=tested,
        ece_before=expected_calibration_error(before_NK, prepared.labels[tested.places]),
        majority=majority,
        linear=linear,
    )


def _temperature(z_NK: NDArray[np.float32], y_N: NDArray[np.int64]) -> float:
    """Return the temperature with the least loss, or 1 if that is not significantly lower."""
    temperature = fit_temperature(z_NK, y_N)
    losses = (log_losses(softmax(z_NK, t), y_N) for t in (temperature, 1.0))
    return temperature if is_lower(*losses) else 1.0


def _export(deployed: Deployed, prepared: Prepared, family: Family, folder: Path) -> None:
    """Write weights, graph and, for a user's own network, its source file."""
    write_atomic(folder / WEIGHTS_FILE, to_bytes(_plain(deployed)))
    if family.source:
        write_atomic(folder / NETWORK_FILE, family.source.text)
    about = onnx.metadata(
        classes=prepared.source.classes, size=deployed.size, version=tunesmith.__version__
    )
    traced = onnx.trace(deployed, _example(prepared))
    onnx.write(traced, deployed.state_dict(), folder / handed.GRAPH_FILE, metadata=about)


def _manifest(
    session: Session, fitted: Fitted, tested: Tested, latency: handed.Latency
) -> handed.Manifest:
    deployed, prepared = fitted.deployed, fitted.members[0].prepared
    return handed.Manifest(
        tunesmith_version=tunesmith.__version__,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        classes=prepared.source.classes,
        input=_input(prepared),
        temperature=float(deployed.temperature),
        score=tested.score,
        model=_model(fitted),
        latency=latency,
        training=_training(session, fitted),
    )


def _input(prepared: Prepared) -> handed.Input:
    _, height, width, channels = prepared.loaded.pixels.shape
    return handed.Input(height=height, width=width, channels=channels)


def _model(fitted: Fitted) -> handed.ModelInfo:
    networks = [m for m in fitted.deployed.modules() if isinstance(m, ManyViews)]
    parts = [
        {
            "family": member.family.name,
            "config": dict(member.chosen.params),
            "views": [str(view) for view in network.views],
        }
        for member, network in zip(fitted.members, networks, strict=True)
    ]
    whole: dict[str, Any] = (
        parts[0] if len(parts) == 1 else {"family": ENSEMBLE, "config": {"members": parts}}
    )
    return handed.ModelInfo(
        **whole,
        parameters=sum(p.numel() for p in fitted.deployed.parameters()),
        source=_source(fitted.members[0].family),
    )


def _training(session: Session, fitted: Fitted) -> handed.Training:
    trials = session.journal.history.trials
    return handed.Training(
        examples=fitted.trained.checkpoint.seen,
        seconds=sum(trial.seconds for trial in trials.values()),
        seed=session.settings.seed,
    )


def _plain(deployed: Deployed) -> dict[str, torch.Tensor]:
    """Return the weights by name, each in memory of its own even if layers share theirs."""
    state = deployed.state_dict()
    return {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}


def _source(family: Family) -> handed.NetworkSource | None:
    if family.source is None:
        return None
    source = family.source
    return handed.NetworkSource(
        path=source.path.name, function=source.function, sha256=source.sha256
    )


def _example(prepared: Prepared) -> torch.Tensor:
    """Make two images of an unusual size, so that the exporter cannot treat it as constant."""
    _, height, width, channels = prepared.loaded.pixels.shape
    return torch.zeros((2, height + 3, width + 5, channels), dtype=torch.uint8)


def _real(prepared: Prepared, threads: int) -> Iterator[NDArray[np.uint8]]:
    """Yield training images to compare graph and network on, in their own sizes if readable."""
    large = int(np.median(prepared.loaded.shapes.prod(1)))
    count = max(FEWEST_VERIFIED, min(planning.VERIFIED, VERIFIED_PIXELS // max(1, large)))
    chosen = spread(prepared.split.train, count)
    left = np.ones(len(chosen), bool)
    for rows, x_NHWC in _read_again(prepared, chosen, threads):
        left[rows] = False
        yield x_NHWC
    yield prepared.loaded.pixels[chosen[left]]


def _read_again(
    prepared: Prepared, places: NDArray[np.int64], threads: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield images in their own sizes, if those in memory are resized: rows of ``places``, pixels.

    Images that can no longer be read are left out.
    """
    loaded = prepared.loaded
    if not loaded.resized:
        return
    kept, channels = loaded.kept[places], loaded.pixels.shape[3]
    for indices, x_NHWC in originals(prepared.source, kept, channels=channels, threads=threads):
        yield np.searchsorted(kept, indices), x_NHWC


def _test(session: Session, prepared: Prepared, path: Path, threads: int) -> Tested:
    """Evaluate on the test set, unless a killed session left predictions of this very graph."""
    found = answers.kept(session.folder, path)
    if found is None:
        session.record(TestOpened())
        found = _answers(session, prepared, Graph(path, threads=threads), threads)
        answers.keep(session.folder, path, found)
    places, p_NK = found
    y_N = prepared.labels[places]
    evaluation = evaluate(p_NK, y_N)
    scored = score(session.settings.metric, evaluation, p_NK, y_N)
    return Tested(places=places, p_NK=p_NK, evaluation=evaluation, score=scored)


def _answers(
    session: Session, prepared: Prepared, graph: Graph, threads: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Predict the test set with the graph, each image in its own size.

    An image that can no longer be read is predicted as it is in memory, so that none is missing.
    """
    tested, pixels = prepared.split.test, prepared.loaded.pixels
    p_NK = np.empty((len(tested), graph.outputs), np.float32)
    left = np.ones(len(tested), bool)
    for rows, x_NHWC in _read_again(prepared, tested, threads):
        p_NK[rows], left[rows] = graph.probabilities(x_NHWC), False
    if prepared.loaded.resized and left.any():
        lost = int(left.sum())
        were = "it was" if lost == 1 else "they were"
        words = f"could not be read again; {were} tested at the network's size."
        session.note(f"{counted(lost, 'test image')} {words}", lasting=False)
    for rows in _chunks(np.flatnonzero(left)):
        p_NK[rows] = graph.probabilities(pixels[tested[rows]])
    return tested, p_NK


def _chunks(indices: NDArray[np.int64], size: int = 256) -> list[NDArray[np.int64]]:
    return [indices[begin : begin + size] for begin in range(0, len(indices), size)]


def uncalibrated(p_NK: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Undo temperature scaling of probabilities ``(N, K)``: their logarithms are logits over T."""
    return softmax(np.log(p_NK.clip(1e-30)) * temperature, 1.0)


def _baselines(prepared: Prepared, tested: NDArray[np.int64]) -> tuple[float, float]:
    pixels, labels, train = prepared.loaded.pixels, prepared.labels, prepared.split.train
    some, held = spread(train, BASELINE), spread(tested, BASELINE)
    linear = baselines.linear(pixels, labels, some, held)
    return baselines.majority(labels[train], labels[tested]), linear
