"""Import optional packages, with a clear error if one is missing."""

import importlib
from types import ModuleType

from tunesmith.core.errors import MissingExtraError


def install(extra: str = "") -> str:
    """Say how to install Tunesmith: from a clone, since no package index has it.

    Args:
        extra: Extra that is needed; empty for what predicting needs.

    Example:
        >>> print(install("train"))
        In your clone of Tunesmith, run: pip install ".[train]"

    """
    what = f'".[{extra}]"' if extra else "."
    return f"In your clone of Tunesmith, run: pip install {what}"


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: Module to import, such as ``"torch"``.
        extra: Tunesmith's extra that installs it.

    Raises:
        MissingExtraError: The package is not installed.

    Example:
        >>> require("json", extra="train").__name__
        'json'

    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"This needs the package `{error.name}`, which is not installed. {install(extra)}"
        ) from error
