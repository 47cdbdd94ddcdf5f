"""Run a slice of a user's training function, and check what it returns.

``function(config, folder, start, until)`` trains from ``start`` to ``until`` units. It keeps in
``folder`` what it needs to resume. It returns the value at ``until``, or several values at even
steps from ``start`` to ``until``.
"""

import contextlib
import functools
import inspect
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.core.errors import CodeChangedError, SettingsError
from tunesmith.core.functions import Function, load_function
from tunesmith.core.source import Code, code_of, file_of
from tunesmith.core.space import space_of
from tunesmith.tuning.unread import mark, watching

RULE = "A slice returns a number, or a list of them at even steps"


def config_class(function: Function) -> type | None:
    """Return the class that a function's first parameter is annotated with; None for a dict.

    Raises:
        SettingsError: The function does not take a config, a folder, a start and an end, or its
            annotations cannot be read.
    """
    parameters = inspect.signature(function).parameters
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in parameters.values()]
    signature = inspect.Signature(bare)
    try:
        signature.bind(None, None, 0, 1)
    except TypeError:
        raise SettingsError(
            f"`{function.__name__}` must take (config, folder, start, until), but it takes "
            f"{signature}."
        ) from None
    with _read(function.__name__):
        hint = typing.get_type_hints(function).get(bare[0].name)
        if not inspect.isclass(hint) or issubclass(hint, Mapping) or not _has_signature(hint):
            return None
        return hint if space_of(hint) else None


def _has_signature(kind: type) -> bool:
    """Whether it is known what a class is made of, unlike of `int`."""
    try:
        inspect.signature(kind)
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def _read(name: str) -> Iterator[None]:
    """Raise a `SettingsError` for annotations that cannot be resolved when the program runs."""
    try:
        yield
    except (AttributeError, NameError, SyntaxError, TypeError) as error:
        raise SettingsError(
            f"The annotations of `{name}` and of its config tell what the space is, but reading "
            f"them raised {type(error).__name__}: {error}. Import what they name outside of "
            "`if TYPE_CHECKING:`."
        ) from error


def run_slice(
    function: str,
    config: Mapping[str, Any],
    folder: str,
    start: int,
    until: int,
    *,
    code: Mapping[str, str] | None = None,
) -> list[float]:
    """Call a user's function in a worker process, and check what it returns.

    Args:
        function: Reference to the function; see `load_function`.
        config: Config of the trial.
        folder: Folder of the trial.
        start: Units of training before the slice.
        until: Units of training after it.
        code: Fields of the `Code` that the function must have; None to run whatever it has.

    Raises:
        CodeChangedError: The function has other code.
        SettingsError: The function cannot be called like that, or returns something else.
    """
    train = load_function(function)
    if code is not None:
        _check_code(function, Code(**code))
    kind = config_class(train)
    with watching(Path(folder)) as is_unread:
        answer = train(kind(**config) if kind else dict(config), Path(folder), start, until)
        values = as_values(answer, until - start)  # a generator trains only now
        if start:
            # If the disk is full, a doubt is lost, but the training counts.
            with contextlib.suppress(OSError):
                mark(Path(folder), is_unread=is_unread())
    return values


@functools.lru_cache(maxsize=1)  # a process goes on with what it has imported
def _check_code(function: str, wanted: Code) -> None:
    train, name = load_function(function), function.rpartition(":")[2]
    file = file_of(train, Path.cwd())
    if not code_of(train, name, file).is_same(wanted):
        raise CodeChangedError(
            f"The code in {file} that `{name}` needs was changed while its search ran; undo that "
            "to go on with it, or pass another --out."
        )


def as_values(answer: object, units: int) -> list[float]:
    """Convert a returned value to floats: a number or several, of Python, NumPy or torch.

    Raises:
        SettingsError: It is neither, or it is empty, or has more values than there are units.

    Example:
        >>> as_values(1, 4), as_values([0.5, 0.25], 4)
        ([1.0], [0.5, 0.25])

    """
    one = _number(answer)
    several = list(answer) if isinstance(answer, Iterable) and one is None else [answer]
    values = [value for value in map(_number, several) if value is not None]
    if (
        isinstance(answer, str | bytes | bytearray | Mapping)
        or not values
        or len(values) < len(several)
    ):
        raise SettingsError(f"{RULE}, but it returned {_short(answer)}.")
    if len(values) > units:
        raise SettingsError(
            f"{RULE}, at most one for each unit, but it returned {len(values)} for {units} units."
        )
    return values


def _number(answer: object) -> float | None:
    """Convert a number of any type to a float; None if it is no number."""
    if isinstance(answer, str | bytes | bool):
        return None
    try:
        return float(typing.cast("Any", answer))
    except (TypeError, ValueError):
        return None


def _short(answer: object) -> str:
    text = repr(answer)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 (as much as a line takes)
