"""Tests of `tunesmith.plan.search`."""

from dataclasses import dataclass, replace
from typing import Any, final

import pytest

from tunesmith.core.settings import Settings
from tunesmith.plan.search import ALONE, WIDENS, SearchPlan, given_workers, plan_search

from .conftest import MACHINE

GIB = 2**30


@final
@dataclass(frozen=True, kw_only=True)
class Case:
    """A recipe that shows 80,000 examples in 80 s, and needs half of them."""

    left_s: float
    cores: int = 2
    memory_bytes: int = 8 * 10**9
    cuda_bytes: tuple[int, ...] = ()
    training_bytes: int = 10**9
    horizon: int = 80_000
    train_s: float = 80.0
    had_s: float = 0.0
    may_widen: bool = False


LARGE = Case(left_s=200.0, cores=64, memory_bytes=10**12)


def decide(case: Case, **settings: Any) -> tuple[SearchPlan | None, str]:
    return plan_search(
        Settings.make(settings),
        needed=40_000,
        horizon=case.horizon,
        train_s=case.train_s,
        left_s=case.left_s,
        machine=replace(
            MACHINE,
            cores=case.cores,
            memory_bytes=case.memory_bytes,
            cuda=("a device",) * len(case.cuda_bytes),
            cuda_bytes=case.cuda_bytes,
        ),
        training_bytes=case.training_bytes,
        had_s=case.had_s,
        may_widen=case.may_widen,
    )


def test_it_pays_from_three_times_what_the_recipe_needs() -> None:
    short, words = decide(Case(left_s=119.0))
    assert short is None
    assert words == (
        "No search for better settings: it pays from 2 min 00 s of training, 3 times what "
        "the recipe needs, and there are 1 min 59 s."
    )
    search, words = decide(Case(left_s=120.0))
    assert search == SearchPlan(examples=40_000, trials=None, workers=2)
    assert words.startswith(
        "There is 3.0 times the 40.0 s that the recipe needs, so 40.0 s (33 %) go into a search"
    )


def test_it_says_where_more_time_may_first_choose_a_wider_network() -> None:
    short = Case(left_s=119.0, may_widen=True)
    search, words = decide(short)
    assert search is None
    assert words.endswith("and there are 1 min 59 s." + WIDENS)
    assert "--trials N" in words
    assert "params.width" in words
    assert WIDENS not in decide(short, trials=0)[1]
    assert WIDENS not in decide(replace(short, left_s=120.0))[1]


def test_what_both_trainings_have_no_use_for_goes_into_the_search() -> None:
    search, words = decide(Case(left_s=800.0))
    assert search is not None
    assert search.examples == 80_000
    assert "so 10 min 40 s (80 %) go into a search" in words


def test_what_the_recipe_has_had_may_be_a_third_of_the_time_at_most() -> None:
    """Else there would be no time for a search and for a training as long as the recipe's."""
    search, words = decide(Case(left_s=299.0, had_s=100.0))
    assert search is None
    assert words == (
        "No search for better settings: it pays from 5 min 00 s of training, 3 times what "
        "the recipe has had, and there are 4 min 59 s."
    )
    search, words = decide(Case(left_s=300.0, had_s=100.0))
    assert search is not None
    assert words.startswith("There is 3.0 times the 1 min 40 s that the recipe has had, so ")
    assert decide(Case(left_s=300.0, had_s=30.0)) == decide(Case(left_s=300.0))


def test_a_short_budget_is_far_from_it() -> None:
    """The recipe shows 10,000 examples in the 10 s that there are, and would need 40 s."""
    assert decide(Case(left_s=10.0, horizon=10_000, train_s=10.0))[0] is None


def test_a_number_of_trials_decides() -> None:
    search, words = decide(Case(left_s=30.0, horizon=30_000, train_s=30.0), trials=7)
    assert search == SearchPlan(examples=10_000, trials=7, workers=1)
    assert words.startswith(
        "A search tries 7 settings, as you asked, or as many as time allows. There is 75 % of the "
        "40.0 s that the recipe needs;"
    )
    _, words = decide(Case(left_s=0.3), trials=1)
    assert "tries 1 setting, as you asked, or" in words
    assert "There is less than 1 % of the 40.0 s" in words
    _, words = decide(Case(left_s=60.0), trials=7)
    assert words.startswith(
        "A search tries 7 settings, as you asked. There is 1.5 times the 40.0 s"
    )
    search, words = decide(Case(left_s=800.0), trials=0)
    assert search is None
    assert words == "No search for better settings, as you asked."


@pytest.mark.parametrize(
    ("case", "settings", "workers"),
    [
        (Case(left_s=200.0, cores=64), {}, 5),  # as many as the memory holds
        (LARGE, {}, 8),
        (Case(left_s=200.0, memory_bytes=10**9), {}, 1),
        # As many as hold the plan's training, if that takes more than a worker usually does.
        (Case(left_s=200.0, cores=64, training_bytes=3 * 10**9), {}, 2),
        (Case(left_s=200.0, training_bytes=5 * 10**9), {}, 1),
        (Case(left_s=200.0, training_bytes=5 * 10**9), {"workers": 3}, 3),
        # Half of a device is for what they compute: as many as fit into that.
        (replace(LARGE, cuda_bytes=(24 * GIB,)), {}, 8),
        (replace(LARGE, cuda_bytes=(24 * GIB, 8 * GIB)), {}, 2),
        (replace(LARGE, cuda_bytes=(8 * GIB,), training_bytes=3 * 10**9), {}, 1),
        (replace(LARGE, cuda_bytes=(4 * GIB,)), {"workers": 3}, 3),
        (replace(LARGE, cuda_bytes=(4 * GIB,)), {"device": "cpu"}, 8),
        (LARGE, {"device": "cuda"}, 1),  # its memory is not known
        (Case(left_s=200.0), {"workers": 3}, 3),
        (Case(left_s=200.0), {"workers": 3, "trials": 5}, 3),
    ],
)
def test_how_many_processes_search(case: Case, settings: dict[str, Any], workers: int) -> None:
    search, words = decide(case, **settings)
    assert search is not None
    assert search.workers == workers
    if "trials" not in settings:
        assert words.endswith("processes search." if workers > 1 else "1 process search.")


@pytest.mark.parametrize("settings", [{}, {"workers": 3}, {"trials": 5, "workers": 3}])
def test_one_process_searches_where_the_time_of_a_graph_is_limited(
    settings: dict[str, Any],
) -> None:
    """Others would train meanwhile, and slow the graph that is measured."""
    search, words = decide(Case(left_s=200.0), limit={"latency_ms": 5}, **settings)
    assert search is not None
    assert search.workers == 1
    assert words.endswith(ALONE)
    assert given_workers(Settings.make({"limit": {"latency_ms": 5}, **settings})) == 1
    size = Settings.make({"limit": {"size_mb": 5}, **settings})
    assert given_workers(size) == settings.get("workers")
