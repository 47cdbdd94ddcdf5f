"""Describe a search's trials for its report, whatever they trained."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any

from tunesmith.core.space import Config, Space
from tunesmith.core.words import counted, short
from tunesmith.report.story import SearchReport, Stretch, Tried
from tunesmith.tuning.importance import edge_words
from tunesmith.tuning.parts import first_look, parts
from tunesmith.tuning.protocols import History, Trial

SETTINGS = 4  # most important settings, to be shown in parts


def describe(
    space: Space,
    history: History,
    *,
    sign: int,
    found: int | None,
    metric: str,
    first: str,
    importance: Mapping[str, float],
    reasons: Sequence[str],
    resumed: Mapping[int, Collection[int]],
    as_set: Callable[[Config], Mapping[str, Any]] = dict,
) -> SearchReport:
    """Describe what a search tried.

    Args:
        space: Search space.
        history: The trials; lower values are better.
        sign: 1 if the values are those of the metric; -1 if they are negated.
        found: Number of the trial that was chosen; None if there is none.
        metric: See `SearchReport`.
        first: See `SearchReport`.
        importance: See `importances`.
        reasons: See `SearchReport`.
        resumed: See `resumptions`.
        as_set: Returns the settings of a config as they are to be shown.
    """
    tried = (number for number, trial in enumerate(history.trials) if trial.is_tried)
    order = sorted(tried, key=lambda n: _rank(history.trials[n]))
    config = None if found is None else history.trials[found].config
    return SearchReport(
        trials=[_tried(number, history, sign, resumed.get(number, ()), as_set) for number in order],
        found=found,
        metric=metric,
        first=first,
        importance=importance,
        stretches={
            name: _stretches(space, history, sign, name) for name in islice(importance, SETTINGS)
        },
        compared_at=first_look(history) / history.horizon,
        warnings=[] if config is None else edge_words(space, config, importance),
        reasons=reasons,
    )


def _rank(trial: Trial) -> float:
    """Sort key of a trial: its last value, which is that of its final weights."""
    return trial.last if math.isfinite(trial.last) else math.inf


def _stretches(space: Space, history: History, sign: int, name: str) -> list[Stretch]:
    """Split the tried values of a setting into parts."""
    found = parts(space, history, name, at=first_look(history))
    best = min((part.median for part in found), default=math.nan)
    return [
        Stretch(
            values=short(part.low) + ("" if part.low == part.high else f" to {short(part.high)}"),
            trials=part.trials,
            median=sign * part.median,
            is_best=part.median == best,
        )
        for part in found
    ]


def _tried(
    number: int,
    history: History,
    sign: int,
    resumed: Collection[int],
    as_set: Callable[[Config], Mapping[str, Any]],
) -> Tried:
    trial, first = history.trials[number], history.trials[0].config
    others = {n: value for n, value in as_set(trial.config).items() if first.get(n) != value}
    curve = {o.at: (o.at / history.horizon, sign * o.value) for o in trial.curve}
    return Tried(
        number=number,
        values=[(name, short(value)) for name, value in others.items()],
        curve=list(curve.values()),
        resumed=[point for at, point in curve.items() if at in resumed],
        seconds=trial.seconds,
        state=_state(trial, history.horizon, len(resumed)),
    )


def _state(trial: Trial, horizon: int, resumed: int) -> str:
    times = f", resumed {counted(resumed, 'time')}" if resumed else ""
    if trial.failed is not None:
        return f"failed{times}: {trial.failed}"
    if trial.is_dropped:
        return f"given up{times}"
    return ("finished" if trial.at >= horizon else "paused") + times
