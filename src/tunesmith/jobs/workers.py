"""The processes that search, and how many: measured on the first trials, and then kept."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tunesmith.core.clock import Clock
from tunesmith.execution.machine import measure
from tunesmith.execution.processes import Processes
from tunesmith.records.events import WorkersChosen
from tunesmith.records.history import History
from tunesmith.records.journal import Journal
from tunesmith.tuning.rounds import Rounds
from tunesmith.tuning.tuner import Search, Tuner

LOG = "workers.log"  # what is printed in them


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

    As many trials as there could be processes are trained for a block each, by one process, one
    after the other; then for another block each, all at the same time. Each trial is compared with
    itself, and nothing of it is wasted. What was decided once, the journal keeps.

    Args:
        search: What is searched. Where all trials are counted and none is timed, one process
            searches: with two, chance would decide whose result comes first.
        most: Processes at most.
        tuner: Makes a tuner that runs a search in so many processes.
        journal: Of the search.
        clock: The same.

    Returns:
        How many. Where a trial is trained in one go, it cannot be compared with itself, and there
        are as many as may be; one, where time was over before all was measured.
    """
    if journal.history.workers is not None:
        return journal.history.workers.workers
    block = search.block
    if most == 1 or search.units is not None:
        return 1
    if 2 * block > search.horizon:
        return most
    for workers, until in ((1, block), (most, 2 * block)):
        tuner(replace(search, scheduler=Rounds(trials=most, until=until)), workers).run()
    chosen = compared(journal.history, most, block=block)
    if chosen is None:
        return 1
    journal.append(chosen, elapsed=clock.elapsed(), phases=clock.phases)
    return chosen.workers


def compared(past: History, most: int, *, block: int) -> WorkersChosen | None:
    """Compare the time of the first trials' first blocks, one by one, with that of the second.

    Returns:
        None if too few trials were trained for both.
    """
    ends = [0, block, 2 * block]
    both = [
        trial.slices[:2]
        for trial in past.trials.values()
        if trial.ended is None and [0, *(done.end for done in trial.slices[:2])] == ends
    ][:most]
    if len(both) < most:
        return None
    one_s = sum(first.seconds for first, _ in both)
    all_s = max(second.seconds for _, second in both)
    times = f"{one_s / max(all_s, 1e-9):.2f} times as fast as one that has all cores"
    return WorkersChosen(
        workers=most if all_s < one_s else 1,
        reason=f"{most} processes were {times}, measured on blocks of the first {most} trials.",
    )
