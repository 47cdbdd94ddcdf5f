"""Tests of `tunesmith.tuning.search`."""

import pytest

from tunesmith.core.space import Choice, Config, Field, Space
from tunesmith.tuning.asha import FULL
from tunesmith.tuning.protocols import History
from tunesmith.tuning.search import Search, proposed

SPACE: Space = {"kind": Field(Choice("a", "b"), "a")}


def always(space: Space, history: History, *, seed: int) -> Config:
    return {"kind": "a"}


@pytest.mark.parametrize(("repeats", "kind"), [(True, "a"), (False, "b")])
def test_configs_are_only_tried_again_where_that_is_what_is_searched(
    repeats: bool,
    kind: str,
) -> None:
    search = Search(
        function="train.py:train",
        space=SPACE,
        horizon=4,
        sign=1,
        sampler=always,
        scheduler=FULL,
        block=4,
        trials=None,
        units=None,
        repeats=repeats,
        seed=0,
    )
    history = History(horizon=4)
    assert proposed(search, history) == {"kind": "a"}
    assert proposed(search, history.started({"kind": "a"}, until=4)) == {"kind": kind}
