"""When the budget is so large that a search pays, and what of it the search gets."""

from typing import final

from pydantic import BaseModel, ConfigDict

from tunesmith.core.settings import LATENCY, Settings
from tunesmith.core.words import duration
from tunesmith.execution.processes import WORKERS_MOST

NEEDED_SHARE = 0.5  # of the examples that help at most: the second half of them brings little
SEARCH_FROM = 3.0  # times what the recipe needs: then there is time for it, a search and the found
WORKER_BYTES = 1_500_000_000  # that one may need
UNITS = 25  # of a whole training, each of which is a slice of a search
UNITS_EACH = 5  # that each trial may train on average, where their number is given
ALONE = " One process searches, since the time of a graph is measured while nothing else trains."


@final
class SearchPlan(BaseModel):
    """A search for better settings than the plan's, beside the plan's own training.

    Attributes:
        examples: That a whole training of the plan's network sees.
        trials: Settings that may be tried; None for as many as there is time for.
        workers: Processes that train at the same time, at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: int
    trials: int | None
    workers: int


def plan_search(
    settings: Settings,
    *,
    needed: int,
    horizon: int,
    train_s: float,
    left_s: float,
    cores: int,
    memory_bytes: int,
) -> tuple[SearchPlan | None, str]:
    """Decide whether a search pays.

    The recipe's own training keeps its time, and so does that of the best settings that are found.
    Each gets a third of what there is, or what it takes until more would not help, if that is
    less; the search gets the rest. So there must be three times what the recipe needs. A user who
    says how many settings to try has decided it.

    Args:
        settings: What the user decided.
        needed: Examples after which the recipe gains little.
        horizon: Examples that it would be shown.
        train_s: Seconds that these take.
        left_s: That there are for training.
        cores: That this process may use.
        memory_bytes: The same.

    Returns:
        The search, None if there is none; and why, in words.
    """
    needed_s = train_s * needed / max(1, horizon)
    is_large = left_s >= SEARCH_FROM * needed_s
    is_off = settings.trials == 0
    if is_off or (settings.trials is None and not is_large):
        return None, _untuned_words(needed_s, left_s, is_off=is_off)
    each_s = min(left_s / SEARCH_FROM, train_s)
    search = SearchPlan(
        examples=max(1, int(horizon * each_s / train_s)),
        trials=settings.trials,
        workers=_workers(settings, cores=cores, memory_bytes=memory_bytes),
    )
    words = _search_words(search, needed_s, left_s, search_s=left_s - 2 * each_s)
    return search, words + (ALONE if LATENCY in settings.limit else _at_most(search))


def given_workers(settings: Settings) -> int | None:
    """Processes that search, as the user says; one where the time of graphs is limited.

    Others would slow the graph whose time is measured.
    """
    return 1 if LATENCY in settings.limit else settings.workers


def _workers(settings: Settings, *, cores: int, memory_bytes: int) -> int:
    """How many there may be; whether one with all cores is faster is measured as it searches."""
    given = given_workers(settings)
    if given is not None:
        return given
    if settings.trials is not None:
        return 1  # two would end in an order that chance decides
    return max(1, min(cores, WORKERS_MOST, memory_bytes // WORKER_BYTES))


def _untuned_words(needed_s: float, left_s: float, *, is_off: bool) -> str:
    if is_off:
        return "No search for better settings, as you asked."
    return (
        f"No search for better settings: it pays from {SEARCH_FROM:.0f} times what the recipe "
        f"needs ({duration(needed_s)} of training), and there are {duration(left_s)}."
    )


def _search_words(search: SearchPlan, needed_s: float, left_s: float, *, search_s: float) -> str:
    times = (
        f"{left_s / max(1e-9, needed_s):.1f} times the {duration(needed_s)} that the recipe needs"
    )
    if search.trials is not None:
        return (
            f"A search tries {search.trials} settings, as you asked. There is {times}; the recipe "
            "itself is trained too, and the best that is found beside it."
        )
    return (
        f"There is {times}, so {duration(search_s)} ({100 * search_s / left_s:.0f} %) go into a "
        "search for better settings. The recipe itself is trained too, and the best that is found "
        "beside it."
    )


def _at_most(search: SearchPlan) -> str:
    """How many processes there may be, where that is not decided by the number of trials."""
    if search.trials is not None:
        return ""
    return f" At most {search.workers} {'process' if search.workers == 1 else 'processes'} search."
