"""Export a search to other tools: `tunesmith export RUN --format optuna`."""

from pathlib import Path

from tunesmith.core.errors import RunFolderError
from tunesmith.jobs.search.search import FOLDER
from tunesmith.jobs.search.search_setup import remembered
from tunesmith.records.journal import read_history
from tunesmith.tuning.optuna_study import write_study
from tunesmith.tuning.recorded import recall

STUDY = "optuna.db"


def export_study(run: Path) -> Path:
    """Export a run's search as an Optuna study, into the run folder.

    Returns:
        Path of the database, for ``optuna-dashboard sqlite:///...``.

    Raises:
        RunFolderError: The folder holds no search.
        MissingExtraError: Optuna is not installed.
    """
    folder = run / FOLDER if (run / FOLDER).is_dir() else run
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
