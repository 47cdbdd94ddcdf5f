"""Inspect a run folder: the result of a finished run, or the progress of another one."""

import contextlib
import json
from pathlib import Path
from typing import Any

from tunesmith.bundle.manifest import BUNDLE
from tunesmith.core.errors import RunFolderError
from tunesmith.core.words import counted, duration
from tunesmith.jobs.search.search_setup import REMEMBERED
from tunesmith.jobs.search.tune_report import REPORT
from tunesmith.jobs.search.tune_result import RESULT, TRIALS, Tuned
from tunesmith.records.history import History
from tunesmith.records.journal import read_history
from tunesmith.report.sentences import ENDED, told
from tunesmith.report.summary import read_summary
from tunesmith.tuning.folders import at_unit
from tunesmith.tuning.parts import Part
from tunesmith.tuning.recorded import none_trained


def look(run: Path) -> str:
    """Summarize a run folder in a few lines.

    Raises:
        RunFolderError: The folder holds no run, or its result is damaged.
    """
    history = read_history(run)
    is_search = (run / REMEMBERED).is_file()  # the search of a `fit` is in a subfolder
    told = _found if is_search else _fitted
    if history.granted is not None and history.granted is history.sessions[-1]:
        return told(run)
    trained = _units(history) if is_search else _examples(history)
    unfinished = _stopped(history) or (
        f"{run} is not finished: {duration(history.elapsed)} so far; "
        f"{trained or 'no training yet'}. The command that began it goes on with it."
    )
    if history.ended is not None:  # a later session extends a finished run
        with contextlib.suppress(RunFolderError):
            return f"{unfinished}\nBefore, it was {told(run)}"
    return unfinished


def _stopped(history: History) -> str:
    """Say which error ended a search; empty if none did."""
    if history.stopped is None:
        return ""
    then = "\nThe command that began it starts over." if none_trained(history) else ""
    return f"stopped: {history.stopped}{then}"


def _examples(history: History) -> str:
    return ", ".join(f"{name}: {trial.seen:,} examples" for name, trial in history.trials.items())


def _units(history: History) -> str:
    trials = history.trials.values()
    units = counted(sum(trial.seen for trial in trials), "unit")
    return f"{units} of training in {counted(len(trials), 'trial')}" if history.trials else ""


def _fitted(run: Path) -> str:
    """Summarize the result of a `fit`."""
    summary = read_summary(run / RESULT)
    times = "once" if summary.test_openings == 1 else f"{summary.test_openings} times"
    return (
        f"{summary.status}: {ENDED[summary.reason]}\n"
        f"{told(summary)}\n"
        f"test images opened {times}\n"
        f"report  {run / REPORT}\n"
        f"bundle  {run / BUNDLE}"
    )


def _found(run: Path) -> str:
    """Summarize the result of a `tune`."""
    path = run / RESULT
    try:
        values = json.loads(path.read_text("utf-8"))
        parts = {name: [Part(**part) for part in each] for name, each in values["parts"].items()}
        fields: dict[str, Any] = {**values, "folder": run, "parts": parts}
        # Not as written: the folder may have been moved since.
        fields["checkpoint"] = at_unit(run / TRIALS, values["number"], values["units"])
        fields["report"] = path.with_name(REPORT) if values.get("report") else None
        found = Tuned(**fields)
        return f"{found.status}\n{found.words()}"
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunFolderError(
            f"{path} is missing or damaged ({type(error).__name__}: {error}). Run the same "
            "`tunesmith tune` command again to write it anew."
        ) from None
