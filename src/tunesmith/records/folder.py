"""A run's folder: made once, gone back to, and never mixed with another job's."""

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tunesmith.core.errors import RunFolderError
from tunesmith.core.files import replace_file
from tunesmith.records.journal import FILE as JOURNAL
from tunesmith.records.journal import Journal

IDENTITY = "job.json"
FORMAT = 3  # one more wherever a run that was begun before cannot be gone on with


@final
@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """Where a run lies, and whether it was begun before."""

    path: Path
    resumed: bool


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into a sentence with a way out.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise RunFolderError(
                f"There is no space left for {path}. Free some and run the same command again (it "
                "goes on where it was), or pass --out on another disk."
            ) from error
        raise RunFolderError(
            f"{path} cannot be written: {error.strerror}. Pass an --out that you may write to."
        ) from error


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that, whatever happens, it is there whole or not at all.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        replace_file(path, data)


def open_run(path: Path, identity: Mapping[str, Any]) -> RunFolder:
    """Make a run's folder, or go back to it.

    A run that ended before it had trained anything (its settings, its network or its function were
    wrong, say) has nothing to lose: its folder is taken over by the mended command.

    Args:
        path: The folder; parents are made.
        identity: What makes this job this job, as JSON values.

    Raises:
        RunFolderError: It belongs to another job (each difference is named), is in use, is no
            run's folder, or cannot be written.
    """
    wanted = json.loads(json.dumps({"format": FORMAT, **identity}))
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        # What is left where the process was killed while it wrote the first file is no run yet.
        there = sorted(p.name for p in path.iterdir() if p.name != f".{IDENTITY}.part")
    if IDENTITY not in there:
        if there:
            raise RunFolderError(
                f"{path} is not empty and holds no run (it has {', '.join(there[:3])}). Pass an "
                "--out that is empty or does not exist."
            )
        return _begin(path, wanted)
    found = json.loads((path / IDENTITY).read_text("utf-8"))
    differences = [
        f"{key}: {_short(found.get(key))} there, {_short(wanted.get(key))} here"
        for key in {**found, **wanted}
        if found.get(key) != wanted.get(key)
    ]
    if differences and not _has_trained(path):
        for file in path.glob(f"{JOURNAL}*"):
            file.unlink()
        return _begin(path, wanted)
    if found.get("format") != FORMAT:
        raise RunFolderError(
            f"{path} was begun by another version of Tunesmith, and this one cannot go on with it. "
            "Pass another --out. What is in its bundle/ still predicts."
        )
    if differences:
        raise RunFolderError(
            f"{path} belongs to another job ({'; '.join(differences)}). Pass another --out, or the "
            "same data and settings as before."
        )
    write_atomic(path / ".writable", b"")
    (path / ".writable").unlink()
    return RunFolder(path=path, resumed=True)


def _begin(path: Path, identity: Mapping[str, Any]) -> RunFolder:
    write_atomic(path / IDENTITY, json.dumps(identity, indent=2, ensure_ascii=False) + "\n")
    return RunFolder(path=path, resumed=False)


def _has_trained(path: Path) -> bool:
    """Whether a run got as far as to train; none that another process is at is asked."""
    with Journal(path) as journal:
        return any(trial.slices for trial in journal.history.trials.values())


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 24 else f"{text[:20]}..."  # noqa: PLR2004 (a hash is told by its start)
