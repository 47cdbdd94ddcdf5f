"""The space of a search, from what the user gave or annotated."""

import inspect
import reprlib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass, replace
from typing import Any

from tunesmith.core.errors import SettingsError
from tunesmith.core.functions import Function
from tunesmith.core.space import (
    Choice,
    Field,
    Float,
    Int,
    Range,
    Space,
    When,
    check_space,
    space_of,
)
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
    first = next(iter(inspect.signature(function).parameters))
    if given is None and inspect.isclass(hint := typing.get_type_hints(function).get(first)):
        _check_annotations(hint)
    if given is None and kind is None:
        raise SettingsError(
            f"The space of `{function.__name__}` is not known. Annotate `{first}` with a dataclass "
            "of ranged fields, such as `lr: Annotated[float, Float(0, 1)] = 0.1`; or, in Python, "
            'pass one: `tune(function, {"lr": Float(0, 1)})`. See docs/tuning.md.'
        )
    space = space_of(kind) if given is None and kind is not None else _fields(given or {})
    if not space:
        raise SettingsError("A space needs at least one field, but got none.")
    check_space(space)
    if kind is not None:
        _check_fits(kind, space)
    return space


def _check_annotations(kind: type) -> None:
    """Check that a config class has nothing that was meant as a range and would be ignored."""
    for name, found in _slips(kind):
        raise SettingsError(
            f"A field is searched if its type is annotated with a range, as in `{name}: "
            f"Annotated[float, Float(0, 1)] = 0.5`, but `{name}` has {found!r}. Write it like that."
        )
    for name in _ranged(kind, (kind,)):
        if "." in name:
            raise SettingsError(
                f"Only fields of `{kind.__name__}` itself are searched, but `{name}` has a range "
                f"within another dataclass. Move it to `{kind.__name__}`."
            )


def _slips(kind: type) -> Iterator[tuple[str, object]]:
    """Yield what was meant as the range of a field but is none, with the field's name."""
    for name, hint in _hints(kind).items():
        is_number = getattr(hint, "__origin__", None) in {int, float}
        for note in getattr(hint, "__metadata__", ()):
            if isinstance(note, Field) or _is_class(note) or (is_number and _is_pair(note)):
                yield name, note
        for found in (hint, getattr(kind, name, None)):  # in the place of its type, or its default
            if isinstance(found, Range | Field) or _is_class(found):
                yield name, found


def _is_class(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Int | Float | Choice | When | Field)


def _is_pair(found: object) -> bool:
    """Whether a value is two numbers, or a range of Python."""
    if not isinstance(found, tuple | list):
        return isinstance(found, range)
    return len(found) == 2 and {type(end) for end in found} <= {int, float}  # noqa: PLR2004 (low, high)


def _ranged(kind: type, above: tuple[type, ...]) -> Iterator[str]:
    """Yield the names of fields with a range; ``a.b`` is the field b of a dataclass in a."""
    for name, hint in _hints(kind).items():
        parts = typing.get_args(hint) or (hint,)
        if any(isinstance(part, Range) for part in parts):
            yield name
        for part in parts:
            if isinstance(part, type) and is_dataclass(part) and part not in above:
                yield from (f"{name}.{inner}" for inner in _ranged(part, (*above, part)))


def _hints(kind: type) -> Mapping[str, Any]:
    """Annotations of a class; none if they name what is not there, as a foreign class may."""
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except (AttributeError, NameError, SyntaxError, TypeError):
        return {}


def _check_fits(kind: type, space: Space) -> None:
    """Check that a config class takes the fields of a space; some values it may refuse."""
    always = [name for name, field in space.items() if field.when is None]
    try:
        for names in (space, always):
            inspect.signature(kind).bind(**dict.fromkeys(names))
    except TypeError as error:
        raise SettingsError(
            f"`{kind.__name__}` must be made of the fields that are searched "
            f"({', '.join(space)}), but: {error}. Give every other field of it a default, and "
            "search none that it does not have."
        ) from None


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
