"""The processes that search, and how many: measured on the first trials, and then kept."""

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
from tunesmith.tuning.tuner import Search, Tuner

LOG = "workers.log"  # what is printed in them
ALONE, BLOCKS = 2, 4  # of a trial: to warm up and alone, and as many beside the others
LEAST_GAIN = 1.1  # times as fast as one must several be: equal speeds are never measured as equal


def processes(workers: int, folder: Path, *, memory_share: float) -> Processes:
    """Make processes for a search in a folder, which print into a file there.

    Args:
        workers: How many.
        folder: The search's.
        memory_share: Of the machine's memory, for all of them together.
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

    As many new trials as there could be processes are trained for four blocks each: two by one
    process, one trial after the other, and two at the same time, by processes that are new. The
    first of either two counts for nothing, because what is done only once is done there. Each trial
    is compared with itself, and nothing of it is wasted. What was decided once, the journal keeps.

    Args:
        search: What is searched. Where all trials are counted and none is timed, one process
            searches: with two, chance would decide whose result comes first.
        most: Processes at most.
        tuner: Makes a tuner that runs a search in so many processes.
        journal: Of the search.
        clock: The same.

    Returns:
        How many. Where a trial has fewer blocks, it cannot be compared with itself, and there are
        as many as may be; one, where time was over before all was measured.
    """
    if journal.history.workers is not None:
        return journal.history.workers.workers
    if most == 1 or search.units is not None:
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
    """How many processes search: as the user says, as was decided, or one.

    Example:
        >>> chosen_workers(None, History()), chosen_workers(2, History())
        (1, 2)

    """
    return given or (past.workers.workers if past.workers else 1)


def _measured(
    search: Search, most: int, tuner: Callable[[Search, int], Tuner], journal: Journal
) -> WorkersChosen | None:
    """Train new trials, and compare; None if too few were trained as far."""
    first = before = len(journal.history.trials)
    for blocks, workers in ((ALONE, 1), (BLOCKS, most)):
        before = len(journal.history.trials)
        rounds = Rounds(first=first, trials=most, block=search.block, until=blocks * search.block)
        tuner(replace(search, scheduler=rounds), workers).run()
    # One that took the place of a trial that failed at last was never trained alone.
    return compared([*journal.history.trials.values()][first:before], most, block=search.block)


def compared(trials: Sequence[TrialHistory], most: int, *, block: int) -> WorkersChosen | None:
    """Compare the time of each trial's second block, trained alone, with that of its fourth.

    Args:
        trials: Whose last two blocks were trained beside the others'.
        most: How many were trained at the same time.
        block: Units of a block.

    Returns:
        None if there are fewer with these blocks.
    """
    ends = [block * number for number in range(1, BLOCKS + 1)]
    whole = [
        trial.slices
        for trial in trials
        if trial.ended is None and [done.end for done in trial.slices] == ends
    ]
    if len(whole) < most:
        return None
    # Each trains so much more slowly than alone; all together do the work of so many alone.
    gain = sum(alone.seconds / max(beside.seconds, 1e-9) for _, alone, _, beside in whole)
    times = f"{gain:.2f} times as fast as one that has all cores"
    return WorkersChosen(
        workers=most if gain > LEAST_GAIN else 1,
        reason=f"{most} processes were {times}, measured on blocks of {most} new trials.",
    )
