"""Tests of `tunesmith.tuning.hyperopt_sampler`; samplers' laws are tested in test_contracts."""

import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest

from tunesmith.core.errors import MissingExtraError
from tunesmith.core.seeds import derive
from tunesmith.core.space import Choice, Config, Field, Float
from tunesmith.tuning.hyperopt_sampler import HyperoptSampler
from tunesmith.tuning.protocols import History, Observation

SPACE = {
    **{f"x{n}": Field(Float(0.0, 1.0), 0.5) for n in range(4)},
    "kind": Field(Choice("a", "b", "c"), "a"),
}


def bowl(config: Config) -> float:
    miss = 0.0 if config["kind"] == "b" else 0.3
    return miss + float(sum((config[f"x{n}"] - 0.3) ** 2 for n in range(4)))


def test_it_proposes_what_hyperopt_itself_would() -> None:
    """After the same 25 trials and with the same seed, to the bit."""
    import hyperopt
    from hyperopt import hp, tpe

    def as_config(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "kind": "abc"[values["kind"]]}

    space = {name: hp.uniform(name, 0.0, 1.0) for name in SPACE if name != "kind"}
    space["kind"] = hp.randint("kind", 3)
    algorithm = partial(tpe.suggest, n_startup_jobs=10, verbose=False)
    trials = hyperopt.Trials()
    hyperopt.fmin(
        lambda values: bowl(as_config(values)),
        space,
        algo=algorithm,
        max_evals=25,
        trials=trials,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
        verbose=False,
    )
    history = History(horizon=1)
    for number, (doc, value) in enumerate(zip(trials.trials, trials.losses(), strict=True)):
        values = {name: found[0] for name, found in doc["misc"]["vals"].items()}
        point = Observation(at=1, value=value)
        history = history.started(as_config(values), until=1)
        history = history.observed(number, (point,), seconds=1.0)
    domain = hyperopt.base.Domain(as_config, space)
    for seed in range(5):
        (doc,) = algorithm([25], domain, trials, derive(seed, "hyperopt", 25) % 2**31)
        wanted = as_config({name: found[0] for name, found in doc["misc"]["vals"].items()})
        assert HyperoptSampler()(SPACE, history, seed=seed) == wanted


def test_hyperopt_is_imported_when_it_is_asked() -> None:
    code = "import sys, tunesmith.tuning.hyperopt_sampler; assert 'hyperopt' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_where_hyperopt_is_missing_the_line_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "hyperopt", None)
    with pytest.raises(MissingExtraError, match=r"`hyperopt`.*\"\.\[hyperopt\]\""):
        HyperoptSampler()(SPACE, History(horizon=1), seed=0)
