"""Worker processes of a search, and how many: measured on the first trials, and then kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.core.clock import Clock
from tunesmith.execution.machine import measure
from tunesmith.execution.processes import Processes
from tunesmith.records.events import WorkersChosen
from tunesmith.records.history import History, TrialHistory
from tunesmith.records.journal import Journal
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
) -> int:
    """Decide between one process with all cores, and several that share them.

    As many new trials as there may be processes are trained for four blocks each: two by one
    process, one trial after the other, and two in parallel, by new processes. The first block of
    each pair is a warmup and does not count. Each trial is compared with itself, and no training is
    wasted. The journal keeps the decision. There are no more processes than trials to be started.

    Args:
        search: Definition of the search. If it is limited by units and not by time, one process
            searches: with several, the order of their results would be random.
        most: Maximum number of processes.
        tuner: Makes a tuner for a search and a number of processes.
        journal: Journal of the search.
        clock: Clock of the search.

    Returns:
        Number of processes: the maximum, if trials have too few blocks to be compared; one, if at
        most one trial may be started, or time was over before all was measured.
    """
    if journal.history.workers is not None:
        return journal.history.workers.workers
    if search.trials is not None:
        most = min(most, search.trials - len(journal.history.trials))
    if most <= 1 or search.units is not None:
        return 1
    chosen: WorkersChosen | None = WorkersChosen(
        workers=most,
        reason=f"not measured: a trial is trained in fewer than {BLOCKS} blocks.",
    )
    if BLOCKS * search.block <= search.horizon:
        chosen = _measured(search, most, tuner, journal)
    if chosen is None:
        return 1
    journal.append(chosen, elapsed=clock.elapsed(), phases=clock.phases)
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
    """Train new trials, and compare; None if too few of them got far enough."""
    first = before = len(journal.history.trials)
    for blocks, workers in ((ALONE, 1), (BLOCKS, most)):
        before = len(journal.history.trials)
        rounds = Rounds(first=first, trials=most, block=search.block, until=blocks * search.block)
        tuner(replace(search, scheduler=rounds), workers).run()
    # A late replacement of a failed trial was never trained alone.
    return compared([*journal.history.trials.values()][first:before], most, block=search.block)


def compared(trials: Sequence[TrialHistory], most: int, *, block: int) -> WorkersChosen | None:
    """Compare the time of each trial's second block, trained alone, with that of its fourth.

    Args:
        trials: Trials whose last two blocks were trained in parallel.
        most: Number of trials that were trained in parallel.
        block: Units of training per block.

    Returns:
        The decision; None if too few trials have these blocks.
    """
    ends = [block * number for number in range(1, BLOCKS + 1)]
    whole = [
        trial.slices
        for trial in trials
        if trial.ended is None and [done.end for done in trial.slices] == ends
    ]
    if len(whole) < most:
        return None
    # The speedup is the sum of the trials' speeds in parallel, each relative to its speed alone.
    gain = sum(alone.seconds / max(beside.seconds, 1e-9) for _, alone, _, beside in whole)
    times = f"{gain:.2f} times as fast as one that has all cores"
    return WorkersChosen(
        workers=most if gain > LEAST_GAIN else 1,
        reason=f"{most} processes were {times}, measured on blocks of {most} new trials.",
    )
