"""Hyperopt's TPE: its trials are rebuilt for each proposal, so that the sampler is stateless.

Hyperopt sees the unit cube: a number is a coordinate in it, a choice the index of its option.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from tunesmith.core.optional import require
from tunesmith.core.seeds import derive
from tunesmith.core.space import Choice, Space
from tunesmith.tuning.cube import decode, encode
from tunesmith.tuning.curves import expected
from tunesmith.tuning.protocols import History


@final
@dataclass(frozen=True)
class HyperoptSampler:
    """Proposes what Hyperopt's TPE proposes.

    Each trial is passed on with its expected value at the horizon, so that trials of different
    lengths can be compared.

    Attributes:
        startup: Number of trials before TPE is used.
    """

    startup: int = 10

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`.

        Raises:
            MissingExtraError: Hyperopt is not installed.
        """
        hyperopt = require("hyperopt", extra="hyperopt")
        counts = [
            len(f.range.options) if isinstance(f.range, Choice) else 0 for f in space.values()
        ]
        domain = hyperopt.base.Domain(
            _nothing,
            {
                name: hyperopt.hp.randint(name, count)
                if count
                else hyperopt.hp.uniform(name, 0.0, 1.0)
                for name, count in zip(space, counts, strict=True)
            },
        )
        trials = _told(hyperopt, space, history, counts)
        number = len(history.trials)
        (asked,) = hyperopt.tpe.suggest(
            [number],
            domain,
            trials,
            derive(seed, "hyperopt", number) % 2**31,
            n_startup_jobs=self.startup,
            verbose=False,
        )
        values = {name: value for name, (value,) in asked["misc"]["vals"].items()}
        x_D = [
            (values[name] + 0.5) / count if count else values[name]
            for name, count in zip(space, counts, strict=True)
        ]
        return decode(space, np.array(x_D))


def _nothing(_: Any) -> None:
    """Stand in for the function to minimize that Hyperopt requires; never called."""


def _told(hyperopt: Any, space: Space, history: History, counts: list[int]) -> Any:
    """Convert all trials to Hyperopt's format."""
    base, trials = hyperopt.base, hyperopt.Trials()
    x_ND = encode(space, [trial.config for trial in history.trials])
    docs = []
    for number, (trial, value) in enumerate(zip(history.trials, expected(history), strict=True)):
        values = {
            name: [min(count - 1, int(x * count)) if count else float(x)]
            for name, count, x in zip(space, counts, x_ND[number], strict=True)
        }
        misc = {
            "tid": number,
            "cmd": None,
            "idxs": {name: [number] for name in space},
            "vals": values,
        }
        result = {"status": base.STATUS_FAIL if trial.failed else base.STATUS_NEW}
        if np.isfinite(value):
            result = {"status": base.STATUS_OK, "loss": float(value)}
        (doc,) = trials.new_trial_docs([number], [None], [result], [misc])
        is_running = result["status"] == base.STATUS_NEW
        doc["state"] = base.JOB_STATE_RUNNING if is_running else base.JOB_STATE_DONE
        docs.append(doc)
    trials.insert_trial_docs(docs)
    trials.refresh()
    return trials
