"""A run's folder: created once, reopened on resume, and never shared with another job."""

import errno
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RunFolderError
from tunesmith.core.files import replace_file
from tunesmith.records.history import History
from tunesmith.records.journal import FILE as JOURNAL
from tunesmith.records.journal import LOCK, Journal

IDENTITY = "job.json"
# Files, apart from the journal, of a process that is starting or was killed while starting.
BEGUN = {LOCK, f".{IDENTITY}.part"}
KINDS = {"data": "fit", "function": "tune"}  # by what the identity of no other kind has
MAY_DIFFER, STARTS_OVER = "may_differ", "starts_over"  # beside the identity; see `let_differ`
HANDED_OVER = ("bundle", "result.json")  # what a run leaves to its user
HASH, LONGEST = re.compile("[0-9a-f]{64}"), 200  # what an error quotes in part, in characters
FORMAT = 11  # increased whenever runs of the version before cannot be resumed


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's write errors into a message that says how to fix them.

    Raises:
        RunFolderError: There is no space, or no permission, or a file is where a folder should be.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise RunFolderError(
                f"There is no space left for {path}. Free some and run the same command again (it "
                "goes on where it was), or pass --out on another disk."
            ) from error
        if isinstance(error, FileExistsError | NotADirectoryError):
            for file in (each for each in (path, *path.parents) if each.is_file()):
                raise RunFolderError(
                    f"{file} is a file, and a folder is needed. Pass another --out."
                ) from error
        raise RunFolderError(
            f"{path} cannot be written: {error.strerror or error}. Pass an --out that you may "
            "write to."
        ) from error


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file atomically.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        replace_file(path, data)


def enter_run(
    path: Path, identity: Mapping[str, Any], differs: Mapping[str, str] | None = None
) -> Journal:
    """Create or reopen a run's folder, and lock it.

    The lock is taken before anything in the folder is read or changed, and held until the journal
    is closed. A run that ended before it trained or handed over anything (for example, because its
    settings were wrong) has nothing to lose, so the corrected command takes over its folder.

    Args:
        path: Folder of the run; parent folders are created.
        identity: JSON values that identify the job.
        differs: What to say if one of them differs, by its name; else both values are told.

    Returns:
        Journal of the run, which the caller closes.

    Raises:
        RunFolderError: The folder belongs to another job (each difference is named), is in use,
            holds no run, or cannot be written.
    """
    wanted = json.loads(json.dumps({"format": FORMAT, **identity}))
    with writing(path), ExitStack() as entered:
        path.mkdir(parents=True, exist_ok=True)
        _refuse_others(path)
        journal = entered.enter_context(Journal(path))
        _begin_or_resume(path, wanted, journal, differs or {})
        entered.pop_all()
    return journal


def _refuse_others(path: Path) -> None:
    """Refuse a folder that is not empty but holds no run; nothing is written to it."""
    there = sorted(p.name for p in path.iterdir())
    others = [name for name in there if name not in BEGUN and not name.startswith(JOURNAL)]
    if IDENTITY not in there and others:
        raise RunFolderError(
            f"{path} is not empty and holds no run (it has {', '.join(others[:3])}). Pass an "
            "--out that is empty or does not exist."
        )


def let_differ(path: Path, names: Sequence[str], *, starts_over: bool = False) -> None:
    """Let the next command that works in a folder differ from its job in a way, for once.

    Args:
        path: Folder of the run, locked by this process.
        names: Parts of the identity that may differ, as what was to be mended is among them.
        starts_over: Whether a command that differs in these alone starts over, as what was trained
            cannot go on; else it goes on.
    """
    marks = {MAY_DIFFER: list(names), STARTS_OVER: starts_over}
    _write_identity(path, {**_identity_in(path), **marks})


def _begin_or_resume(
    path: Path, wanted: Mapping[str, Any], journal: Journal, differs: Mapping[str, str]
) -> None:
    """Refuse the run of another job, or start over if that run has nothing to lose."""
    found = _identity_in(path)
    may_differ, starts_over = found.pop(MAY_DIFFER, None), found.pop(STARTS_OVER, False)
    differing = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    differences = [
        differs.get(key) or _difference(key, found.get(key), wanted.get(key))
        for key in differing
        if key not in (may_differ or ())
    ]
    is_worthless = not _has_something_to_lose(path, journal.history)
    if (differences and is_worthless) or (differing and not differences and starts_over):
        journal.forget()
        _write_identity(path, wanted)
        return
    if differences:
        raise RunFolderError(f"{path} {_another(found, wanted, differences)}")
    write_atomic(path / ".writable", b"")
    (path / ".writable").unlink(missing_ok=True)
    if may_differ is not None:
        _write_identity(path, wanted)


def _another(
    found: Mapping[str, Any], wanted: Mapping[str, Any], differences: Sequence[str]
) -> str:
    """Say whose a folder is if it is another job's."""
    if found.get("format") != FORMAT:
        return (
            "was begun by another version of Tunesmith, and this one cannot go on with it. Pass "
            "another --out. What is in its bundle/ still predicts."
        )
    there, here = (
        next((kind for key, kind in KINDS.items() if key in each), "") for each in (found, wanted)
    )
    if {there, here} == {*KINDS.values()}:
        return f"holds a {there}, and this is a {here}. Pass another --out."
    return (
        f"belongs to another job ({'; '.join(differences)}). Pass another --out, or the same data "
        "and settings as before."
    )


def _write_identity(path: Path, identity: Mapping[str, Any]) -> None:
    write_atomic(path / IDENTITY, json.dumps(identity, indent=2, ensure_ascii=False) + "\n")


def _has_something_to_lose(path: Path, history: History) -> bool:
    """Whether a run trained, tested or handed over a model, which need not have been trained."""
    has_trained = any(trial.slices for trial in history.trials.values())
    has_model = has_trained or history.test_openings > 0 or history.ended is not None
    return has_model or any((path / name).exists() for name in HANDED_OVER)


def _identity_in(path: Path) -> dict[str, Any]:
    """Read the identity of a folder's job; empty if there is none, as a kill prevented its writing.

    Raises:
        RunFolderError: It is damaged.
    """
    try:
        return {**json.loads((path / IDENTITY).read_text("utf-8"))}
    except FileNotFoundError:
        return {}
    except (TypeError, ValueError) as error:  # no object, no JSON, or not even text
        raise RunFolderError(
            f"{path / IDENTITY} is damaged: {error}. Pass another --out."
        ) from None


def _difference(name: str, there: Any, here: Any) -> str:
    """Describe how a part of two jobs' identities differs; of objects, each key that does.

    Example:
        >>> _difference("train", {"lr": 0.1, "batch": 64}, {"lr": 0.2, "batch": 64})
        'train.lr: 0.1 there, 0.2 here'

    """
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
        return "; ".join(
            _difference(f"{name}.{key}", there.get(key), here.get(key)) for key in keys
        )
    return f"{name}: {_short(there)} there, {_short(here)} here"


def _short(value: Any) -> str:
    if isinstance(value, str) and HASH.fullmatch(value):
        return f"{value[:12]}..."
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
