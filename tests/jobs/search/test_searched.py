"""Tests of `tunesmith.jobs.search.searched`; test_search.py holds those of whole runs."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.search import searched
from tunesmith.plan import Plan
from tunesmith.tuning.protocols import History, Trial


@pytest.mark.parametrize(("source", "is_same"), [(None, True), ("network.py", False)])
def test_features_of_our_network_are_extracted_once_for_all_configs(
    monkeypatch: pytest.MonkeyPatch, source: str | None, *, is_same: bool
) -> None:
    monkeypatch.setattr(searched, "applied", lambda chosen, _config: chosen)
    monkeypatch.setattr(searched, "_at_its_pace", lambda found, *_: found)
    layer = SimpleNamespace(classifier="head", bias=True)
    family: Any = SimpleNamespace(name="deep", source=source, pretrained=layer)
    data: Any = SimpleNamespace(train=None)
    plans: Any = SimpleNamespace()
    planned = Candidate(prepared=data, family=family, chosen=plans)
    found = searched.Searched(
        space={},
        history=History(horizon=25, trials=(Trial(config={}), Trial(config={}))),
        names=(),
        finals=None,
        number=1,
        sign=1,
        resumed={},
        seconds=1.0,
        reason="",
        method="",
        noise=None,
    ).tuned(planned, budget=60.0)
    assert found is not None
    assert found.name == "deep 1"
    assert (found.heads is planned.heads) is is_same


def test_the_speed_of_what_is_found_is_estimated_from_its_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searched, "work", lambda width, _data: width**2)
    monkeypatch.setattr(Candidate, "untrained", lambda self, _data: self.chosen.params["width"])
    parts = {"test": 3000, "selection": 2000, "calibration": 2000, "train": 1000}
    split = SimpleNamespace(**{name: range(count) for name, count in parts.items()})
    prepared: Any = SimpleNamespace(split=split, train=None)
    family: Any = SimpleNamespace(name="convnet")
    speeds: dict[str, Any] = {"images_per_s": 1000.0, "answers_per_s": 3000.0, "passes": 6}
    plan = Plan.model_construct(params={"width": 8}, **speeds)
    planned = Candidate(prepared=prepared, family=family, chosen=plan)
    for width, budget, passes in ((8, 300, 6), (16, 300, 2), (32, 300, 1), (32, 3000, 3)):
        wide = plan.model_copy(update={"params": {"width": width}})
        found = searched._at_its_pace(replace(planned, chosen=wide), planned, budget).chosen
        assert found.images_per_s == 1000 * 64 / width**2
        assert found.answers_per_s == 3000 * 64 / width**2
        assert found.passes == passes
