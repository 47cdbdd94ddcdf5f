"""A field and its search range are one line: ``width: Annotated[int, Int(8, 64)] = 32``."""

import inspect
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from tunesmith.core.errors import SettingsError
from tunesmith.core.words import nearest


def _check_range(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SettingsError(f"A range needs finite `low < high`, but got {low=}, {high=}.")
    if log and low <= 0:
        raise SettingsError(f"A logarithmic range needs `low > 0`, but got {low=}.")


@final
@dataclass(frozen=True)
class Int:
    """Whole numbers from ``low`` to ``high``, both included.

    Example:
        >>> Int(8, 64, log=True).holds(16), Int(8, 64).holds(65)
        (True, False)

    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)

    def holds(self, value: object) -> bool:
        """Whether the value lies in the range."""
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        )


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
        _check_range(self.low, self.high, log=self.log)

    def holds(self, value: object) -> bool:
        """Whether the value lies in the range."""
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        )


@final
@dataclass(frozen=True, init=False)
class Choice:
    """One of a few values.

    Example:
        >>> Choice("relu", "gelu").holds("gelu")
        True

    """

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        if len(options) < 2:  # noqa: PLR2004 (a choice is between two things)
            raise SettingsError(f"A choice needs at least two options, but got {options=}.")
        object.__setattr__(self, "options", options)

    def holds(self, value: object) -> bool:
        """Whether the value is one of the options."""
        return value in self.options


Range = Int | Float | Choice


@final
@dataclass(frozen=True)
class Field:
    """One dimension of a space: where it may lie, and where it lies unless somebody moves it."""

    range: Range
    default: Any


def space_of(function: Callable[..., Any]) -> dict[str, Field]:
    """Read a search space off the annotated signature of a function or dataclass.

    Parameters without a range in their annotation do not belong to the space.

    Raises:
        SettingsError: A ranged parameter has no default, or one outside its range.

    Example:
        >>> def build(*, width: typing.Annotated[int, Int(8, 64)] = 32): ...
        >>> space_of(build)
        {'width': Field(range=Int(low=8, high=64, log=False), default=32)}

    """
    hints = typing.get_type_hints(function, include_extras=True)
    space = {}
    for name, parameter in inspect.signature(function).parameters.items():
        ranges = [
            m
            for m in getattr(hints.get(name), "__metadata__", ())
            if isinstance(m, Int | Float | Choice)
        ]
        if not ranges:
            continue
        default = parameter.default
        if not ranges[0].holds(default):
            found = "is missing" if default is parameter.empty else f"is {default!r}"
            raise SettingsError(
                f"The default of `{name}` must lie in its range {ranges[0]}, but {found}."
            )
        space[name] = Field(range=ranges[0], default=default)
    return space


def check_values(space: Mapping[str, Field], values: Mapping[str, Any]) -> None:
    """Check chosen values against a space.

    Raises:
        SettingsError: A name is not in the space, or a value not in its range.
    """
    for name, value in values.items():
        if name not in space:
            raise SettingsError(
                f"`{name}` is not a parameter of this model.{nearest(name, space)} "
                f"It has: {', '.join(space) or 'none'}."
            )
        if not space[name].range.holds(value):
            raise SettingsError(f"`{name}` must lie in {space[name].range}, but got {value!r}.")
