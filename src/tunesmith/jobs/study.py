"""Export a search to other tools: `tunesmith export RUN --format optuna`."""

import os
import re
import shlex
from pathlib import Path

from tunesmith.core.errors import RunFolderError
from tunesmith.jobs.search.search import FOLDER
from tunesmith.jobs.search.search_setup import remembered
from tunesmith.records.journal import read_history
from tunesmith.tuning.optuna_study import write_study
from tunesmith.tuning.recorded import recall

STUDY = "optuna.db"
PLAIN = re.compile(r"[\w./-]+")  # paths that neither shells nor addresses of databases change


def export_study(run: Path) -> Path:
    """Export a run's search as an Optuna study, into the run folder.

    Returns:
        Path of the database, for ``optuna-dashboard sqlite:///...``.

    Raises:
        RunFolderError: The folder holds no search, or it is damaged or cannot be written.
        MissingExtraError: Optuna is not installed.
    """
    folder = run / FOLDER if os.path.isdir(run / FOLDER) else run  # noqa: PTH112 (pathlib's raises)
    found = remembered(folder)
    if found is None:
        raise RunFolderError(
            f"{run} holds no search. Pass the folder of a `tunesmith tune`, or of a `fit` that "
            "searched (--trials 20, or a longer budget)."
        )
    space, horizon, sign = found
    history = recall(read_history(folder), horizon=horizon, sign=sign, is_timed=True)
    path = run / STUDY
    write_study(path, run.resolve().name, space, history, sign=sign)
    return path


def command_to_look(path: Path) -> str:
    """Return the command that shows an exported study.

    Example:
        >>> command_to_look(Path("runs/a?b/optuna.db"))
        "cd 'runs/a?b' && optuna-dashboard sqlite:///optuna.db"

    """
    if PLAIN.fullmatch(str(path)):
        return f"optuna-dashboard sqlite:///{path}"
    return f"cd {shlex.quote(str(path.parent))} && optuna-dashboard sqlite:///{path.name}"
