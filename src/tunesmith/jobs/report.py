"""Look at a run from outside: where its report is, or how far it has come."""

from pathlib import Path

from tunesmith.core.words import duration
from tunesmith.records.journal import read_history
from tunesmith.report.summary import read_summary


def look(run: Path) -> str:
    """Say in a few lines what a run's folder holds.

    Raises:
        RunFolderError: It holds no run.
    """
    history = read_history(run)
    if history.ended is None:
        trained = ", ".join(f"{n}: {t.seen:,} examples" for n, t in history.trials.items())
        return (
            f"{run} is not finished: {duration(history.elapsed)} so far; "
            f"{trained or 'no training yet'}. The command that began it goes on with it."
        )
    summary = read_summary(run / "result.json")
    score = summary.score
    times = "once" if summary.test_openings == 1 else f"{summary.test_openings} times"
    return (
        f"{summary.status}: {summary.reason}\n"
        f"{score.metric} {score.value:.4f}, 95 % confidence {score.low:.4f} to {score.high:.4f}, "
        f"on {score.n:,} test images (opened {times})\n"
        f"report  {run / 'report.html'}\n"
        f"bundle  {run / 'bundle'}"
    )
