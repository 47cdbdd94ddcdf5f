"""Tests of `tunesmith.jobs.search.tune_space`."""

from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import Field as Constraint

from tunesmith.core.errors import SettingsError
from tunesmith.core.functions import Function
from tunesmith.core.space import Choice, Field, Float, Int, Range, When
from tunesmith.jobs.search.tune_space import space_for
from tunesmith.training.config import TrainConfig

if TYPE_CHECKING:

    class Unknown: ...


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


def test_a_first_parameter_with_a_range_of_its_own_is_told() -> None:
    def train(width: Annotated[int, Int(8, 64)], folder: Any, start: int, until: int) -> float:
        return 0.0

    with pytest.raises(SettingsError, match=r"`train` is not known. Annotate `width` with a data"):
        space_for(train, None)


def test_a_range_without_a_default_has_its_middle() -> None:
    given: dict[str, Range | Field] = {
        "lr": Float(1e-4, 1.0, log=True),
        "depth": Int(1, 9),
        "kind": Choice("a", "b"),
        "width": Field(Int(1, 9), when=When("kind", "a")),
    }
    space = space_for(train, given)
    assert [field.default for field in space.values()] == [pytest.approx(1e-2), 5, "a", 5]


def taking(kind: type) -> Function:
    """A training function whose config is of a class."""

    def train(config: Any, folder: Path, start: int, until: int) -> float:
        return 0.0

    train.__annotations__["config"] = kind
    return train


@dataclass
class Optimizer:
    lr: Annotated[float, Float(0, 1)] = 0.5
    after: "Optimizer | None" = None


@dataclass
class Setup:
    optimizer: Optimizer = field(default_factory=Optimizer)


@pytest.mark.parametrize(
    ("hint", "default", "found"),
    [
        (Annotated[float, Float], 0.5, r"<class 'tunesmith.core.space.Float'>"),
        (Annotated[float, Field(Float(0, 1))], 0.5, r"Field\(range=Float"),
        (Annotated[float, (0, 1)], 0.5, r"\(0, 1\)"),
        (Annotated[int, [1, 8]], 2, r"\[1, 8\]"),
        (Annotated[int, range(8)], 2, r"range\(0, 8\)"),
        (Float(0, 1), 0.5, r"Float\(low=0"),
        (Float, 0.5, r"<class 'tunesmith.core.space.Float'>"),
        (float, Float(0, 1), r"Float\(low=0"),
    ],
)
@pytest.mark.parametrize("others", [[], [("depth", Annotated[int, Int(1, 8)], 2)]])
def test_what_was_meant_as_a_range_is_told(
    hint: Any, default: Any, found: str, others: list[Any]
) -> None:
    kind = make_dataclass("Config", [*others, ("lr", hint, default)])
    with pytest.raises(
        SettingsError, match=rf"as in `lr: Annotated.* but `lr` has {found}.* Write"
    ):
        space_for(taking(kind), None)


@pytest.mark.parametrize("hint", [Optimizer, Optimizer | None, Setup, list[Setup]])
def test_a_range_in_a_dataclass_within_is_told(hint: Any) -> None:
    fields = [("depth", Annotated[int, Int(1, 8)], 2), ("inner", hint, None)]
    message = r"`Config` itself are searched, but `inner\.[a-z.]*lr` has .* Move it to `Config`"
    for some in (fields, fields[1:]):
        with pytest.raises(SettingsError, match=message):
            space_for(taking(make_dataclass("Config", some)), None)


@dataclass
class Foreign:
    unknown: "Unknown | None" = None


@dataclass
class Tolerant:
    lr: Annotated[float, "per step", Float(0, 1), Constraint(gt=0), {"unit": (0, 1)}] = 0.5
    shape: Annotated[Any, (3, 4)] = None
    low: Annotated[float, (0, 1, 2), (True, False), ("a", "b")] = 0.5
    foreign: Foreign | None = None
    within: "Tolerant | None" = None


def test_annotations_of_other_libraries_are_left_alone() -> None:
    assert list(space_for(taking(Tolerant), None)) == ["lr"]


@dataclass
class Strict:
    path: str
    lr: Annotated[float, Float(0, 1)] = 0.5
    decay: float = 0.0

    def __post_init__(self) -> None:
        raise ValueError(self.lr)


def test_a_config_that_cannot_be_made_of_the_fields_is_told() -> None:
    message = r"`Strict` must be made of .* \(lr\), but: missing .* 'path'\. Give every other field"
    with pytest.raises(SettingsError, match=message):
        space_for(taking(Strict), None)
    with pytest.raises(SettingsError, match=r"\(lr, path, more\), but: .* unexpected .* 'more'"):
        space_for(taking(Strict), {"lr": Float(0, 1), "path": Choice("a", "b"), "more": Int(1, 2)})
    path = Field(Choice("a", "b"), when=When("lr", 0.5))  # not always there
    with pytest.raises(SettingsError, match=r"missing .* 'path'"):
        space_for(taking(Strict), {"lr": Float(0, 1), "path": path})
    # Which values a config refuses is seen when it is trained: others may do.
    assert space_for(taking(Strict), {"path": Choice("a", "b"), "decay": Float(0, 1)})
