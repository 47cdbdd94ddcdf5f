"""Tests of `tunesmith.plan.extension`."""

import pytest

from tunesmith.core.settings import Settings
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan import Plan, extend
from tunesmith.training.config import TrainConfig

from .conftest import MACHINE

# A run of one minute on MNIST: 10,000 images/s, so that 222.4 s are enough for 40 epochs.
CHOSEN = Plan(
    size=(28, 28),
    params={"width": 8},
    train=TrainConfig(batch=512),
    threads=2,
    images_per_s=10_000.0,
    answers_per_s=12_912.0,  # one second for all that are asked in the end
    horizon=400_000,
    folds=0,
    train_s=40.0,
    passes=1,
    reread_s=0.0,
    reserve_s=6.0,
    finish_s=60.0,
    memory_bytes=1,
    disk_bytes=1,
    enough_s=None,
    reasons=("Width 8.",),
)
BEFORE_S = 3.5 + 7.0  # to decode the images again, and for what comes after the training


def more(mnist: Fingerprint, total_s: float, *, had_s: float = 40.0) -> Plan:
    """Extend the plan by so much time that ``total_s`` are for training, of which some are over."""
    spent = had_s + 10.0
    settings = Settings.make({"budget": total_s - had_s + spent + BEFORE_S})
    return extend(CHOSEN, mnist, MACHINE, settings, spent=spent, had_s=had_s)


def test_a_search_is_added_where_a_first_run_of_that_length_would_search(
    mnist: Fingerprint,
) -> None:
    short = more(mnist, 667.0)
    assert short.search is None
    assert short.reasons[0] == "Width 8."
    assert short.reasons[1].startswith(
        "By now, the budget is 11 min 28 s. No search for better settings: it pays from 11 min "
        "07 s of training, 3 times what the recipe needs, and there are 11 min 07 s."
    )
    enough = more(mnist, 668.0)
    assert enough.search is not None
    assert enough.reasons[1].startswith("By now, the budget is 11 min 28 s. There is 3.0 times the")
    assert enough.model_copy(update={"search": None, "reasons": CHOSEN.reasons}) == CHOSEN


def test_a_full_training_is_as_long_as_helps_and_no_longer_than_a_third(
    mnist: Fingerprint,
) -> None:
    search = more(mnist, 3600.0).search
    assert search is not None
    assert search.examples == pytest.approx(80 * 55_600, abs=1)
    assert (search.trials, search.workers) == (None, 2)
    search = more(mnist, 700.0).search
    assert search is not None
    assert search.examples == pytest.approx(10_000 * 700 / 3, abs=1)


def test_a_network_that_has_had_more_than_a_third_gets_no_search(mnist: Fingerprint) -> None:
    assert more(mnist, 3600.0, had_s=1200.0).search is not None
    late = more(mnist, 3600.0, had_s=1201.0)
    assert late.search is None
    assert "3 times what the recipe has had" in late.reasons[1]


def test_a_search_that_is_planned_stays(mnist: Fingerprint) -> None:
    searched = more(mnist, 3600.0)
    settings = Settings.make({"budget": "10h"})
    assert extend(searched, mnist, MACHINE, settings, spent=3600.0, had_s=1200.0) is searched
