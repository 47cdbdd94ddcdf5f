"""The definition of a search."""

from dataclasses import dataclass
from typing import final

from tunesmith.core.source import Code
from tunesmith.core.space import Config, Space
from tunesmith.tuning.fresh import new_config
from tunesmith.tuning.protocols import History, Sampler, Scheduler

# Limit of trial folders on any disk, so that one seed gives one search; and the number of largest
# ones that is always allowed, or large ones would be given up after their first slice.
DISK_BYTES, FOLDERS = 4e9, 8


@final
@dataclass(frozen=True, kw_only=True)
class Search:
    """Definition of a search.

    Attributes:
        function: Reference to the user's function; see `load_function`.
        code: Code that it must have wherever it runs; None to run whatever it has.
        space: Search space.
        horizon: Units of a full training.
        sign: 1 if values are to be minimized, -1 if maximized.
        sampler: Proposes configs; the first is the defaults.
        scheduler: Decides which trial trains next.
        block: Units per slice of a trial that must be finished.
        trials: Maximum number of trials; None for as many as there is time for.
        units: Limit of all trials' units of training together; None if time is the limit. With it,
            nothing depends on how long training takes, so that the same seed gives the same search.
        repeats: Whether it trains configs again that were tried. If not, one is only trained again
            if its space is large, and the sampler proposes nothing else.
        reserves_time_to_finish: Whether time is kept to train trial 0 and the best one to the end.
        ends_if_short: Whether a process that may have had too little memory ends the search with a
            `ShortError`, and no trial fails for that.
        disk_bytes: Limit of all trial folders together; see `superfluous`. If units are limited,
            `FOLDERS` of the largest are allowed in any case.
        method: Sampler and scheduler as the user knows them.
        seed: Random seed.
    """

    function: str
    space: Space
    horizon: int
    sign: int
    sampler: Sampler
    scheduler: Scheduler
    block: int
    trials: int | None
    units: int | None
    repeats: bool = False
    reserves_time_to_finish: bool = True
    ends_if_short: bool = False
    disk_bytes: float = DISK_BYTES
    method: str = ""
    code: Code | None = None
    seed: int


def proposed(search: Search, history: History) -> Config:
    """Config of the next trial."""
    if search.repeats:
        return search.sampler(search.space, history, seed=search.seed)
    return new_config(search.sampler, search.space, history, seed=search.seed)
