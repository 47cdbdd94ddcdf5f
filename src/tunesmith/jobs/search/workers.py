"""Worker processes of a search, and how many: measured on the first trials, and then kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.core.clock import Clock
from tunesmith.core.words import counted
from tunesmith.execution.machine import measure
from tunesmith.execution.processes import Processes
from tunesmith.records.events import WorkersChosen
from tunesmith.records.history import History, TrialHistory
from tunesmith.records.journal import Journal
from tunesmith.tuning.failures import ShortError
from tunesmith.tuning.rounds import Rounds
from tunesmith.tuning.search import Search
from tunesmith.tuning.tuner import Tuner

LOG = "workers.log"  # output of the workers
ALONE, BLOCKS = 2, 4  # blocks of a trial: trained alone (the first is a warmup), and in all
LEAST_GAIN = 1.1  # required speedup of several processes over one, above the noise of measurement


def processes(workers: int, folder: Path, *, memory_share: float) -> Processes:
    """Create the worker processes of a search, which log to a file in its folder.

    Args:
        workers: Number of processes.
        folder: Folder of the search.
        memory_share: Share of the machine's memory, for all of them together.
    """
    memory = int(memory_share * measure(folder).memory_bytes / workers)
    return Processes(workers, memory_bytes=memory, log=folder / LOG)


def choose_workers(
    search: Search,
    most: int,
    tuner: Callable[[Search, int], Tuner],
    *,
    journal: Journal,
    clock: Clock,
    say: Callable[[str], None],
) -> int:
    """Decide between one process with all cores, and several that share them.

    As many new trials as there may be processes are trained for four blocks each: two by one
    process, one trial after the other, and two in parallel, by new processes. The first block of
    each pair is a warmup and does not count. Each trial is compared with itself, and no training is
    wasted. There are no more processes than trials to be started. If one of several may have had
    too little memory, since each has its part alone, one process searches: it has all, and the
    trials go on there.

    The user is told the decision, and the journal keeps it, unless time was over or the user
    interrupted the search before all was measured: then one process searches, and the next session
    measures anew.

    Args:
        search: Definition of the search. If it is limited by units and not by time, one process
            searches: with several, the order of their results would be random.
        most: Maximum number of processes.
        tuner: Makes a tuner for a search and a number of processes.
        journal: Journal of the search.
        clock: Clock of the search.
        say: Tells the user the decision.

    Returns:
        Number of processes: the maximum, if trials have too few blocks to be compared; one, if at
        most one trial may be started.
    """
    chosen = journal.history.workers
    if chosen is None:
        if search.trials is not None:
            most = min(most, search.trials - len(journal.history.trials))
        if most <= 1 or search.units is not None:
            return 1
        chosen = _measured(search, most, tuner, journal)
        if chosen is None:
            return 1
        journal.append(chosen, elapsed=clock.elapsed(), phases=clock.phases)
    say(chosen.reason)
    return chosen.workers


def chosen_workers(given: int | None, past: History) -> int:
    """Return the number of processes: the user's, the one that was measured, or one.

    Example:
        >>> chosen_workers(None, History()), chosen_workers(2, History())
        (1, 2)

    """
    return given or (past.workers.workers if past.workers else 1)


def _measured(
    search: Search, most: int, tuner: Callable[[Search, int], Tuner], journal: Journal
) -> WorkersChosen | None:
    """Train new trials, and compare; None if they did not get far enough, as time was over."""
    if BLOCKS * search.block > search.horizon:
        few = f"a trial is trained in fewer than {BLOCKS} blocks"
        return _chosen(most, f"that was not measured, since {few}")
    first, begun = len(journal.history.trials), list[TrialHistory]()
    for blocks in (ALONE, BLOCKS):
        # Of more processes than trials, one that had no warmup could train the last block.
        workers = max(1, len(_sound(begun)))
        rounds = Rounds(first=first, trials=most, block=search.block, until=blocks * search.block)
        what = replace(search, scheduler=rounds, ends_if_short=workers > 1)
        try:
            tuner(what, workers).run()
        except ShortError as error:
            why = str(error).rstrip(".")
            return _chosen(1, f"{workers} processes do not seem to have enough memory each ({why})")
        before, begun = len(begun), [*journal.history.trials.values()][first:]
    if not begun or any(trial.seen < BLOCKS * search.block for trial in _sound(begun)):
        return None
    # A late replacement of a failed trial was never trained alone.
    return compared(begun[:before], len(_sound(begun)), block=search.block)


def _sound(trials: Sequence[TrialHistory]) -> list[TrialHistory]:
    return [trial for trial in trials if trial.ended is None]


def compared(trials: Sequence[TrialHistory], most: int, *, block: int) -> WorkersChosen:
    """Compare the time of each trial's second block, trained alone, with that of its fourth.

    Args:
        trials: Trials whose last two blocks were trained in parallel, unless they failed.
        most: Number of trials that were trained in parallel; some may not be among these.
        block: Units of training per block.

    Returns:
        The decision; one process if there is nothing to compare.
    """
    ends = [block * number for number in range(1, BLOCKS + 1)]
    whole = [
        trial.slices for trial in _sound(trials) if [done.end for done in trial.slices] == ends
    ]
    if most <= 1 or not whole:
        return _chosen(1, f"too few new trials got through {BLOCKS} blocks to measure more")
    # The speedup is the sum of the trials' speeds in parallel, each relative to its speed alone.
    speeds = [alone.seconds / max(beside.seconds, 1e-9) for _, alone, _, beside in whole]
    gain = most * sum(speeds) / len(speeds)
    return _chosen(
        most if gain > LEAST_GAIN else 1,
        f"{most} processes were {gain:.2f} times as fast as one that has all cores, measured on "
        f"blocks of {counted(len(whole), 'new trial')}",
    )


def _chosen(workers: int, why: str) -> WorkersChosen:
    number = counted(workers, "process", "processes")
    return WorkersChosen(workers=workers, reason=f"`--workers auto` chose {number}: {why}.")
