"""Samplers and schedulers of the user's own: what they return is checked before it is used."""

import contextlib
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from tunesmith.core.errors import SettingsError
from tunesmith.core.space import Config, Space, check_values, complete
from tunesmith.core.words import writable
from tunesmith.tuning.protocols import Decision, History, Resume, Sampler, Scheduler, Start, Stop


@final
class OwnError(SettingsError):
    """A sampler or scheduler of the user's own does not work; what was trained is kept.

    Args:
        kind: ``"sampler"`` or ``"scheduler"``.
        name: Its name.
        found: What is wrong with it, as the rest of a sentence.

    Attributes:
        kind: The same.
    """

    def __init__(self, kind: str, name: str, found: str) -> None:
        super().__init__(
            f"The {kind} {name} {writable(found)}. Mend it, or pass another `{kind}`: what was "
            "trained is kept, and the same call goes on."
        )
        self.kind = kind


@final
@dataclass(frozen=True)
class OwnSampler:
    """Hands on what the user's sampler proposes, if that fits the space.

    Attributes:
        name: Name that the user knows it by.
        sampler: The user's sampler.
    """

    name: str
    sampler: Sampler

    def __call__(self, space: Space, history: History, *, seed: int) -> dict[str, Any]:
        """Propose a config; see `Sampler`.

        Raises:
            OwnError: It raised an error, or what it proposed does not fit the space.
        """
        with _blaming("sampler", self.name):
            given: object = self.sampler(space, history, seed=seed)
        if not isinstance(given, Mapping):
            wrong = f"must return a mapping of fields to values, but returned {given!r}"
            raise OwnError("sampler", self.name, wrong)
        # numpy's numbers are none that can be stored.
        config = {n: v.item() if isinstance(v, np.generic) else v for n, v in given.items()}
        if misfit := _misfit(space, config):
            wrong = f"proposed a config that does not fit the space: {misfit}"
            raise OwnError("sampler", self.name, wrong)
        return config


@final
@dataclass(frozen=True)
class OwnScheduler:
    """Hands on what the user's scheduler decides, if that can be carried out.

    Attributes:
        name: Name that the user knows it by.
        scheduler: The user's scheduler.
    """

    name: str
    scheduler: Scheduler

    def __call__(self, history: History, *, spent: float, may_start: bool, seed: int) -> Decision:
        """Decide what to run next; see `Scheduler`.

        Raises:
            OwnError: It raised an error, or what it decided cannot be carried out.
        """
        with _blaming("scheduler", self.name):
            given = self.scheduler(history, spent=spent, may_start=may_start, seed=seed)
        decision: Decision = _plain(given)
        if wrong := _fault(decision, history, may_start=may_start):
            raise OwnError("scheduler", self.name, f"decided {given!r}, but {wrong}")
        return decision


@contextlib.contextmanager
def _blaming(kind: str, name: str) -> Iterator[None]:
    """Say whose error it is; the error itself is its cause."""
    try:
        yield
    except Exception as error:
        try:
            text = f"raised {type(error).__name__}: {error}"
        except Exception:  # noqa: BLE001 (an error of the user's may fail in any way)
            text = f"raised {type(error).__name__}"
        raise OwnError(kind, name, text.rstrip(".")) from error


def _misfit(space: Space, config: Config) -> str:
    """Say why a config has not a value in its range for each active field alone; empty if it has.

    Example:
        >>> from tunesmith.core.space import Field, Float
        >>> _misfit({"lr": Field(Float(0.0, 1.0), 0.5)}, {})
        '`lr` is missing'

    """
    if unknown := [name for name in config if name not in space]:
        return f"`{unknown[0]}` is no field of it (it has: {', '.join(space)})"
    try:
        check_values(space, config)
    except (ValueError, TypeError) as error:  # some values cannot even be compared
        return str(error).rstrip(".")
    active = complete(space, config)
    if missing := [name for name in active if name not in config]:
        return f"`{missing[0]}` is missing"
    if idle := [name for name in config if name not in active]:
        return f"`{idle[0]}` means nothing beside the other values, and must be left out"
    return ""


def _plain(given: Any) -> Any:
    """A decision whose numbers are Python's own; anything else is left as it is."""
    with contextlib.suppress(TypeError):
        match given:
            case Start(until=until):
                return Start(operator.index(until))
            case Resume(trial=number, until=until):
                return Resume(operator.index(number), operator.index(until))
            case _:
                pass
    return given


def _fault(decision: object, history: History, *, may_start: bool) -> str:
    """Say why a decision cannot be carried out; empty if it can."""
    most = history.horizon
    match decision:
        case Start(until=int(until)):
            if not may_start:
                return "no other trial may be started now (`may_start` is False)"
            return "" if 0 < until <= most else f"`until` must be from 1 to {most} units"
        case Resume(trial=int(number), until=int(until)):
            if number not in history.paused():
                paused = ", ".join(map(str, history.paused()))
                return f"only a paused trial can be resumed (now: {paused or 'none'})"
            at = history.trials[number].at
            return "" if at < until <= most else f"`until` must be from {at + 1} to {most} units"
        case Stop(reason=str(reason)):
            return "" if reason else "a reason is needed"
        case _:
            return "it must return Start, Resume or Stop, with whole numbers, or a reason"
