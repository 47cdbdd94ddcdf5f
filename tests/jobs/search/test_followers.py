"""Tests of `tunesmith.jobs.search.followers`."""

import pytest

from tunesmith.core.space import Choice, Field, Float, Int, check_values
from tunesmith.jobs.search import followers as module
from tunesmith.jobs.search.followers import FOLLOWERS, absolute, followers
from tunesmith.jobs.search.space import FIXED, OPTIMIZER, declared
from tunesmith.models.build import find_family

SPACE = {
    "params.width": Field(Int(8, 128, log=True), 24),
    "params.depth": Field(Int(1, 4), 2),
    "params.head": Field(Choice("max", "both"), "max"),
    "train.lr": Field(Float(0.01, 0.64, log=True), 0.08),
    "train.momentum": Field(Float(0.0, 0.99), 0.8),
}


def test_what_is_relative_is_multiplied_and_stays_in_its_range() -> None:
    found = absolute(SPACE, {"params.width": 1.5, "train.lr": 0.01, "train.momentum": 0.5})
    assert found == {
        "params.width": 36,
        "params.depth": 2,
        "params.head": "max",
        "train.lr": 0.01,
        "train.momentum": 0.5,
    }
    check_values(SPACE, found)
    assert absolute(SPACE, {"params.width": 100.0})["params.width"] == 128
    assert absolute(SPACE, {})["train.lr"] == 0.08


def test_what_the_user_fixed_is_left_out_of_the_followers(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ({"params.head": "both", "train.lr": 2.0}, {"params.head": "both"})
    monkeypatch.setattr(module, "FOLLOWERS", given)
    space = {name: field for name, field in SPACE.items() if name != "params.head"}
    (found,) = followers(space)  # of the other one nothing is left
    assert found["train.lr"] == 0.16
    assert len(followers(SPACE)) == 2
    monkeypatch.setattr(module, "FOLLOWERS", (*given, {"params.head": "both", "train.lr": 9e9}) * 2)
    assert len(followers(SPACE)) == 3  # equal ones are left out


def test_each_follower_fits_the_space_of_our_own_networks() -> None:
    fields = {
        name: field
        for name, field in declared(find_family("convnet"))
        if name not in {OPTIMIZER, *FIXED}
    }
    assert len(followers(fields)) == len(FOLLOWERS) == 7
    for config in followers(fields):
        check_values(fields, config)
        assert config != absolute(fields, {})
