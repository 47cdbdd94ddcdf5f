"""Tests of `tunesmith.tuning.optuna_sampler`; the laws of samplers are tested in test_contracts."""

import math
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from tunesmith.core.errors import MissingExtraError
from tunesmith.core.space import Choice, Config, Field, Float
from tunesmith.tuning.optuna_sampler import OptunaSampler, failed_as_worst, quiet
from tunesmith.tuning.protocols import History, Observation, Sampler, Trial
from tunesmith.tuning.random_sampler import RandomSampler

NUMBERS = {f"x{n}": Field(Float(0.0, 1.0), 0.5) for n in range(4)}
MIXED = {**NUMBERS, "kind": Field(Choice("a", "b", "c"), "a")}


def bowl(config: Config) -> float:
    miss = 0.0 if config.get("kind", "b") == "b" else 0.3
    return miss + float(sum((config[f"x{n}"] - 0.3) ** 2 for n in range(4)))


def lowest(sampler: Sampler, space: dict[str, Field], count: int, *, seed: int) -> float:
    history = History(horizon=1)
    for number in range(count):
        config = sampler(space, history, seed=seed)
        point = Observation(at=1, value=bowl(config))
        history = history.started(config, until=1).observed(number, (point,), seconds=1.0)
    return min(trial.best for trial in history.trials)


@pytest.mark.parametrize(
    ("sampler", "space", "count"),
    [(OptunaSampler(), MIXED, 60), (OptunaSampler(gaussian=True), NUMBERS, 16)],
    ids=["tpe", "gaussian"],
)
def test_it_finds_what_random_draws_do_not(
    sampler: Sampler, space: dict[str, Field], count: int
) -> None:
    theirs = np.median([lowest(sampler, space, count, seed=seed) for seed in range(3)])
    draws = np.median([lowest(RandomSampler(), space, count, seed=seed) for seed in range(3)])
    assert theirs < 0.7 * draws


def told(monkeypatch: pytest.MonkeyPatch, sampler: Sampler, history: History) -> list[Any]:
    """What Optuna is told of each trial, when it is asked for another one."""
    import optuna

    heard: list[Any] = []
    add = optuna.Study.add_trials

    def listen(study: Any, trials: Iterable[Any]) -> None:
        heard.extend(trials)
        add(study, heard)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "add_trials", listen)
        sampler(NUMBERS, history, seed=0)
    return [(trial.state.name, trial.value) for trial in heard]


def test_a_gaussian_process_learns_from_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {name: field.default for name, field in NUMBERS.items()}
    values = [Trial(config=config, curve=(Observation(at=1, value=v),)) for v in (0.2, 0.7)]
    trials = (*values, Trial(config=config, failed="It gave NaN."), Trial(config=config, until=1))
    history = History(horizon=1, trials=trials)
    known = [("COMPLETE", 0.2), ("COMPLETE", 0.7)]
    gaussian = told(monkeypatch, OptunaSampler(gaussian=True), history)
    assert gaussian == [*known, ("COMPLETE", 0.7), ("RUNNING", None)]
    plain = told(monkeypatch, OptunaSampler(), history)
    assert plain == [*known, ("PRUNED", None), ("RUNNING", None)]


def test_where_everything_failed_nothing_is_the_worst() -> None:
    history = History(horizon=1, trials=(Trial(config={}, failed="It gave NaN."),))
    assert failed_as_worst(history, np.array([math.inf])).tolist() == [math.inf]


def test_optuna_is_imported_when_it_is_asked() -> None:
    code = "import sys, tunesmith.tuning.optuna_sampler; assert 'optuna' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_where_optuna_is_missing_the_line_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"`optuna`.*pip install \"\.\[train\]\""):
        OptunaSampler()(MIXED, History(horizon=1), seed=0)


def test_it_is_quiet_and_leaves_the_user_s_own_setting(capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        OptunaSampler()(MIXED, History(horizon=1), seed=0)
        with quiet(optuna):
            optuna.logging.get_logger("optuna").warning("A package is unavailable.")
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(optuna.logging.INFO)
    assert capfd.readouterr().err == ""
