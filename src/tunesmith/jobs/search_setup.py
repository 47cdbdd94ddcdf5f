"""From what a user says of a search to what the tuner needs."""

import inspect
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.core.errors import SettingsError
from tunesmith.core.functions import Function
from tunesmith.core.optional import require
from tunesmith.core.settings import SamplerName, TuneSettings
from tunesmith.core.space import Choice, Field, Float, Int, Range, Space, check_space, space_of
from tunesmith.execution.machine import measure
from tunesmith.records.folder import write_atomic
from tunesmith.records.journal import Journal
from tunesmith.tuning.asha import ASHA, FULL
from tunesmith.tuning.cube import from_unit
from tunesmith.tuning.folders import size
from tunesmith.tuning.freeze_thaw import FreezeThaw
from tunesmith.tuning.hyperopt_sampler import HyperoptSampler
from tunesmith.tuning.optuna_sampler import OptunaSampler
from tunesmith.tuning.portfolio import Portfolio
from tunesmith.tuning.protocols import Sampler, Scheduler
from tunesmith.tuning.random_sampler import QuasiRandomSampler
from tunesmith.tuning.recorded import none_trained
from tunesmith.tuning.slice import config_class
from tunesmith.tuning.tpe import TPE
from tunesmith.tuning.tuner import DISK_BYTES, Search

BLOCK = 0.04  # of the horizon: a slice of a trial that must be finished
DISK_SHARE = 0.25  # of the disk that others leave free, that trials' folders may take
REMEMBERED = "search.json"  # in a search's folder
KINDS: dict[str, type[Int | Float]] = {"Int": Int, "Float": Float}
SAMPLERS: dict[str, Sampler] = {
    "auto": TPE(),
    "tpe": TPE(),
    "random": QuasiRandomSampler(),
    "optuna": OptunaSampler(gaussian=True),
    "hyperopt": HyperoptSampler(),
}
# Of samplers that need one: the package, and the extra that installs it.
PACKAGES = {
    "random": ("scipy", "train"),
    "optuna": ("optuna", "train"),
    "hyperopt": ("hyperopt", "hyperopt"),
}
SCHEDULERS: dict[str, Scheduler] = {
    "auto": FreezeThaw(block=BLOCK),
    "freeze-thaw": FreezeThaw(block=BLOCK),
    "asha": ASHA(block=BLOCK),
    "none": FULL,
}


def space_for(function: Function, given: Mapping[str, Range | Field] | None) -> Space:
    """The space that a user gave, or that the function's first parameter is annotated with.

    A range without a default of its own has its middle, on its scale; a choice its first option.

    Raises:
        SettingsError: There is none, or it makes no sense.
    """
    kind = config_class(function)
    if given is None and kind is None:
        first = next(iter(inspect.signature(function).parameters))
        raise SettingsError(
            f"The space of `{function.__name__}` is not known. Pass one, or annotate `{first}` "
            "with a dataclass of ranged fields, such as `lr: Annotated[float, Float(0, 1)] = 0.1`."
        )
    space = space_of(kind) if given is None and kind is not None else _fields(given or {})
    if not space:
        raise SettingsError("A space needs at least one field, but got none.")
    check_space(space)
    return space


def _fields(given: Mapping[str, Range | Field]) -> Space:
    fields = {}
    for name, value in given.items():
        match value:
            case Field():
                fields[name] = value
            case Choice():
                fields[name] = Field(value, value.options[0])
            case Int() | Float():
                fields[name] = Field(value, from_unit(value, 0.5))
            case _:
                raise SettingsError(
                    f"`{name}` needs a range (Int, Float or Choice) or a Field, but got {value!r}."
                )
    return fields


def sampler_named(name: SamplerName) -> Sampler:
    """The defaults first, and then what a sampler proposes.

    Raises:
        MissingExtraError: The sampler needs a package that is not installed.
    """
    if name in PACKAGES:
        package, extra = PACKAGES[name]
        require(package, extra=extra)
    return Portfolio([{}], then=SAMPLERS[name])


def search_for(settings: TuneSettings, function: str, space: Space) -> Search:
    """Everything that the tuner needs to know.

    Raises:
        MissingExtraError: The sampler needs a package that is not installed.
    """
    is_whole = settings.scheduler == "none"
    return Search(
        function=function,
        space=space,
        horizon=settings.horizon,
        sign=-1 if settings.maximize else 1,
        sampler=sampler_named(settings.sampler),
        scheduler=SCHEDULERS[settings.scheduler],
        block=settings.horizon if is_whole else max(1, round(BLOCK * settings.horizon)),
        trials=settings.trials,
        units=None if settings.budget else settings.horizon * (settings.trials or 1),
        seed=settings.seed,
    )


def disk_bytes(trials: Path, *, is_timed: bool) -> float:
    """Bytes that trials' folders may take: as many as the disk allows, where time decides anyway.

    What they hold counts as free, so that a search that goes on may take as much as before.

    Args:
        trials: Where these folders are, or will be; the search's own folder is there.
        is_timed: Whether time is the limit.
    """
    if not is_timed:
        return DISK_BYTES
    return DISK_SHARE * (measure(trials.parent).disk_free_bytes + size(trials))


def forget_failures(journal: Journal, trials: Path) -> None:
    """Begin anew where all trials failed before they had trained anything: that may be mended.

    Args:
        journal: Of the search.
        trials: Where the trials' folders are.
    """
    if none_trained(journal.history):
        journal.forget()
        shutil.rmtree(trials, ignore_errors=True)


def space_words(space: Space) -> dict[str, Any]:
    """A space as JSON values, to tell whether two are the same."""
    return {name: repr(field) for name, field in space.items()}


def remember(folder: Path, search: Search) -> None:
    """Write down what a search is in, so that its trials can be read without the code."""
    fields = {
        name: {"kind": type(f.range).__name__, "default": f.default, **asdict(f.range)}
        for name, f in search.space.items()
    }
    content = {"horizon": search.horizon, "sign": search.sign, "space": fields}
    write_atomic(folder / REMEMBERED, json.dumps(content, indent=2, default=repr) + "\n")


def remembered(folder: Path) -> tuple[Space, int, int] | None:
    """Undo `remember`: the space, the horizon and the sign; None where no search was."""
    path = folder / REMEMBERED
    if not path.is_file():
        return None
    found = json.loads(path.read_text("utf-8"))
    space = {}
    for name, values in found["space"].items():
        kind, default = values.pop("kind"), values.pop("default")
        range_ = Choice(*values["options"]) if kind == "Choice" else KINDS[kind](**values)
        space[name] = Field(range_, default)
    return space, found["horizon"], found["sign"]
