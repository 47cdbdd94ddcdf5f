"""Set up a search: from user settings to what the tuner needs."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RunFolderError
from tunesmith.core.optional import require
from tunesmith.core.settings import AUTO, SamplerName, SchedulerName, TuneSettings
from tunesmith.core.space import Choice, Field, Float, Int, Space
from tunesmith.execution.machine import measure
from tunesmith.jobs.search.own import NAMED, Own
from tunesmith.records.events import TrialStarted
from tunesmith.records.folder import write_atomic
from tunesmith.records.journal import Journal
from tunesmith.tuning.asha import ASHA, FULL
from tunesmith.tuning.failures import failed_in_one_place
from tunesmith.tuning.folders import at_unit, forget_errors, size
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.gp import GP
from tunesmith.tuning.hyperopt_sampler import HyperoptSampler
from tunesmith.tuning.near import Near
from tunesmith.tuning.optuna_sampler import OptunaSampler
from tunesmith.tuning.portfolio import Portfolio
from tunesmith.tuning.protocols import Sampler, Scheduler
from tunesmith.tuning.random_sampler import QuasiRandomSampler
from tunesmith.tuning.recorded import none_trained
from tunesmith.tuning.search import DISK_BYTES, Search
from tunesmith.tuning.tpe import TPE

BLOCK = 0.04  # size of a slice of the default and the best trial, as a share of the horizon
DISK_SHARE = 0.25  # share of the free disk space that trial folders may take
REMEMBERED = "search.json"  # in a search's folder
KINDS: dict[str, type[Int | Float]] = {"Int": Int, "Float": Float}
AUTO_SAMPLER: SamplerName = "gp"
AUTO_SCHEDULER: SchedulerName = "freeze-thaw"
SAMPLERS: dict[str, Sampler] = {
    "gp": GP(),
    "tpe": TPE(),
    "random": QuasiRandomSampler(),
    "optuna": OptunaSampler(gaussian=True),
    "hyperopt": HyperoptSampler(),
}
SAMPLERS["auto"] = SAMPLERS[AUTO_SAMPLER]
# Samplers that need a package -> its name, and the extra that installs it.
PACKAGES = {
    "random": ("scipy", "train"),
    "optuna": ("optuna", "train"),
    "hyperopt": ("hyperopt", "hyperopt"),
}
SCHEDULERS: dict[str, Scheduler] = {
    "freeze-thaw": FreezeThaw(block=BLOCK),
    "asha": ASHA(block=BLOCK),
    "none": FULL,
}
SCHEDULERS["auto"] = SCHEDULERS[AUTO_SCHEDULER]


def sampler_named(name: SamplerName) -> Sampler:
    """Return a sampler by its name.

    Raises:
        MissingExtraError: The sampler needs a package that is not installed.
    """
    if name in PACKAGES:
        package, extra = PACKAGES[name]
        require(package, extra=extra)
    return SAMPLERS[name]


def method(sampler: str, scheduler: str) -> str:
    """Say which sampler and scheduler search, also where they are not chosen by name.

    Example:
        >>> method("auto", "asha")
        'sampler gp (auto), scheduler asha'

    """
    samples = f"{AUTO_SAMPLER} (auto)" if sampler == AUTO else sampler
    schedules = f"{AUTO_SCHEDULER} (auto)" if scheduler == AUTO else scheduler
    return f"sampler {samples}, scheduler {schedules}"


def search_for(settings: TuneSettings, function: str, space: Space, own: Own = NAMED) -> Search:
    """Build the definition of a search for the tuner.

    Args:
        settings: User settings.
        function: Reference to the function; see `load_function`.
        space: Search space.
        own: What the user passes in place of a sampler's or scheduler's name.

    Raises:
        MissingExtraError: The sampler needs a package that is not installed.
    """
    is_whole = settings.scheduler == "none"
    sampler = own.sampler or sampler_named(settings.sampler)
    names = {"sampler": settings.sampler, "scheduler": settings.scheduler, **own.names}
    return Search(
        function=function,
        space=space,
        horizon=settings.horizon,
        sign=-1 if settings.maximize else 1,
        sampler=Portfolio([{}], then=Near(sampler) if settings.trust_defaults else sampler),
        scheduler=own.scheduler or SCHEDULERS[settings.scheduler],
        block=settings.horizon if is_whole else max(1, round(BLOCK * settings.horizon)),
        trials=settings.trials,
        units=None if settings.budget else settings.horizon * (settings.trials or 1),
        method=method(**names),
        seed=settings.seed,
    )


def disk_bytes(trials: Path, *, is_timed: bool) -> float:
    """Return how many bytes trial folders may take: a share of the disk, if time is the limit.

    What they hold counts as free, so that a resumed search may take as much as before.

    Args:
        trials: Folder of the trial folders; the search's own folder must exist.
        is_timed: Whether time is the limit.
    """
    if not is_timed:
        return DISK_BYTES
    return DISK_SHARE * (measure(trials.parent).disk_free_bytes + size(trials))


def forget_failures(journal: Journal, trials: Path, *, is_over: bool = False) -> None:
    """Try again what failed for a common cause, since it may be mended by now.

    If all trials failed before any training, the search starts over. If all that had trained failed
    in one place, those go on whose last state is there.

    Args:
        journal: Journal of the search.
        trials: Folder of the trial folders.
        is_over: Whether there is no time to train further.
    """
    past = journal.history
    if none_trained(past):
        journal.forget()
        shutil.rmtree(trials, ignore_errors=True)
    if not past.trials:  # of the code before, if the search starts over with other code
        forget_errors(trials)
    for name in [] if is_over else failed_in_one_place(past):
        trial = past.trials[name]
        if os.path.isdir(at_unit(trials, int(name), trial.seen)):  # noqa: PTH112 (never raises)
            started = TrialStarted(trial=name, config=trial.config or {})
            journal.append(started, elapsed=past.elapsed)


def space_words(space: Space) -> dict[str, Any]:
    """Convert a space to JSON values, to compare it with another."""
    return {name: repr(field) for name, field in space.items()}


def differing(there: Space, here: Space) -> list[str]:
    """Describe in which fields two spaces differ, conditions aside.

    Example:
        >>> depth, width = Field(Int(1, 4), 2), Field(Int(8, 128, log=True), 32)
        >>> differing({"depth": depth, "width": width}, {"width": width})
        ['depth: 2 in Int(low=1, high=4, log=False) there, nothing here']

    """
    before, now = (
        {name: f"{field.default!r} in {field.range}" for name, field in space.items()}
        for space in (there, here)
    )
    return [
        f"{name}: {before.get(name, 'nothing')} there, {now.get(name, 'nothing')} here"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]


def remember(folder: Path, search: Search) -> None:
    """Store what defines a search, so that its trials can be read without the code."""
    content = {"horizon": search.horizon, "sign": search.sign, "space": as_json(search.space)}
    write_atomic(folder / REMEMBERED, json.dumps(content, indent=2, default=repr) + "\n")


def remembered(folder: Path) -> tuple[Space, int, int] | None:
    """Undo `remember`: return space, horizon and sign; None if there was no search.

    Raises:
        RunFolderError: The file is damaged.
    """
    path = folder / REMEMBERED
    if not os.path.isfile(path):  # noqa: PTH113 (pathlib's raises where no one may enter)
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
        return from_json(found["space"]), found["horizon"], found["sign"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunFolderError(
            f"{path} is damaged ({type(error).__name__}: {error}). The command that began the "
            "search writes it anew."
        ) from None


def as_json(space: Space) -> dict[str, dict[str, Any]]:
    """Convert a space to JSON values, conditions aside.

    Example:
        >>> space = {"depth": Field(Int(1, 4), 2), "pooling": Field(Choice("max", "mean"), "max")}
        >>> from_json(as_json(space)) == space
        True

    """
    return {
        name: {"kind": type(field.range).__name__, "default": field.default, **asdict(field.range)}
        for name, field in space.items()
    }


def from_json(given: Mapping[str, Mapping[str, Any]]) -> Space:
    """Undo `as_json`."""
    return {name: _field(values) for name, values in given.items()}


def _field(values: Mapping[str, Any]) -> Field:
    """Undo what `as_json` made of a field."""
    ends = {name: value for name, value in values.items() if name not in {"kind", "default"}}
    is_choice = values["kind"] == "Choice"
    range_ = Choice(*ends["options"]) if is_choice else KINDS[values["kind"]](**ends)
    return Field(range_, values["default"])
