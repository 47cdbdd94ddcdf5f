"""The space of a search, from what the user gave or annotated."""

import inspect
import reprlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tunesmith.core.errors import SettingsError
from tunesmith.core.functions import Function
from tunesmith.core.space import Choice, Field, Range, Space, check_space, space_of
from tunesmith.tuning.cube import from_unit
from tunesmith.tuning.slice import config_class


def space_for(function: Function, given: Mapping[str, Range | Field] | None) -> Space:
    """Return the space that the user gave, or that of the function's first annotated parameter.

    The default of a bare range is its middle, on its scale; that of a choice is its first option.

    Raises:
        SettingsError: There is no space, or it makes no sense.
    """
    if given is not None and not isinstance(given, Mapping):
        raise SettingsError(
            'A space is a dict of ranges by name, such as `{"lr": Float(0, 1)}`, but got '
            f"{reprlib.repr(given)}. A dataclass of ranged fields is not passed: annotate the "
            f"config of `{function.__name__}` with it."
        )
    kind = config_class(function)
    if given is None and kind is None:
        first = next(iter(inspect.signature(function).parameters))
        raise SettingsError(
            f"The space of `{function.__name__}` is not known. Annotate `{first}` with a dataclass "
            "of ranged fields, such as `lr: Annotated[float, Float(0, 1)] = 0.1`; or, in Python, "
            'pass one: `tune(function, {"lr": Float(0, 1)})`. See docs/tuning.md.'
        )
    space = space_of(kind) if given is None and kind is not None else _fields(given or {})
    if not space:
        raise SettingsError("A space needs at least one field, but got none.")
    check_space(space)
    return space


def _fields(given: Mapping[str, Range | Field]) -> Space:
    fields = {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise SettingsError(
                f"Names of fields are kept in a journal, so they must be strings, but got {name!r}."
                f" Write {str(name)!r}."
            )
        field = Field(value) if isinstance(value, Range) else value
        if not isinstance(field, Field):
            raise SettingsError(
                f"`{name}` needs a range (Int, Float or Choice) or a Field, but got {value!r}. "
                "Write, for example, `Float(0, 1)`."
            )
        is_open = field.default is ...
        fields[name] = replace(field, default=_middle(field.range)) if is_open else field
    return fields


def _middle(range_: Range) -> Any:
    return range_.options[0] if isinstance(range_, Choice) else from_unit(range_, 0.5)
