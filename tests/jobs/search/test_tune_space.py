"""Tests of `tunesmith.jobs.search.tune_space`."""

from typing import Any

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.space import Choice, Field, Float, Int, Range, When
from tunesmith.jobs.search.tune_space import space_for
from tunesmith.training.config import TrainConfig


def train(config: Any, folder: Any, start: int, until: int) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (None, r"The space of `train` is not known. Annotate `config` with .* in Python, pass one"),
        ({}, "needs at least one field"),
        (
            {"lr": 0.5},
            r"`lr` needs a range \(Int, Float or Choice\) or a Field, but got 0.5. Write",
        ),
        ({"lr": Field(Float(0, 1), 2.0)}, "The default of `lr` must lie in its range"),
        ({1: Float(0, 1)}, "must be strings, but got 1. Write '1'."),
        ([Float(0, 1)], r"a dict of ranges .* but got \[Float.* annotate the config of `train`"),
        (TrainConfig, r"a dict of ranges .* but got <class .* annotate the config of `train`"),
    ],
)
def test_spaces_that_make_no_sense(space: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        space_for(train, space)


def test_a_range_without_a_default_has_its_middle() -> None:
    given: dict[str, Range | Field] = {
        "lr": Float(1e-4, 1.0, log=True),
        "depth": Int(1, 9),
        "kind": Choice("a", "b"),
        "width": Field(Int(1, 9), when=When("kind", "a")),
    }
    space = space_for(train, given)
    assert [field.default for field in space.values()] == [pytest.approx(1e-2), 5, "a", 5]
