"""Tests of `jobs.search.shared`: slices on shared data, as workers run them, in this process."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.jobs.conftest import mounted
from torch import nn

from tunesmith.core.errors import CodeChangedError, RunFolderError
from tunesmith.data.decode import sample
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.sources import open_source
from tunesmith.execution.machine import measure
from tunesmith.jobs.gate.alike import Depth
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.limits import Limits
from tunesmith.jobs.run.prepare import prepare
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.search import shared
from tunesmith.jobs.search.shared import HANDED_ON, STATE, opened, share, train, work
from tunesmith.models.build import find_family
from tunesmith.plan import UNITS, Plan, SearchPlan
from tunesmith.training.config import TrainConfig
from tunesmith.training.slice import train_slice

SessionIn = Callable[..., AbstractContextManager[Session]]
JOB: dict[str, Any] = {"metric": "accuracy", "device": "cpu", "limit": {}, "threads": 1}
PLAN = Plan(
    size=(8, 8),
    params={"width": 8},
    train=TrainConfig(batch=32),
    threads=1,
    images_per_s=1000.0,
    answers_per_s=3000.0,
    horizon=1600,
    folds=5,
    train_s=2.0,
    passes=1,
    reread_s=0.0,
    reserve_s=1.0,
    finish_s=4.0,
    memory_bytes=1,
    disk_bytes=1,
    enough_s=None,
    reasons=(),
    search=SearchPlan(examples=1600, trials=None, workers=1),
)


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory, session_in: SessionIn) -> Candidate:
    """Return a network that is planned for some digits."""
    run = tmp_path_factory.mktemp("planned")
    digits = open_source("digits")
    source = open_source((np.stack([digits.read(i) for i in range(400)]), digits.labels[:400]))
    looked = sample(source, count=100, seed=0, threads=1)
    with session_in(run) as session:
        data, machine = fingerprint(source, looked), measure(run)
        prepared = prepare(session, source, data, machine, size=(8, 8), depth=Depth.EXACT)
    return Candidate(prepared=prepared, family=find_family("convnet"), chosen=PLAN)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, candidate: Candidate) -> Iterator[Path]:
    """The folder of a search on some digits, without its first fold."""
    run, prepared = tmp_path_factory.mktemp("run"), candidate.prepared
    rest, held = prepared.without_fold(0)
    share(run / "data", candidate, rest, held, **JOB)
    before = (run / "data" / "job.json").stat().st_mtime_ns
    share(run / "data", candidate, rest, held, **JOB)
    assert (run / "data" / "job.json").stat().st_mtime_ns == before
    found = opened(run / "data")
    assert found.data.x_NCHW[: len(rest)].equal(rest.x_NCHW[rest.rows])
    assert found.data.y_N[: len(rest)].equal(rest.y_N[rest.rows])
    assert found.x_NCHW.equal(prepared.part(held)[0])
    assert found.data.normalize.mean.equal(rest.normalize.mean)
    yield run
    opened.cache_clear()


def trial(folder: Path, name: str) -> Path:
    path = folder / "trials" / name / "part"
    path.mkdir(parents=True)
    return path


def test_a_full_disk_is_told_and_nothing_is_left_on_it(
    candidate: Candidate, tmp_path: Path
) -> None:
    rest, held = candidate.prepared.without_fold(0)
    disk = tmp_path / "small"
    with mounted(disk, "size=16k"):  # the images alone need 26 kB
        with pytest.raises(RunFolderError, match=r"no space left for .*data\. .* --out"):
            share(disk / "data", candidate, rest, held, **JOB)
        assert not list(disk.iterdir())


def test_what_a_power_cut_left_in_part_is_written_anew(
    candidate: Candidate, tmp_path: Path
) -> None:
    rest, held = candidate.prepared.without_fold(0)
    share(tmp_path / "data", candidate, rest, held, **JOB)
    images = (tmp_path / "data" / "images.npy").read_bytes()
    for left in (b"", b"[]", b"\xff", None):
        (tmp_path / "data" / "job.json").unlink()
        if left is not None:
            (tmp_path / "data" / "job.json").write_bytes(left)
        (tmp_path / "data" / "images.npy").write_bytes(b"")
        share(tmp_path / "data", candidate, rest, held, **JOB)
        assert (tmp_path / "data" / "images.npy").read_bytes() == images
        assert json.loads((tmp_path / "data" / "job.json").read_text())["threads"] == 1
    assert [folder.name for folder in tmp_path.iterdir()] == ["data"]


def test_two_slices_equal_one_and_it_learns(folder: Path) -> None:
    config = {"train.lr": 0.2, "params.activation": "relu", "train.augmentation.shift": 0.1}
    whole, parts = trial(folder, "whole"), trial(folder, "parts")
    first = train(config, parts, 0, 3)
    value = train(config, parts, 3, UNITS)
    assert value == train(config, whole, 0, UNITS)
    assert value > max(first, 0.5)  # chance is 0.1
    state, again = load_file(whole / STATE), load_file(parts / STATE)
    assert all(again[name].equal(tensor) for name, tensor in state.items())


def test_a_network_of_twice_the_cost_sees_half_of_the_images(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, int] = {}

    def spy(*args: object, **options: int) -> object:
        seen[width] = options["until"]
        return train_slice(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(shared, "train_slice", spy)
    for width in (8, 32):
        train({"params.width": width}, trial(folder, f"width{width}"), 0, 1)
    assert seen[8] == 1600 // UNITS
    assert seen[32] < seen[8]


def test_limits_are_looked_at_in_the_first_slice_and_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = replace(opened(folder / "data"), limits=Limits(most={"size_mb": 1.0}, threads=1))
    monkeypatch.setattr(shared, "opened", lambda _: limited)
    given: list[object] = []

    def check(_limits: Limits, _network: nn.Module, **options: object) -> None:
        given.append(options["folder"])

    monkeypatch.setattr(Limits, "check", check)
    path = trial(folder, "limited")
    for start in (0, 1):
        train({}, path, start, start + 1)
    assert given == [path]


def test_a_later_start_may_train_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**JOB, "metric": "macro_f1", "device": "cuda", "threads": 8}))
    assert shared._renewed(path, JOB)
    assert json.loads(path.read_text()) == {**JOB, "metric": "macro_f1"}


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "roc_auc"])
def test_a_network_is_judged_by_what_it_is_worth_once_calibrated(folder: Path, metric: str) -> None:
    """Of one that has learned something: what is worth nothing has no best temperature."""
    some = replace(opened(folder / "data"), metric=metric)
    x_ND, y_N = some.data.x_NCHW.float().flatten(1), some.data.y_N
    layer = nn.Linear(64, 10)
    with torch.no_grad():
        for label, weights in enumerate(layer.weight):
            weights.copy_((x_ND[y_N == label].mean(0) - x_ND.mean(0)) / 100)
    network = nn.Sequential(nn.Flatten(), layer)
    value = shared._value(some, network, 1.0, channels_last=True)
    for weights in network.parameters():
        weights.data *= 3
    surer = shared._value(some, network, 1.0, channels_last=True)
    assert surer == pytest.approx(value, abs=0.01)


def test_numbers_that_layers_hand_on_cost_too(folder: Path) -> None:
    data, conv = opened(folder / "data").data, nn.Conv2d(1, 4, 3)
    operations, numbers = 2 * 9 * 4 * 6 * 6, 4 * 6 * 6
    assert work(conv, data) == operations + HANDED_ON * numbers
    assert work(nn.Sequential(conv, nn.ReLU()), data) == operations + 2 * HANDED_ON * numbers


def test_what_diverges_is_no_number_and_what_does_not_fit_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging = {"train.lr_head": 1e30, "train.lr_bias": 1e30}
    assert np.isnan(train(diverging, trial(folder, "diverges"), 0, UNITS))

    def full(*_args: object, **_options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("tunesmith.training.slice.train_batches", full)
    with pytest.raises(MemoryError):
        train({}, trial(folder, "full"), 0, 1)


NETWORK = (
    "from torch import nn\n\ndef build(classes, channels, *, size):\n    return nn.Flatten()\n"
)


def test_a_network_that_was_edited_since_is_refused(candidate: Candidate, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(NETWORK)
    own = replace(candidate, family=find_family("convnet"))
    own = replace(own, family=replace(own.family, source=find_family(f"{file}:build").source))
    share(tmp_path / "data", own, *candidate.prepared.without_fold(0), **JOB)
    opened.cache_clear()
    assert opened(tmp_path / "data").family.source == own.family.source
    file.write_text(f"{NETWORK}\nSIZE = 2\n")
    opened.cache_clear()
    with pytest.raises(CodeChangedError, match=r"net\.py was changed while a search with it ran"):
        opened(tmp_path / "data")
