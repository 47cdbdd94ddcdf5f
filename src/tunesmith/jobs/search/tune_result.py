"""The result of `tune`, as values and in words."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, final

from tunesmith.core.errors import SettingsError
from tunesmith.core.words import counted, short
from tunesmith.tuning.effect import FEWEST
from tunesmith.tuning.failures import told
from tunesmith.tuning.folders import ERROR, at_unit
from tunesmith.tuning.importance import edge_words, importances
from tunesmith.tuning.parts import Part, first_look, parts
from tunesmith.tuning.protocols import History, Trial
from tunesmith.tuning.repeats import Noise
from tunesmith.tuning.search import Search
from tunesmith.tuning.timing import best_trial

TRIALS, RESULT = "trials", "result.json"  # in the run's folder
ROUNDING = 1e-12  # share of a value below which a difference is none
SURELY = 2.0  # standard errors from which on a difference is hardly chance
FIELDS = 3  # most important fields, to be reported in parts


@final
@dataclass(frozen=True, kw_only=True)
class Tuned:
    """Result of a search.

    Attributes:
        folder: The run's folder.
        number: Number of the chosen trial; trial 0 has the defaults.
        config: Config of this trial.
        value: Its last value.
        units: Units of its training.
        horizon: Units of a full training.
        whole: Number of the best trial that was trained to the end; None if there is none.
        whole_value: Its last value.
        checkpoint: Folder with its state.
        default: The last value of trial 0; None if it has none.
        default_units: Units of its training.
        trials: Number of trials that were started.
        importance: Share of the differences between trials that each field explains, given the
            others, of those that explain more than chance, the largest first.
        parts: For the most important fields, the quarters of their range (or options) with enough
            trials, and their median value after ``parts_at`` units, the best first. Empty if no
            field made a significant difference, as if there are too few trials.
        parts_at: Units of training after which all trials can be compared.
        noise: Standard deviation between values of equal configs after ``noise_at`` units, measured
            by training the defaults and the best config again; None if the search was too short.
        noise_at: Units of these trainings.
        again: Values of the chosen config after so many units: in the search, and of its other
            trainings. The first one was chosen for being good, so that the others tend to be worse.
        failed: Reasons of failed trials, by number.
        dropped: Number of trials that were given up to free disk space.
        status: ``"finished"`` or ``"interrupted"``.
        reason: Why the search ended, in words.
        method: Sampler and scheduler.
        warnings: Warnings to the user.
        report: Path of the report; None if the extra that writes it is not installed.
    """

    folder: Path
    number: int
    config: Mapping[str, Any]
    value: float
    units: int
    horizon: int
    whole: int | None
    whole_value: float | None
    checkpoint: Path
    default: float | None
    default_units: int
    trials: int
    importance: Mapping[str, float]
    parts: Mapping[str, Sequence[Part]]
    parts_at: int
    noise: float | None
    noise_at: int
    again: Sequence[float]
    failed: Mapping[int, str]
    dropped: int
    status: str
    reason: str
    method: str
    warnings: Sequence[str]
    report: Path | None = None

    def as_json(self) -> str:
        """Return all fields as JSON."""
        return json.dumps(asdict(self), default=str, indent=2)

    def words(self) -> str:
        """Summarize what a person wants to know first."""
        values = ", ".join(
            f"{name}={f'{value:.6g}' if isinstance(value, float) else repr(value)}"
            for name, value in self.config.items()
        )
        return (
            f"value   {self.value:.6g} {self.trained()}\n"
            f"config  {values}\n"
            f"trial   {self.count()}; {self.reason}\n"
            f"by      {self.method}\n"
            f"why     {self.why()}\n"
            + "".join(f"where   {words}\n" for words in self.where())
            + "".join(f"note    {warning}\n" for warning in self.warnings)
            + (f"report  {self.report}\n" if self.report else "")
            + f"state   {self.checkpoint}"
        )

    def trained(self) -> str:
        """Say how long this trial was trained, and what the defaults have."""
        default = "no value" if self.default is None else f"{self.default:.6g}"
        if self.default is not None and self.default_units != self.units:
            default += f" after {self.default_units}"
        return f"after {self._of_all(self.units)} (defaults: {default})"

    def count(self) -> str:
        """Say which of how many trials this is."""
        failed = f", {len(self.failed)} of them failed" if self.failed else ""
        dropped = f", {self.dropped} given up to make room" if self.dropped else ""
        return f"{self.number} of {self.trials}{failed}{dropped}"

    def why(self) -> str:
        """Explain why this trial was chosen, and how sure that is."""
        why = f"it has the best last value of all{self._unfinished()}"
        if self.noise is None:
            return f"{why}; by how much equal configs differ was not measured: that takes longer"
        after = f"after {counted(self.noise_at, 'unit')}"
        if self.noise <= ROUNDING * abs(self.value):
            return f"{why}; equal configs, trained again, have equal values {after}"
        why = (
            f"{why}; equal configs, trained again, differ by {self.noise:.2g} (standard "
            f"deviation {after})"
        )
        if not self.again:
            return why
        first, *others = (f"{value:.6g}" for value in self.again)
        return f"{why}: this one had {first} then, and {' and '.join(others)} when trained again"

    def where(self) -> list[str]:
        """Say in which part of the most important fields the best values were."""
        after = self._of_all(self.parts_at)
        known = [_where(name, parts, after) for name, parts in self.parts.items()]
        if self.trials - len(self.failed) < FEWEST:
            return known or ["there were too few trials to say which fields mattered"]
        return known or ["no field made a significant difference"]

    def _unfinished(self) -> str:
        """Say what was trained to the end instead, if this trial was not."""
        if self.units >= self.horizon:
            return ""
        other = "none was"
        if self.whole is not None:
            other = f"the best that was is trial {self.whole}, with {self.whole_value:.6g}"
        return f", though it was not trained to the end ({other})"

    def _of_all(self, units: int) -> str:
        """Say how long a training was, and how long a full one is if that is longer."""
        return (
            f"{units} of {self.horizon} units" if units < self.horizon else counted(units, "unit")
        )


def _where(name: str, parts: Sequence[Part], trained: str) -> str:
    """Describe in which part of a field the best values were."""
    best, *others = parts
    to = "" if best.low == best.high else f" to {short(best.high)}"
    next_best = f"; the next best part has {others[0].median:.4g}" if others else ""
    return (
        f"{name} {short(best.low)}{to}: median {best.median:.4g} of {best.trials} trials after "
        f"{trained}{next_best}"
    )


def tell(
    path: Path,
    search: Search,
    history: History,
    noise: Noise | None,
    *,
    status: str,
    reason: str,
    notes: Sequence[str] = (),
    doubts: Sequence[str] = (),
) -> Tuned:
    """Build the result of a search, with the value as measured in the trial itself.

    Args:
        path: Run folder.
        search: Definition of the search.
        history: History of the search.
        noise: Noise between equal configs; None if it was not measured.
        status: See `Tuned`.
        reason: See `Tuned`.
        notes: What the user was told during the search, and should know of its result.
        doubts: Reasons of failures that were not held against their trials.

    Raises:
        SettingsError: No trial has a value.
    """
    number, sign = _chosen(path, history, doubts, reason), search.sign
    chosen, first, at = history.trials[number], history.trials[0], first_look(history)
    importance = importances(search.space, history, at=at)
    return Tuned(
        folder=path,
        number=number,
        config=chosen.config,
        value=sign * chosen.curve[-1].value,
        units=chosen.at,
        horizon=search.horizon,
        whole=(whole := best_trial(history, least=search.horizon)),
        whole_value=None if whole is None else sign * history.trials[whole].last,
        checkpoint=at_unit(path / TRIALS, number, chosen.at),
        default=sign * first.last if math.isfinite(first.last) else None,
        default_units=first.at,
        trials=len(history.trials),
        importance=importance,
        parts={name: _ranked(search, history, name, at) for name in islice(importance, FIELDS)},
        parts_at=at,
        noise=noise and noise.deviation,
        noise_at=noise.at if noise else 0,
        again=[sign * value for value in noise.values.get(number, ())] if noise else [],
        failed={n: t.failed for n, t in enumerate(history.trials) if t.failed is not None},
        dropped=sum(t.is_dropped and not t.is_over(search.horizon) for t in history.trials),
        status=status,
        reason=reason,
        method=search.method,
        warnings=[*notes, *_doubts(search, noise, chosen, importance)],
    )


def _doubts(
    search: Search, noise: Noise | None, chosen: Trial, importance: Mapping[str, float]
) -> list[str]:
    """Say what speaks against the chosen trial: chance, and the ends of ranges."""
    edges = edge_words(search.space, chosen.config, importance)
    return [*_unsure_words(noise, chosen, sign=search.sign), *edges]


def _unsure_words(noise: Noise | None, chosen: Trial, *, sign: int) -> Iterator[str]:
    """Say so if the chosen config is not surely better than the defaults."""
    if noise is None or noise.chosen is None or noise.lead is None or noise.lead >= SURELY:
        return
    if noise.deviation <= ROUNDING * abs(chosen.last):
        return
    _, *others = noise.values[noise.chosen]
    had, defaults = (
        " and ".join(f"{sign * value:.6g}" for value in values)
        for values in (others, noise.values[0])
    )
    few = "; so few tell little of the end" if noise.at < chosen.at else ""
    yield (
        f"It is not surely better than the defaults: trained again, this config had {had} after "
        f"{counted(noise.at, 'unit')}, and the defaults {defaults} (a difference below "
        f"{SURELY:.0f} standard errors{few})."
    )


def _chosen(path: Path, history: History, doubts: Sequence[str], reason: str) -> int:
    """Return the number of the best trial; if there is none, raise an error that explains it."""
    number = best_trial(history)
    if number is None:
        raise SettingsError(_without(path, history, doubts, reason))
    return number


def _without(path: Path, history: History, doubts: Sequence[str], reason: str) -> str:
    """Explain why there is no value: all trials failed, or there was no time."""
    errors = sorted((path / TRIALS).glob(f"*/{ERROR}"))
    where = f"{errors[-1]} says more." if errors else f"What was tried is in {path}."
    failed = [trial.failed for trial in history.trials if trial.failed is not None]
    if failed and len(failed) == len(history.trials):
        why = f"No trial has a value, since each failed, at last so: {failed[-1]} Mend that."
        return f"{why} {where}"
    why = f"The search ended before any trial had a value ({reason})"
    if (found := [*failed, *doubts]) or errors:
        how = f": {told(found)}" if found else " before."
        return f"{why} Slices failed{how} Mend that, or give it a longer budget. {where}"
    return f"{why} Give it a longer budget, or a function with shorter slices. {where}"


def _ranked(search: Search, history: History, name: str, at: int) -> list[Part]:
    """Return a field's parts, the best first, with the sign of the user's values."""
    found = sorted(parts(search.space, history, name, at=at), key=lambda part: part.median)
    return [replace(part, median=search.sign * part.median) for part in found]
