"""Export a search as an Optuna study, for its dashboard and its plots."""

import math
from contextlib import closing
from pathlib import Path
from typing import Any

from tunesmith.core.optional import require
from tunesmith.core.space import Choice, Field, Int, Space
from tunesmith.records.folder import write_atomic
from tunesmith.tuning.optuna_sampler import quiet
from tunesmith.tuning.protocols import History, Trial

# Optuna itself takes milliseconds for each intermediate value.
INSERT = """
INSERT INTO trial_intermediate_values
(trial_id, step, intermediate_value, intermediate_value_type)
SELECT trial_id, ?, ?, 'FINITE' FROM trials WHERE number = ?
"""


def write_study(path: Path, name: str, space: Space, history: History, *, sign: int) -> None:
    """Write a database for ``optuna-dashboard``; an existing one is replaced.

    Fully trained trials are complete; paused ones are pruned, with their intermediate values;
    failed ones have failed.

    Args:
        path: Path of the database.
        name: Name of the study.
        space: Search space.
        history: The trials.
        sign: 1 if values are minimized; -1 if maximized, so that the history has them negated.

    Raises:
        MissingExtraError: Optuna is not installed.
        RunFolderError: There is no space, or no permission.
    """
    optuna = require("optuna", extra="train")
    with quiet(optuna):
        # In memory, since Optuna waits for the disk many times for each trial.
        storage = optuna.storages.RDBStorage("sqlite:///:memory:")
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="minimize" if sign > 0 else "maximize",
        )
        for trial in history.trials:
            study.add_trial(_frozen(optuna, space, trial, horizon=history.horizon, sign=sign))
    with closing(storage.engine.raw_connection()) as database:
        values = enumerate(_values(trial, sign) for trial in history.trials)
        rows = [(at, value, number) for number, each in values for at, value in each.items()]
        database.cursor().executemany(INSERT, rows)
        database.commit()
        content = database.driver_connection.serialize()
    storage.engine.dispose()
    write_atomic(path, content)


def _values(trial: Trial, sign: int) -> dict[int, float]:
    """Values of a trial by units of training, as the user's function gave them."""
    return {o.at: sign * o.value for o in trial.curve if math.isfinite(o.value)}


def _frozen(optuna: Any, space: Space, trial: Trial, *, horizon: int, sign: int) -> Any:
    """Convert a trial to Optuna's format."""
    states = optuna.trial.TrialState
    state = states.COMPLETE if trial.at >= horizon else states.PRUNED
    if trial.failed is not None:
        state = states.FAIL
    return optuna.trial.create_trial(
        state=state,
        params={name: _plain(value) for name, value in trial.config.items()},
        distributions={n: _distribution(optuna, space[n]) for n in trial.config},
        value=sign * trial.last if state == states.COMPLETE else None,
        user_attrs={"seconds": trial.seconds, "failed": trial.failed},
    )


def _distribution(optuna: Any, field: Field) -> Any:
    kinds, range_ = optuna.distributions, field.range
    if isinstance(range_, Choice):
        return kinds.CategoricalDistribution([_plain(option) for option in range_.options])
    kind = kinds.IntDistribution if isinstance(range_, Int) else kinds.FloatDistribution
    return kind(range_.low, range_.high, log=range_.log)


def _plain(value: Any) -> Any:
    """Convert an option to a type that a database can store."""
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
