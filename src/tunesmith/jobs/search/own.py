"""Samplers and schedulers that the user passes in place of names, and what they are called."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final, get_args

from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import SamplerName, SchedulerName
from tunesmith.tuning.own import OwnSampler, OwnScheduler

NAMES = {"sampler": get_args(SamplerName), "scheduler": get_args(SchedulerName)}
ADDRESS = re.compile(r"( at)? 0x[0-9a-fA-F]+")  # differs from process to process


@final
@dataclass(frozen=True, kw_only=True)
class Own:
    """What the user passes in place of names; None for what has a name."""

    sampler: OwnSampler | None = None
    scheduler: OwnScheduler | None = None

    @property
    def names(self) -> dict[str, str]:
        """What they are called, by the setting that they stand for."""
        both = {"sampler": self.sampler, "scheduler": self.scheduler}
        return {kind: own.name for kind, own in both.items() if own is not None}


NAMED = Own()


def apart(given: Mapping[str, Any]) -> tuple[dict[str, Any], Own]:
    """Tell a sampler and a scheduler of the user's own from the settings, which have names.

    Raises:
        SettingsError: It cannot be called, or is a class.
    """
    settings = {k: v for k, v in given.items() if k not in NAMES or isinstance(v, str)}
    own = {kind: v for kind, v in given.items() if kind not in settings}
    for kind, value in own.items():
        _check(kind, value)
    sampler, scheduler = own.get("sampler"), own.get("scheduler")
    return settings, Own(
        sampler=None if sampler is None else OwnSampler(name_of(sampler), sampler),
        scheduler=None if scheduler is None else OwnScheduler(name_of(scheduler), scheduler),
    )


def _check(kind: str, value: object) -> None:
    """Raise an error for what can be no sampler or scheduler."""
    if isinstance(value, type):
        raise SettingsError(
            f"`{kind}` must be an object, but got the class {value.__name__}. Pass an instance, "
            f"such as {value.__name__}()."
        )
    if not callable(value):
        raise SettingsError(
            f"`{kind}` must be one of {', '.join(NAMES[kind])}, or a {kind} of your own, which can "
            f"be called (`tunesmith.tuning.protocols` says how), but got {value!r}."
        )


def name_of(own: object) -> str:
    """Name a sampler or scheduler so that an equal one has the same name in another process.

    Example:
        >>> from tunesmith.tuning.tpe import TPE
        >>> name_of(TPE()).partition("(")[0], name_of(name_of)
        ('tunesmith.tuning.tpe.TPE', 'tunesmith.jobs.search.own.name_of')

    """
    named: Any = own if inspect.isroutine(own) or isinstance(own, type) else type(own)
    name, text = f"{named.__module__}.{named.__qualname__}", ADDRESS.sub("", repr(own))
    if text.startswith("<"):  # it says no more
        return name
    if text.startswith(name):
        return text
    is_same = text.startswith(named.__qualname__)
    return f"{named.__module__}.{text}" if is_same else f"{name}: {text}"
