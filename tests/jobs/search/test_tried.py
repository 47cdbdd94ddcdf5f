"""Tests of `tunesmith.jobs.search.tried`."""

import math

from tunesmith.core.space import Choice, Field, Float
from tunesmith.jobs.search.tried import describe
from tunesmith.report.story import SearchReport
from tunesmith.tuning.importance import importances
from tunesmith.tuning.parts import first_look
from tunesmith.tuning.protocols import History, Observation, Trial

SPACE = {"lr": Field(Float(0.0, 1.0), 0.5), "kind": Field(Choice("a", "b"), "a")}


def trial(lr: float, *values: float, failed: str | None = None, is_dropped: bool = False) -> Trial:
    curve = tuple(Observation(at=n, value=value) for n, value in enumerate(values, start=1))
    return Trial(config={"lr": lr, "kind": "a"}, curve=curve, failed=failed, is_dropped=is_dropped)


def described(*trials: Trial, sign: int = 1) -> SearchReport:
    history = History(horizon=2, trials=trials)
    given = {
        "metric": "value",
        "first": "the defaults",
        "importance": importances(SPACE, history, at=first_look(history)),
        "reasons": ["It is over."],
        "resumed": {1: (1,)},
    }
    return describe(SPACE, history, sign=sign, found=1, **given)  # type: ignore[arg-type]


def test_trials_are_described_the_best_first() -> None:
    trials = (
        trial(0.5, 0.3, 0.2),
        trial(0.123456, 0.2, 0.1),
        trial(0.2, math.nan, failed="It hung."),
        trial(0.3, 0.4, is_dropped=True),
        trial(0.4, 0.6),
    )
    found = described(*trials)
    assert [tried.number for tried in found.trials] == [1, 0, 3, 4, 2]
    states = ["finished, resumed 1 time", "finished", "given up", "paused", "failed: It hung."]
    assert [tried.state for tried in found.trials] == states
    assert [tried.resumed for tried in found.trials] == [[(0.5, 0.2)], [], [], [], []]
    assert found.trials[0].values == [("lr", "0.123")]
    assert found.trials[1].values == []
    assert found.compared_at == 0.5
    assert found.trials[0].curve == [(0.5, 0.2), (1.0, 0.1)]
    assert (found.first, found.reasons, found.importance) == ("the defaults", ["It is over."], {})


def test_values_have_the_sign_that_the_user_knows() -> None:
    trials = [trial(n / 20, -n / 20) for n in range(20)]
    found = described(*trials, sign=-1)
    assert found.trials[0].curve == [(0.5, 0.95)]
    assert list(found.importance) == ["lr"]
    (best,) = (stretch for stretch in found.stretches["lr"] if stretch.is_best)
    assert best.median == max(stretch.median for stretch in found.stretches["lr"])
    assert best.values == "0.75 to 0.95"
    assert list(found.stretches) == ["lr"]
