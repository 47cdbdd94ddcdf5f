"""Tests of `tunesmith.jobs.search.slices`, as workers run them, in this process."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tunesmith.jobs.run.limits import Limits
from tunesmith.jobs.search import slices
from tunesmith.jobs.search.shared import opened
from tunesmith.jobs.search.slices import COOLING, STATE, TRIALS, cool, cooling, train
from tunesmith.plan import UNITS
from tunesmith.training.schedule import multiplier
from tunesmith.training.slice import train_slice
from tunesmith.tuning.folders import at_unit


def trial(folder: Path, name: str) -> Path:
    path = folder / "trials" / name / "part"
    path.mkdir(parents=True)
    return path


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

    monkeypatch.setattr(slices, "train_slice", spy)
    for width in (8, 32):
        train({"params.width": width}, trial(folder, f"width{width}"), 0, 1)
    assert seen[8] == 1600 // UNITS
    assert seen[32] < seen[8]


def test_limits_are_looked_at_in_the_first_slice_and_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = replace(opened(folder / "data"), limits=Limits(most={"size_mb": 1.0}, threads=1))
    monkeypatch.setattr(slices, "opened", lambda _: limited)
    given: list[object] = []

    def check(_limits: Limits, _network: nn.Module, **options: object) -> None:
        given.append(options["folder"])

    monkeypatch.setattr(Limits, "check", check)
    path = trial(folder, "limited")
    for start in (0, 1):
        train({}, path, start, start + 1)
    assert given == [path]


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
    value = slices._value(some, network, 1.0, channels_last=True)
    for weights in network.parameters():
        weights.data *= 3
    surer = slices._value(some, network, 1.0, channels_last=True)
    assert surer == pytest.approx(value, abs=0.01)


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


@pytest.fixture(scope="module", params=[1, 3, UNITS])
def trained(folder: Path, request: pytest.FixtureRequest) -> tuple[int, int]:
    """A trial that was paused in its warmup, later, or at its end: its number and its units."""
    at: int = request.param
    part = at_unit(folder / TRIALS, 100 + at, at)
    part.mkdir(parents=True)
    train({}, part, 0, at)
    return 100 + at, at


def cooled(folder: Path, name: str, *stops: int, number: int, at: int) -> tuple[Path, list[float]]:
    """Cool a trial down with pauses; return the folder, and a value for each slice."""
    path = folder / "cooled" / f"{name}-{number}" / "part"
    path.mkdir(parents=True)
    config, begins = cooling({}, number, at), (0, *stops)
    return path, [cool(config, path, *ends) for ends in zip(begins, stops, strict=False)]


def test_two_slices_of_a_cooldown_equal_one_and_the_trial_stays(
    folder: Path, trained: tuple[int, int]
) -> None:
    number, at = trained
    before = (at_unit(folder / TRIALS, number, at) / STATE).read_bytes()
    parts, values = cooled(folder, "parts", 2, COOLING, number=number, at=at)
    whole, (value,) = cooled(folder, "whole", COOLING, number=number, at=at)
    assert values[-1] == value
    state, again = load_file(whole / STATE), load_file(parts / STATE)
    assert all(again[name].equal(tensor) for name, tensor in state.items())
    assert (at_unit(folder / TRIALS, number, at) / STATE).read_bytes() == before


def test_a_cooldown_goes_on_where_the_trial_was_until_the_rate_is_0(
    folder: Path, trained: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    number, at = trained
    rates: list[float] = []

    def spy(*args: object, **options: object) -> object:
        start, segments = options["start"], options["segments"]
        rates.extend(multiplier(segments, n) for n in (start.seen, options["until"]))  # type: ignore[arg-type, attr-defined]
        return train_slice(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(slices, "train_slice", spy)
    cooled(folder, "spied", 2, COOLING, number=number, at=at)
    first, half, again, last = rates
    assert first == pytest.approx(min(1.0, at / UNITS / slices.WARMUP), abs=0.05)
    assert first > half == again > last == 0.0
