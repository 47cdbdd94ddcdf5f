"""When the budget is large enough for a search, and how much of it the search gets."""

from typing import final

from pydantic import BaseModel, ConfigDict

from tunesmith.core.settings import LATENCY, Settings
from tunesmith.core.words import counted, duration
from tunesmith.execution.machine import Machine
from tunesmith.execution.processes import WORKERS_MOST
from tunesmith.plan.memory import CUDA_ROOM, cuda_bytes

NEEDED_SHARE = 0.5  # share of the most examples that help; the rest brings little
SEARCH_FROM = 3.0  # times what the recipe needs: enough for it, a search and the found config
SMALL = 0.01  # share of what is needed below which it is called less than that
FEWEST_VALIDATED = 500  # images that a trial is validated on, if there are so many
WORKER_BYTES = 1_500_000_000  # memory that a worker may need, however little the plan's training
UNITS = 25  # per full training; a slice of a search is one of them
UNITS_EACH = 5  # units of training per trial on average, if the number of trials is given
# Said where the threshold itself rises with the time, since that chooses the width.
WIDENS = (
    " In a new folder, more time may first go into a wider network, which needs longer itself: "
    "`--trials N` searches in any case, and `params.width` in a job file keeps the width."
)
ALONE = " One process searches, since the time of a graph is measured while nothing else trains."


@final
class SearchPlan(BaseModel):
    """Plan of a search for a better config, beside the plan's own training.

    Attributes:
        examples: Number of examples in a full training of the plan's network.
        trials: Maximum number of trials; None for as many as there is time for.
        workers: Maximum number of worker processes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: int
    trials: int | None
    workers: int

    @property
    def validated(self) -> int:
        """Maximum number of validation images of a slice: as many as it trains on, or a few."""
        return max(FEWEST_VALIDATED, self.examples // UNITS)


def plan_search(
    settings: Settings,
    *,
    needed: int,
    horizon: int,
    train_s: float,
    left_s: float,
    machine: Machine,
    training_bytes: int,
    had_s: float = 0.0,
    may_widen: bool = False,
) -> tuple[SearchPlan | None, str]:
    """Decide whether a search is worthwhile.

    The recipe's own training keeps its time, and so does that of the best config that is found.
    Each gets a third of the time, or what it takes until more does not help, if that is less; the
    search gets the rest. So the time must be three times what the recipe needs, and three times
    what it has had. If the user sets the number of trials, that decides.

    Args:
        settings: User settings.
        needed: Examples after which the recipe gains little.
        horizon: Number of examples that it would be trained on.
        train_s: Seconds that these take.
        left_s: Seconds for training: those left, and those that it has had.
        machine: Resources of the machine.
        training_bytes: Memory that the recipe's own training is expected to take.
        had_s: Seconds that it was trained for before this decision.
        may_widen: Whether a new run with more time may choose a wider network, so that the recipe
            needs more.

    Returns:
        The search (None if there is none), and the reason in words.
    """
    needed_s, verb = max((train_s * needed / max(1, horizon), "needs"), (had_s, "has had"))
    is_large = left_s >= SEARCH_FROM * needed_s
    is_off = settings.trials == 0
    if is_off or (settings.trials is None and not is_large):
        if is_off:
            return None, "No search for better settings, as you asked."
        return None, _untuned_words(needed_s, left_s, verb) + may_widen * WIDENS
    each_s = min(left_s / SEARCH_FROM, train_s)
    search = SearchPlan(
        examples=max(1, int(horizon * each_s / train_s)),
        trials=settings.trials,
        workers=_workers(settings, machine, training_bytes),
    )
    words = _search_words(search, needed_s, left_s, verb, search_s=left_s - 2 * each_s)
    return search, words + (ALONE if LATENCY in settings.limit else _at_most(search))


def given_workers(settings: Settings) -> int | None:
    """Number of search processes that the user set, or None; one if latency is limited.

    Further processes would slow down a graph whose latency is measured.
    """
    return 1 if LATENCY in settings.limit else settings.workers


def _workers(settings: Settings, machine: Machine, training_bytes: int) -> int:
    """Maximum number of workers; whether one with all cores is faster is measured later.

    The memory must hold the plan's training in each of them, and so must that of a CUDA device.
    """
    given = given_workers(settings)
    if given is not None:
        return given
    if settings.trials is not None:
        return 1  # the order in which several finish is random
    each = max(WORKER_BYTES, training_bytes)
    most = min(machine.cores, WORKERS_MOST, machine.memory_bytes // each)
    device = cuda_bytes(machine, settings)
    if device is not None:
        most = min(most, int(CUDA_ROOM * device) // each)
    return max(1, most)


def _untuned_words(needed_s: float, left_s: float, verb: str) -> str:
    return (
        f"No search for better settings: it pays from {duration(SEARCH_FROM * needed_s)} of "
        f"training, {SEARCH_FROM:.0f} times what the recipe {verb}, and there are "
        f"{duration(left_s)}."
    )


def _search_words(
    search: SearchPlan, needed_s: float, left_s: float, verb: str, *, search_s: float
) -> str:
    times = (
        f"{_times(left_s / max(1e-9, needed_s))} the {duration(needed_s)} that the recipe {verb}"
    )
    if search.trials is not None:
        most = "as you asked" if left_s >= needed_s else "as you asked, or as many as time allows"
        return (
            f"A search tries {counted(search.trials, 'setting')}, {most}. There is {times}; the "
            "recipe itself is trained too, and the best that is found beside it."
        )
    return (
        f"There is {times}, so {duration(search_s)} ({100 * search_s / left_s:.0f} %) go into a "
        "search for better settings. The recipe itself is trained too, and the best that is found "
        "beside it."
    )


def _times(ratio: float) -> str:
    """Write a multiple; a part of the whole is a share."""
    if ratio >= 1:
        return f"{ratio:.1f} times"
    return f"{100 * ratio:.0f} % of" if ratio >= SMALL else f"less than {100 * SMALL:.0f} % of"


def _at_most(search: SearchPlan) -> str:
    """State the maximum number of processes, unless the number of trials decides it."""
    if search.trials is not None:
        return ""
    return f" At most {search.workers} {'process' if search.workers == 1 else 'processes'} search."
