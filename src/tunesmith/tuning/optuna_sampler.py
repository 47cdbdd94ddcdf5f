"""Optuna's samplers: a new study for each proposal, so that the sampler is stateless.

Optuna sees the unit cube: a number is a coordinate in it, a choice the index of its option.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from tunesmith.core.optional import require
from tunesmith.core.seeds import derive
from tunesmith.core.space import Choice, Space
from tunesmith.tuning.cube import Floats, decode, encode
from tunesmith.tuning.curves import expected
from tunesmith.tuning.protocols import History

MOST_FOR_GP = 250  # trials; the cost of a Gaussian process is cubic in their number


@final
@dataclass(frozen=True)
class OptunaSampler:
    """Proposes what Optuna's samplers propose.

    Each trial is passed on with its expected value at the horizon, so that trials of different
    lengths can be compared.

    Attributes:
        gaussian: Use a Gaussian process if all fields are numeric and trials are few; otherwise
            TPE.
    """

    gaussian: bool = False

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`.

        Raises:
            MissingExtraError: Optuna is not installed.
        """
        optuna = require("optuna", extra="train")
        counts = [
            len(f.range.options) if isinstance(f.range, Choice) else 0 for f in space.values()
        ]
        kinds = optuna.distributions
        distributions = {
            name: kinds.CategoricalDistribution(range(count))
            if count
            else kinds.FloatDistribution(0.0, 1.0)
            for name, count in zip(space, counts, strict=True)
        }
        is_gaussian = self.gaussian and not any(counts) and len(history.trials) < MOST_FOR_GP
        kind = optuna.samplers.GPSampler if is_gaussian else optuna.samplers.TPESampler
        with quiet(optuna):
            study = optuna.create_study(
                sampler=kind(seed=derive(seed, "optuna", len(history.trials)) % 2**32)
            )
            values_N = expected(history)
            if is_gaussian:
                values_N = failed_as_worst(history, values_N)
            study.add_trials(_told(optuna, space, history, distributions, values_N))
            asked = study.ask(distributions).params
        x_D = [
            (asked[name] + 0.5) / count if count else asked[name]
            for name, count in zip(space, counts, strict=True)
        ]
        return decode(space, np.array(x_D))


def failed_as_worst(history: History, values_N: Floats) -> Floats:
    """Return expected values, with those of failed trials as bad as the worst of the others.

    A Gaussian process sees values only: it would ignore a trial without one, and propose the same
    config again. If no trial has a value, nothing changes.
    """
    finite_N = np.isfinite(values_N)
    if not finite_N.any():
        return values_N
    failed_N = np.array([trial.failed is not None for trial in history.trials])
    told_N: Floats = np.where(failed_N & ~finite_N, values_N[finite_N].max(), values_N)
    return told_N


def _told(
    optuna: Any,
    space: Space,
    history: History,
    distributions: dict[str, Any],
    values_N: Floats,
) -> Iterator[Any]:
    """Convert trials to Optuna's format, with their expected values; infinite if there is none."""
    state = optuna.trial.TrialState
    x_ND = encode(space, [trial.config for trial in history.trials])
    for trial, value, x_D in zip(history.trials, values_N, x_ND, strict=True):
        params = {
            name: min(len(kind.choices) - 1, int(x * len(kind.choices)))
            if hasattr(kind, "choices")
            else float(x)
            for (name, kind), x in zip(distributions.items(), x_D, strict=True)
        }
        is_known = bool(np.isfinite(value))
        yield optuna.trial.create_trial(
            # Optuna ranks trials pruned without a value behind all that have one.
            state=state.COMPLETE if is_known else state.PRUNED if trial.failed else state.RUNNING,
            value=float(value) if is_known else None,
            params=params,
            distributions=distributions,
        )


@contextmanager
def quiet(optuna: Any) -> Iterator[None]:
    """Silence Optuna's messages, such as about each new study, or a package that it could use."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
