"""Search spaces, declared in annotations: ``width: Annotated[int, Int(8, 64)] = 32``."""

import inspect
import json
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from tunesmith.core.errors import SettingsError
from tunesmith.core.words import nearest


def _check_range(low: float, high: float, kind: type | tuple[type, ...], *, log: bool) -> None:
    if not all(isinstance(end, kind) and not isinstance(end, bool) for end in (low, high)):
        what = "integers (or use Float)" if kind is int else "numbers"
        raise SettingsError(f"`low` and `high` must be {what}, but got {low=}, {high=}.")
    try:
        is_range = math.isfinite(low) and math.isfinite(high) and low < high
    except OverflowError:  # of an integer, which may even have too many digits to be written
        raise SettingsError(
            "The ends of a range must lie within 1.8e308 of zero, but one is farther away. Search "
            "a part of it, or its logarithm."
        ) from None
    if not is_range:
        raise SettingsError(f"A range needs finite `low < high`, but got {low=}, {high=}.")
    if not math.isfinite(float(high) - float(low)):
        raise SettingsError(
            f"A range needs a finite `high - low`, but got {low=}, {high=}. Choose nearer ends."
        )
    if log and low <= 0:
        raise SettingsError(f"A logarithmic range needs `low > 0`, but got {low=}.")
    if float(low) == float(high) or (log and math.log(low) == math.log(high)):
        raise SettingsError(
            "The ends of a range (of a logarithmic one, their logarithms) must differ as 64-bit "
            f"floats, but got {low=}, {high=}. Search what is to be added to `low`."
        )


@final
@dataclass(frozen=True)
class Int:
    """Integers from ``low`` to ``high``, both included.

    Example:
        >>> Int(8, 64, log=True).holds(16), Int(8, 64).holds(65)
        (True, False)

    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, int, log=self.log)

    def holds(self, value: object) -> bool:
        """Whether the value lies in the range."""
        is_bool = isinstance(value, bool)  # Python counts these as integers
        return isinstance(value, int) and not is_bool and self.low <= value <= self.high


@final
@dataclass(frozen=True)
class Float:
    """Real numbers from ``low`` to ``high``, both included.

    Example:
        >>> Float(1e-4, 1.0, log=True).holds(0.1)
        True

    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, (int, float), log=self.log)

    def holds(self, value: object) -> bool:
        """Whether the value lies in the range."""
        is_bool = isinstance(value, bool)
        return isinstance(value, int | float) and not is_bool and self.low <= value <= self.high


def _is_kept_by_json(value: Any) -> bool:
    """Whether a value survives a round trip through JSON."""
    try:
        found = json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return False
    return type(found) is type(value) and bool(found == value)


@final
@dataclass(frozen=True, init=False)
class Choice:
    """One of a few values.

    Example:
        >>> Choice("relu", "gelu"), Choice("relu", "gelu").holds("gelu")
        (Choice('relu', 'gelu'), True)

    """

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        if len(options) < 2:  # noqa: PLR2004 (a choice is between two things)
            raise SettingsError(f"A choice needs at least two options, but got {options=}.")
        for place, option in enumerate(options):
            if not _is_kept_by_json(option):
                raise SettingsError(
                    "Options of a choice are kept in a journal, so they must be numbers, words, "
                    f"True, False, None, or lists of these, but got {option!r}. Choose between "
                    "names, and look up in your function what they stand for."
                )
            if option in options[:place]:
                raise SettingsError(
                    f"Options of a choice must differ, but {option!r} equals one before it, in "
                    f"{options=}. Leave it out."
                )
        object.__setattr__(self, "options", options)

    def __repr__(self) -> str:
        return f"Choice({', '.join(map(repr, self.options))})"

    def holds(self, value: object) -> bool:
        """Whether the value is one of the options."""
        return value in self.options


Range = Int | Float | Choice


@final
@dataclass(frozen=True, init=False)
class When:
    """Condition: a field is active only for some values of another field.

    Example:
        >>> sgd = When("optimizer", "sgd")
        >>> sgd.holds({"optimizer": "sgd"}), sgd.holds({"optimizer": "adamw"}), sgd.holds({})
        (True, False, False)

    """

    field: str
    values: tuple[Any, ...]

    def __init__(self, field: str, *values: Any) -> None:
        if not values:
            raise SettingsError(f"A condition names the values of `{field}` it needs: give one.")
        object.__setattr__(self, "field", field)
        object.__setattr__(self, "values", values)

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether the configuration has the other field with one of the values."""
        return self.field in config and config[self.field] in self.values


@final
@dataclass(frozen=True)
class Field:
    """One hyperparameter of a search space.

    Attributes:
        range: Allowed values.
        default: Default value; ``...`` for the middle of the range, or the first option.
        when: Condition under which the field is active; None if it always is.
    """

    range: Range
    default: Any = ...
    when: When | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.range, Range):
            raise SettingsError(
                f"A field needs a range (Int, Float or Choice), but got {self.range!r}. Write, for "
                "example, `Field(Float(0, 1))`."
            )
        if not isinstance(self.when, When | None):
            raise SettingsError(
                f"`when` of a field must be a condition, but got {self.when!r}. Write, for "
                'example, `when=When("optimizer", "sgd")`.'
            )


Space = Mapping[str, Field]
Config = Mapping[str, Any]


def space_of(function: Callable[..., Any]) -> dict[str, Field]:
    """Read a search space from the annotated signature of a function or dataclass.

    Parameters without a range in their annotation do not belong to the space.

    Raises:
        SettingsError: A ranged parameter has no default, or one outside its range; or a condition
            does not refer to an earlier field.

    Example:
        >>> def build(*, width: typing.Annotated[int, Int(8, 64)] = 32): ...
        >>> space_of(build)["width"].range, space_of(build)["width"].default
        (Int(low=8, high=64, log=False), 32)

    """
    hints = typing.get_type_hints(function, include_extras=True)
    space = {}
    for name, parameter in inspect.signature(function).parameters.items():
        notes = getattr(hints.get(name), "__metadata__", ())
        ranges = [note for note in notes if isinstance(note, Int | Float | Choice)]
        if not ranges:
            continue
        default = parameter.default
        if default is parameter.empty:
            raise SettingsError(
                f"The default of `{name}` must lie in its range {ranges[0]}, but is missing."
            )
        conditions = [note for note in notes if isinstance(note, When)]
        space[name] = Field(ranges[0], default, conditions[0] if conditions else None)
    check_space(space)
    return space


def check_space(space: Space) -> None:
    """Check that defaults lie in their ranges, and that conditions can hold.

    Raises:
        SettingsError: A default lies outside its range, or a condition does not refer to an earlier
            field, or asks for a value that this field never has.
    """
    before: dict[str, Field] = {}
    for name, field in space.items():
        if not field.range.holds(field.default):
            raise SettingsError(
                f"The default of `{name}` must lie in its range {field.range}, but is "
                f"{field.default!r}."
            )
        if field.when:
            _check_condition(name, field.when, before)
        before[name] = field


def _check_condition(name: str, when: When, before: Space) -> None:
    """Check that a field's condition refers to a field before it, and can hold."""
    if when.field not in before:
        raise SettingsError(
            f"`{name}` depends on `{when.field}`, which is no field before it. Name one of: "
            f"{', '.join(before) or 'none'}."
        )
    range_ = before[when.field].range
    for value in when.values:
        if not range_.holds(value):
            raise SettingsError(
                f"`{name}` is active where `{when.field}` is {value!r}, but that must lie in "
                f"{range_}. Name a value that it can have."
            )


def complete(space: Space, values: Config) -> dict[str, Any]:
    """Give each active field its value: the one in ``values``, or its default.

    Example:
        >>> space = {
        ...     "optimizer": Field(Choice("sgd", "adamw"), "sgd"),
        ...     "momentum": Field(Float(0.0, 0.99), 0.9, When("optimizer", "sgd")),
        ... }
        >>> complete(space, {"optimizer": "adamw", "momentum": 0.5})
        {'optimizer': 'adamw'}
        >>> complete(space, {})
        {'optimizer': 'sgd', 'momentum': 0.9}

    """
    kept: dict[str, Any] = {}
    for name, field in space.items():
        if field.when is None or field.when.holds(kept):
            kept[name] = values.get(name, field.default)
    return kept


def check_values(space: Space, values: Config) -> None:
    """Check values against a search space.

    Raises:
        SettingsError: A name is not in the space, or a value not in its range.
    """
    for name, value in values.items():
        if name not in space:
            raise SettingsError(
                f"`{name}` is not a parameter of this model.{nearest(name, space)} "
                f"It has: {', '.join(space) or 'none'}."
            )
        if not (range_ := space[name].range).holds(value):
            meant = nearest(str(value), map(str, getattr(range_, "options", ())))
            raise SettingsError(f"`{name}` must lie in {range_}, but got {value!r}.{meant}")
