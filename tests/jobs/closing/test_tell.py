"""Tests of `tunesmith.jobs.closing.tell`; what it writes is tested in `tests/jobs/test_fit.py`."""

from types import SimpleNamespace
from typing import Any

import pytest

from tunesmith.jobs.closing import tell
from tunesmith.jobs.run.trial import fold_name
from tunesmith.records.events import SliceDone
from tunesmith.records.history import History, TrialHistory


def trained(seen: int) -> TrialHistory:
    done = SliceDone(trial="", begin=0, end=seen, seconds=1.0, checkpoint="", rows=())
    return TrialHistory(slices=(done,) if seen else ())


@pytest.mark.parametrize(
    ("final", "folds", "expected"),
    [(1000, [200, 300], 0.25), (1000, [], 1.0), (1000, [0, 0], 0.0), (0, [200], 1.0)],
)
def test_how_long_folds_were_trained_is_told_of_the_network_that_answers(
    final: int, folds: list[int], expected: float
) -> None:
    """Of one that answers with its last layer alone, what the journal's trial saw is not used."""
    trials = {"a": trained(1000), "b": trained(500), fold_name("b", 0): trained(50)}
    trials |= {fold_name("a", number): trained(seen) for number, seen in enumerate(folds)}
    checkpoint = SimpleNamespace(seen=final)
    fitted: Any = SimpleNamespace(
        members=[SimpleNamespace(name="a")], trained=SimpleNamespace(checkpoint=checkpoint)
    )
    assert tell._fold_share(History(trials=trials), fitted) == expected
