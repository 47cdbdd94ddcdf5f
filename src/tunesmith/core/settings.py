"""What a user may set for a job: one frozen value, unknown keys refused."""

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tunesmith.core.errors import SettingsError
from tunesmith.core.words import nearest

AUTO = "auto"  # of the model: let them race; of workers: measure how many are fastest
UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
T = TypeVar("T", bound=BaseModel)
Limit = Literal["latency_ms", "size_mb"]
LATENCY: Limit = "latency_ms"
SIZE: Limit = "size_mb"
SamplerName = Literal["auto", "tpe", "random", "optuna", "hyperopt"]
SchedulerName = Literal["auto", "freeze-thaw", "asha", "none"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Metric = Literal["accuracy", "balanced_accuracy", "log_loss", "macro_f1", "roc_auc"]


def seconds(text: str | float) -> float:
    """Read a time span.

    Raises:
        SettingsError: It is no time span, or not longer than zero.

    Example:
        >>> seconds("90"), seconds("1.5m"), seconds("1h30m")
        (90.0, 90.0, 5400.0)

    """
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(text).strip().lower())
    whole = re.fullmatch(r"(?:\d+(?:\.\d+)?\s*[a-z]*\s*)+", str(text).strip().lower())
    if not whole or any(unit and unit not in UNITS for _, unit in parts):
        raise SettingsError(f"A budget is a time span such as 60s, 10m or 1h30m, but got {text!r}.")
    total = sum(float(number) * UNITS[unit or "s"] for number, unit in parts)
    if not 0 < total < math.inf:
        raise SettingsError(f"A budget must be longer than zero, but got {text!r}.")
    return total


Workers = Annotated[
    Annotated[int, Field(ge=1)] | None,
    BeforeValidator(lambda value: None if value == AUTO else value),
]


class Settings(BaseModel):
    """What the user decided; what is left open, the plan decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: Annotated[float, BeforeValidator(seconds)] = 600.0
    """Seconds from process start to report written."""
    out: Path | None = None
    """The run's folder; by default ``runs/NAME``."""
    model: str = AUTO
    """A race, a family, or ``file.py:function`` of the user's own."""
    metric: Metric = "accuracy"
    """What models are ranked by."""
    device: Device = "auto"
    """Where networks are trained; ``auto`` takes CUDA, then MPS, then the processor."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    columns: Mapping[str, str] = Field(default_factory=dict)
    """Names of a table's columns, by their use: path, label, split, group."""
    on_suspects: Literal["keep", "quarantine"] = "keep"
    """Whether images to learn from whose label a copy contradicts are kept."""
    quarantine: Path | None = None
    """A list of images to leave out, as ``tunesmith check`` writes it."""
    params: Mapping[str, Any] = Field(default_factory=dict)
    """Values of the model's parameters that the plan must keep."""
    train: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of the training's configuration that the plan must keep."""
    sampler: SamplerName = "auto"
    """Which settings a search tries next."""
    scheduler: SchedulerName = "auto"
    """Which of them a search trains next."""
    trials: Annotated[int, Field(ge=0)] | None = None
    """How many settings a search tries; None if time decides, and whether there is a search."""
    workers: Workers = None
    """Processes that search at the same time; None, or ``auto``, measures how many are fastest."""
    limit: Mapping[Limit, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    """What the exported graph may take: milliseconds for one image on all cores, megabytes."""

    @classmethod
    def make(cls, values: Mapping[str, Any]) -> Self:
        """Check values and make settings of them.

        Raises:
            SettingsError: A key is unknown (the nearest one is named) or a value is wrong.
        """
        return checked(cls, values)

    def identity(self) -> dict[str, Any]:
        """What makes this job another job than one with more time or another folder.

        What a quarantine leaves is part of the data's identity. Of the number of trials, only
        whether it is given: then nothing depends on time.
        """
        places = {"budget", "out", "device", "quarantine", "workers"}
        given = self.model_dump(mode="json", exclude=places)
        return given | {"trials": self.trials and "a number"}


class TuneSettings(BaseModel):
    """What the user decided about the tuning of a function."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: Annotated[float, BeforeValidator(seconds)] | None = None
    """Seconds from process start to result; None if the number of trials is the only limit."""
    trials: Annotated[int, Field(ge=1)] | None = None
    """How many there may be; None if as many as there is time for."""
    horizon: Annotated[int, Field(ge=1)] = 100
    """Units of a full training."""
    out: Path | None = None
    """The run's folder; by default ``runs/NAME``."""
    sampler: SamplerName = "auto"
    scheduler: SchedulerName = "auto"
    workers: Workers = 1
    """Processes that train at the same time; they share the cores. None, or ``auto``, measures."""
    maximize: bool = False
    """Whether higher values are better."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    def identity(self) -> dict[str, Any]:
        """What makes this search another one than with more time, trials or workers."""
        return self.model_dump(mode="json", exclude={"budget", "trials", "out", "workers"})


def checked(kind: type[T], values: Mapping[str, Any]) -> T:
    """Validate ``values`` as a settings class, with errors a user can act on.

    Raises:
        SettingsError: A key is unknown (the nearest one is named) or a value is wrong.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = _known_keys(kind, first["loc"][:-1])
            raise SettingsError(
                f"`{path}` is no setting.{nearest(str(first['loc'][-1]), known)} "
                f"The settings here are: {', '.join(known)}."
            ) from None
        cause = first.get("ctx", {}).get("error")
        reason = str(cause) if isinstance(cause, SettingsError) else first["msg"]
        raise SettingsError(f"`{path}`: {reason} (got {first['input']!r}).") from None


def _known_keys(kind: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for name in path:
        inner = kind.model_fields[str(name)].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            kind = inner
    return list(kind.model_fields)


def read_job_file(path: Path) -> dict[str, Any]:
    """Read settings from a TOML file.

    Raises:
        SettingsError: The file is missing or no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"There is no job file {path}. Check the path.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The job file {path} cannot be read as TOML: {error}.") from None


def take_test(values: dict[str, Any]) -> str | None:
    """Take the test part out of a job file's values: like the source, it is no setting.

    Raises:
        SettingsError: It is no text.
    """
    test = values.pop("test", None)
    if test is not None and not isinstance(test, str):
        raise SettingsError(
            f'`test` names a source of its own for the test, such as "held_out/", but got {test!r}.'
        )
    return test
