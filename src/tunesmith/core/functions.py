"""Names for user functions, by which other processes can import them."""

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from itertools import takewhile
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from tunesmith.core.errors import SettingsError

Function = Callable[..., Any]
USER_MODULE = "tunesmith_user_"
READ_UNTIL = "__tunesmith_read_until__"  # in a script's module: line at which importing it stopped
_reading: ContextVar[bool] = ContextVar("reading", default=False)


class _Reached(BaseException):
    """Stops the import of a script at the point where it would start work itself."""


def end_of_reading() -> None:
    """Mark where a script starts work that runs its own functions in other processes.

    A process that imports the script for such a function stops here: all that the function needs is
    defined above, and nothing is started twice. In any other process, this does nothing.
    """
    if _reading.get():
        raise _Reached


def reference(function: Function) -> str:
    """Name a function: ``package.module:name`` if it can be imported, else ``file.py:name``.

    Raises:
        SettingsError: The function is no plain one, is not at the top level of a module, or has no
            source file.

    Example:
        >>> reference(importlib.import_module)
        'importlib:import_module'

    """
    name = getattr(function, "__qualname__", "")
    if not name.isidentifier():
        raise SettingsError(
            "Other processes run the function, so it must be a plain one at the top of a file, but "
            f"got {name or function!r}. Define it with `def` outside of everything else."
        )
    _check_plain(function, name, str(function.__module__))
    module = sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None)
    if module is not None and file is not None and (place := _imported_as(module, file)):
        return f"{place}:{name}"
    if file is None or not Path(file).is_file():
        raise SettingsError(
            f"Other processes run `{name}`, so it must be in a file, but it was typed in. Write it "
            "to one (in a notebook: begin the cell with `%%writefile train.py`) and import it."
        )
    return f"{Path(file).resolve()}:{name}"


def _imported_as(module: ModuleType, file: str) -> str | None:
    """Name by which another process imports a module; None if that gives no or another file."""
    name = module.__name__
    if name == "__main__" and module.__spec__ is not None:
        name = module.__spec__.name  # as in `python -m NAME`
    if name == "__main__" or name.startswith(USER_MODULE):
        return None
    spec = importlib.util.find_spec(name)
    return name if spec is not None and spec.origin == file else None


def load_function(name: str) -> Function:
    """Import a function by the name that `reference` returned or the user typed.

    Raises:
        SettingsError: The file, module or function is missing, importing it raises, or it is no
            plain function.

    Example:
        >>> load_function("textwrap:shorten")("a  b", 9)
        'a b'

    """
    place, _, function_name = name.rpartition(":")
    if not place or not function_name.isidentifier():
        raise SettingsError(f"A function is named as file.py:function, but got {name!r}.")
    is_file = place.endswith(".py")
    module = _load_file(Path(place), function_name) if is_file else _load_module(place)
    function: object = getattr(module, function_name, None)
    if not callable(function):
        found = [n for n, value in vars(module).items() if inspect.isfunction(value)]
        raise SettingsError(
            f"{place} has no function `{function_name}`. It has: {', '.join(found) or 'none'}."
            f"{_unread(module, function_name)}"
        )
    _check_plain(function, function_name, place)
    return function


def _check_plain(function: Function, name: str, place: str) -> None:
    """Raise an error if a function is not made by `def`, decorators aside."""
    if not inspect.isfunction(inspect.unwrap(function)):
        raise SettingsError(
            f"`{name}` in {place} must be a plain function, but is of type "
            f"{type(function).__name__}. Write a `def` that calls it, and name that."
        )


def _unread(module: ModuleType, name: str) -> str:
    """Explain why a script may define a function that is not found; empty if it is no reason."""
    if (line := getattr(module, READ_UNTIL, None)) is None:
        return ""
    return (
        f" Of a script, other processes read only what is above its first call of `tune` or `fit` "
        f"(here in line {line}): define `{name}` above it."
    )


def reach(folder: Path) -> None:
    """Let imports find what lies in a folder, but last, so that it shadows no package."""
    if (path := str(folder)) not in sys.path:
        sys.path.append(path)


def located(function: str) -> str:
    """Make a function's reference valid in any folder; a module may lie in the working folder."""
    place, _, name = function.rpartition(":")
    if place.endswith(".py"):
        return f"{Path(place).resolve()}:{name}" if Path(place).is_file() else function
    if place not in sys.modules:
        reach(Path.cwd())
    return function


def _load_module(name: str) -> ModuleType:
    """Import a module by its name; one that is being imported stays as far as it is."""
    if (there := sys.modules.get(name)) is not None:
        if (line := _line_of(there, traceback.walk_stack(None))) is not None:
            vars(there).setdefault(READ_UNTIL, line)
        return there
    token = _reading.set(True)
    try:
        return _import_named(name)
    except Exception as error:
        raise SettingsError(
            f"The module {name} cannot be imported: {type(error).__name__}: {error}. A file is "
            "named with its ending, as in file.py:function."
        ) from error
    except _Reached:
        raise SettingsError(
            f"The module {name} cannot be imported: importing its package calls `tune` or `fit`. "
            "Make that call in a script of its own."
        ) from None
    finally:
        _reading.reset(token)


def _import_named(name: str) -> ModuleType:
    parent, _, child = name.rpartition(".")
    if parent:
        importlib.import_module(parent)
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None or spec.loader is None:
        return importlib.import_module(name)  # there already, a folder, or it says what is missing
    module = _read_module(spec)
    if parent:
        setattr(sys.modules[parent], child, module)
    return module


def _load_file(path: Path, function: str) -> ModuleType:
    """Import a file once, under a unique module name, so that its main guard does not run."""
    if not path.is_file():
        raise SettingsError(f"There is no file {path}. Check the path.")
    reach(path.resolve().parent)  # a script can import files next to it
    token = _reading.set(True)
    try:
        return import_file(path, bytes(path.resolve()))
    except Exception as error:
        where = "".join(f" (line {line})" for line in _lines(path, error)[-1:])
        is_relative = isinstance(error, ImportError) and "relative import" in str(error)
        way_out = (
            ". A file that imports from its own package is named as a module, from the folder "
            f"that holds the package: {_dotted(path)}:{function}"
        )
        raise SettingsError(
            f"{path} raised {type(error).__name__} when imported{where}: {error}"
            f"{way_out if is_relative else ''}"
        ) from error
    finally:
        _reading.reset(token)


def _dotted(path: Path) -> str:
    """Name of a file in a package as a module."""
    file = path.resolve()
    folders = [*takewhile(lambda folder: (folder / "__init__.py").is_file(), file.parents)]
    names = [folder.name for folder in folders or [file.parent]]
    return ".".join([*reversed(names), file.stem])


def _lines(path: Path, error: BaseException) -> list[int]:
    """Lines of a file that an error passed, from the top level inward."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f.lineno or 0 for f in frames if Path(f.filename) == path.absolute()]


def _line_of(module: ModuleType, frames: Iterable[tuple[FrameType, int]]) -> int | None:
    """Line at which a module's top level stands; None if it is not among the frames."""
    return next(
        (
            line
            for frame, line in frames
            if frame.f_globals is vars(module) and frame.f_code.co_name == "<module>"
        ),
        None,
    )


def import_file(path: Path, identity: bytes) -> ModuleType:
    """Import a Python file under a unique module name; only once, unless it raises.

    Args:
        path: File to import; its name ends with ``.py``.
        identity: Bytes that identify the file; equal bytes give the module imported before.
    """
    name = f"{USER_MODULE}{hashlib.sha256(identity).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    return _read_module(spec)


def _read_module(spec: ModuleSpec) -> ModuleType:
    """Import a module that was not imported yet; a script only until it would start the work."""
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except _Reached as reached:
        setattr(module, READ_UNTIL, _line_of(module, traceback.walk_tb(reached.__traceback__)))
    except BaseException:  # even for SystemExit: half a module must not be found later
        sys.modules.pop(spec.name, None)
        raise
    return sys.modules[spec.name]
