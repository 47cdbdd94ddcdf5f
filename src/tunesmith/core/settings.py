"""User settings of a job: frozen pydantic models that refuse unknown keys."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from tunesmith.core.errors import SettingsError
from tunesmith.core.files import expanded
from tunesmith.core.words import nearest

AUTO = "auto"  # model: a race of several; workers: measure which number is fastest
PAIRS = {"--columns": "path=file,label=species", "--limit": "latency_ms=5,size_mb=4"}
LONGEST = 366 * 86400  # seconds of a budget; more is a slip of the pen
NUMBER = r"(\d+(?:\.\d+)?)\s*"
UNITS = {"d": 86400, "h": 3600, "m(?:in)?": 60, "s": 1}  # seconds of each, in a span's order
SPAN = re.compile("".join(rf"(?:{NUMBER}{unit}\s*)?" for unit in UNITS))
T = TypeVar("T", bound=BaseModel)
Limit = Literal["latency_ms", "size_mb"]
LATENCY: Limit = "latency_ms"
SIZE: Limit = "size_mb"
SamplerName = Literal["auto", "gp", "tpe", "random", "optuna", "hyperopt"]
SchedulerName = Literal["auto", "freeze-thaw", "asha", "none"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Metric = Literal["accuracy", "balanced_accuracy", "log_loss", "macro_f1", "roc_auc"]


def seconds(text: str | float) -> float:
    """Parse a time span: a number of seconds, or numbers whose units fall, each named once.

    Raises:
        SettingsError: The text is not a time span, or one that is not between zero and a year.

    Example:
        >>> seconds("90"), seconds("1.5m"), seconds("1h30m")
        (90.0, 90.0, 5400.0)

    """
    given = str(text).strip().lower()
    found = SPAN.fullmatch(f"{given}s" if re.fullmatch(NUMBER, given) else given)
    if not given or not found:
        meant = " or ".join(f"{given}{unit}" for unit in "hms" if SPAN.fullmatch(given + unit))
        raise SettingsError(
            "A budget is a time span in d, h, m and s, in this order, such as 10m or 1h30m, or a "
            f"number of seconds, but got {text!r}.{f' Write {meant}.' if meant else ''}"
        )
    total = sum(float(n) * unit for n, unit in zip(found.groups("0"), UNITS.values(), strict=True))
    if not 0 < total <= LONGEST:
        raise SettingsError(f"A budget must be longer than zero, up to a year, but got {text!r}.")
    return total


def pairs(option: str, given: str | Sequence[str] | None) -> dict[str, str] | None:
    """Read ``use=NAME,use=NAME``, or several of these.

    Raises:
        SettingsError: A part is no such pair.
    """
    if not given:
        return None
    texts = [given] if isinstance(given, str) else given
    parts = [part.partition("=") for text in texts for part in text.split(",")]
    if wrong := [use for use, equals, name in parts if not (use and equals and name)]:
        msg = f"{option} is a list such as {PAIRS[option]}, but got {wrong[0]!r} in it."
        raise SettingsError(msg)
    return {use.strip(): name.strip() for use, _, name in parts}


def processes(value: object) -> object:
    """Check a number of processes; None stands for ``auto``.

    Raises:
        SettingsError: It is no such number.
    """
    if value is None or value == AUTO:
        return None
    if not re.fullmatch(r"[1-9]\d*", str(value)):
        raise SettingsError(
            f"It must be `auto` or a number of processes from 1, but got {value!r}."
        )
    return value


Workers = Annotated[
    Annotated[int, Field(ge=1)] | None,
    BeforeValidator(processes),
]
Place = Annotated[Path, AfterValidator(expanded)]


class Settings(BaseModel):
    """User settings of a job; the plan decides what they leave open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: Annotated[float, BeforeValidator(seconds)] = 600.0
    """Seconds from process start to report written."""
    out: Place | None = None
    """The run's folder; by default ``runs/NAME``."""
    model: str = AUTO
    """``auto`` (a race), a model family, or ``file.py:function`` of a user-defined network."""
    metric: Metric = "accuracy"
    """Metric that models are ranked by."""
    device: Device = "auto"
    """Training device; ``auto`` takes CUDA, then MPS, then the CPU."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    columns: Mapping[str, str] = Field(default_factory=dict)
    """Names of a table's columns, by role: path, label, split, group."""
    on_suspects: Literal["keep", "quarantine"] = "keep"
    """Whether to train on images whose label a duplicate contradicts."""
    quarantine: Place | None = None
    """List of images to exclude, as written by ``tunesmith check``."""
    params: Mapping[str, Any] = Field(default_factory=dict)
    """Model hyperparameters that the plan must keep."""
    train: Mapping[str, Any] = Field(default_factory=dict)
    """Training hyperparameters that the plan must keep."""
    sampler: SamplerName = "auto"
    """Algorithm that chooses the hyperparameters of the next trial."""
    scheduler: SchedulerName = "auto"
    """Algorithm that chooses which trial is trained next."""
    trials: Annotated[int, Field(ge=0)] | None = None
    """Number of trials of the search; None lets the budget decide on it and on the search."""
    workers: Workers = None
    """Number of parallel search processes; None, or ``auto``, measures which is fastest."""
    limit: Mapping[Limit, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    """Limits on the exported graph: milliseconds for one image on all cores, megabytes."""

    @classmethod
    def make(cls, values: Mapping[str, Any]) -> Self:
        """Validate values and build settings from them.

        Raises:
            SettingsError: A key is unknown (the nearest one is named) or a value is wrong.
        """
        return checked(cls, values)

    @property
    def is_timeless(self) -> bool:
        """Whether nothing may depend on the clock: with a number of trials to search.

        Not with 0 trials: without a search, time ends the training.
        """
        return bool(self.trials)

    def identity(self) -> dict[str, Any]:
        """Settings that identify the job, whatever its time, folder, device and workers.

        The data set's identity covers the quarantine. Of the number of trials, only whether it is
        given counts: if it is, nothing depends on time.
        """
        places = {"budget", "out", "device", "quarantine", "workers"}
        given = self.model_dump(mode="json", exclude=places)
        return given | {"trials": self.trials and "a number"}


class TuneSettings(BaseModel):
    """User settings for tuning a function."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: Annotated[float, BeforeValidator(seconds)] | None = None
    """Seconds from process start to result; None if the number of trials is the only limit."""
    trials: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of trials; None for as many as time allows."""
    horizon: Annotated[int, Field(ge=1)] = 100
    """Number of units, such as epochs, of a full training."""
    out: Place | None = None
    """The run's folder; by default ``runs/NAME``."""
    sampler: SamplerName = "auto"
    scheduler: SchedulerName = "auto"
    workers: Workers = 1
    """Number of parallel processes, which share the cores; None, or ``auto``, measures it."""
    maximize: bool = False
    """Whether higher values are better."""
    trust_defaults: bool = False
    """Whether every second one of the first configs keeps most defaults."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    def identity(self) -> dict[str, Any]:
        """Settings that identify the search, whatever its time, trials, folder and workers."""
        return self.model_dump(mode="json", exclude={"budget", "trials", "out", "workers"})


def checked(kind: type[T], values: Mapping[str, Any]) -> T:
    """Validate ``values`` as a settings class, with errors a user can act on.

    Raises:
        SettingsError: A key or a choice is unknown (the nearest one is named), or a value is wrong.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"] if part != "[key]")
        if first["type"] == "extra_forbidden":
            known = _known_keys(kind, first["loc"][:-1])
            raise SettingsError(
                f"`{path}` is no setting.{nearest(str(first['loc'][-1]), known)} "
                f"The settings here are: {', '.join(known)}."
            ) from None
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, SettingsError):  # says itself what it got
            raise SettingsError(f"`{path}`: {cause}") from None
        options = re.findall("'([^']+)'", first.get("ctx", {}).get("expected", ""))
        meant = nearest(str(first["input"]), options)
        raise SettingsError(f"`{path}`: {first['msg']} (got {first['input']!r}).{meant}") from None


def _known_keys(kind: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for name in path:
        inner = kind.model_fields[str(name)].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            kind = inner
    return list(kind.model_fields)


def read_job_file(path: Path) -> dict[str, Any]:
    """Read settings from a TOML file.

    Raises:
        SettingsError: The file is missing or not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"There is no job file {path}. Check the path.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The job file {path} cannot be read as TOML: {error}.") from None


def take_test(values: dict[str, Any]) -> str | None:
    """Remove the test set's source from a job file's values, and return it; it is no setting.

    Raises:
        SettingsError: The value is not a string.
    """
    test = values.pop("test", None)
    if test is not None and not isinstance(test, str):
        raise SettingsError(
            f'`test` names a source of its own for the test, such as "held_out/", but got {test!r}.'
        )
    return test
