"""Train the defaults and the best config of a search again, to measure noise."""

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.core.space import Config
from tunesmith.execution.executor import Executor
from tunesmith.records.folder import writing
from tunesmith.records.history import History as Past
from tunesmith.records.journal import Journal
from tunesmith.tuning.protocols import History
from tunesmith.tuning.repeats import TIMES, Noise, comparable_at, noise_of, search_again
from tunesmith.tuning.search import Search
from tunesmith.tuning.tuner import Tuner

FOLDER, TRIALS = "repeats", "again"  # in a search's folder: journals, and trial folders


def train_again(
    search: Search,
    history: History,
    past: Past,
    best: int | None,
    seeds: Sequence[Config],
    *,
    folder: Path,
    executor: Executor,
    clock: Clock,
    interrupted: threading.Event,
) -> Noise | None:
    """Measure by how much values of equal configs differ; earlier measurements are kept.

    Args:
        search: Search that was run.
        history: History of the search.
        past: Journal history of the same trials, with their slices.
        best: Number of the trial that was chosen for being the best; None if none was.
        seeds: Fields to set in a config, for each time that it is trained again.
        folder: Folder of the search.
        executor: Executor of the trainings.
        clock: Clock with their deadline.
        interrupted: Event that ends them.

    Returns:
        The noise; None if there was no time, or nothing to train again.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    numbers = [0] if best is None else list(dict.fromkeys((0, best)))
    sound = [n for n in numbers if n < len(history.trials) and history.trials[n].failed is None]
    is_timed, workers = search.units is None, executor.workers
    at = comparable_at(history, past, sound, is_timed=is_timed, workers=workers)
    if not at or interrupted.is_set():
        return None
    assert len(seeds) == TIMES
    configs = [{**history.trials[number].config, **seed} for number in sound for seed in seeds]
    place = folder / FOLDER / "-".join(map(str, (*sound, at)))  # another best, another journal
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    with Journal(place) as journal:
        tuner = Tuner(
            search_again(search, configs, at=at),
            folder=folder / TRIALS,
            executor=executor,
            clock=clock,
            journal=journal,
            say=lambda _: None,  # these trials are of no interest to the user
            interrupted=interrupted,
        )
        try:
            tuner.run()
        except SettingsError:  # all of them failed, unlike those of the search
            return None
    shutil.rmtree(folder / TRIALS, ignore_errors=True)
    return noise_of(history, tuner.history, sound, chosen=best)
