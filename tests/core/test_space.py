"""Tests of `tunesmith.core.space`."""

import math
from typing import Annotated, Any

import numpy as np
import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.space import (
    Choice,
    Field,
    Float,
    Int,
    When,
    check_space,
    check_values,
    complete,
    space_of,
)
from tunesmith.training.config import TrainConfig


def test_ranges_hold_what_lies_in_them() -> None:
    assert Int(1, 5).holds(5)
    assert not Int(1, 5).holds(5.0)
    assert not Int(0, 1).holds(value=True)
    assert Float(0, 1).holds(1)
    assert not Float(0, 1).holds("0.5")
    assert not Choice("a", "b").holds("c")


def test_ranges_that_make_no_sense() -> None:
    with pytest.raises(SettingsError, match=r"finite `low < high`, but got low=5, high=1"):
        Int(5, 1)
    with pytest.raises(SettingsError, match=r"finite"):
        Float(0, float("inf"))
    with pytest.raises(
        SettingsError, match=r"finite `high - low`, but got low=-1.5e\+308, high=1.5"
    ):
        Float(-1.5e308, 1.5e308)
    with pytest.raises(SettingsError, match=r"finite `high - low`"):
        Int(-(10**308), 10**308)
    assert Float(-8e307, 8e307).holds(8e307)
    with pytest.raises(SettingsError, match=r"`low > 0`, but got low=0"):
        Float(0, 1, log=True)
    with pytest.raises(SettingsError, match=r"must differ as 64-bit floats, but got low=1152"):
        Int(2**60, 2**60 + 100)
    assert Int(2**60, 2**60 + 1000).holds(2**60 + 7)
    with pytest.raises(SettingsError, match=r"their logarithms\) must differ as 64-bit floats"):
        Float(1e300, math.nextafter(1e300, math.inf), log=True)
    with pytest.raises(SettingsError, match=r"at least two options"):
        Choice("a")


@pytest.mark.parametrize("digits", [400, 5000])  # so many are not even written
@pytest.mark.parametrize("kind", [Int, Float])
def test_ends_that_are_no_floats_are_refused(kind: type[Int | Float], digits: int) -> None:
    for low, high in ((0, 10**digits), (-(10**digits), 0)):
        with pytest.raises(
            SettingsError, match=r"within 1\.8e308 of zero, but one is farther away"
        ):
            kind(low, high)


def test_fields_that_make_no_sense() -> None:
    wrong: Any = (0, 1)
    with pytest.raises(SettingsError, match=r"needs a range .* got \(0, 1\)\. Write, for example"):
        Field(wrong)
    with pytest.raises(
        SettingsError, match=r"`when` .* a condition, but got \(0, 1\)\. Write, for"
    ):
        Field(Float(0, 1), when=wrong)


def test_defaults_must_lie_in_their_range() -> None:
    def missing(*, width: Annotated[int, Int(1, 5)]) -> None: ...
    def outside(*, width: Annotated[int, Int(1, 5)] = 9) -> None: ...

    with pytest.raises(SettingsError, match=r"`width` must lie in its range .* but is missing"):
        space_of(missing)
    with pytest.raises(SettingsError, match=r"`width` must lie in its range .* but is 9"):
        space_of(outside)


def test_chosen_values_are_checked() -> None:
    def build(*, width: Annotated[int, Int(1, 5)] = 2, other: int = 3) -> None: ...

    space = space_of(build)
    assert list(space) == ["width"]
    check_values(space, {"width": 5})
    with pytest.raises(SettingsError, match=r"`widht` is not a parameter.*Did you mean `width`"):
        check_values(space, {"widht": 5})
    with pytest.raises(SettingsError, match=r"`width` must lie in .* but got 6"):
        check_values(space, {"width": 6})
    choice = {"optimizer": Field(Choice("sgd", "adamw"), "sgd")}
    with pytest.raises(SettingsError, match=r"but got 'sdg'\. Did you mean `sgd`\?$"):
        check_values(choice, {"optimizer": "sdg"})
    with pytest.raises(SettingsError, match=r"but got 5\.$"):
        check_values(choice, {"optimizer": 5})


def test_the_training_s_own_fields_have_ranges_that_hold_their_defaults() -> None:
    space = space_of(TrainConfig)
    assert space["lr"].range.holds(TrainConfig().lr)
    assert {"optimizer", "batch", "label_smoothing", "ema_decay"} <= set(space)


def test_fields_that_depend_on_others() -> None:
    def build(
        *,
        kind: Annotated[str, Choice("a", "b")] = "a",
        size: Annotated[int, Int(1, 5), When("kind", "b")] = 2,
        depth: Annotated[int, Int(1, 5), When("size", 5)] = 3,
    ) -> None: ...

    space = space_of(build)
    assert complete(space, {}) == {"kind": "a"}
    assert complete(space, {"kind": "b"}) == {"kind": "b", "size": 2}
    assert complete(space, {"kind": "b", "size": 5}) == {"kind": "b", "size": 5, "depth": 3}
    assert complete(space, {"kind": "a", "size": 5}) == {"kind": "a"}


def test_conditions_that_make_no_sense() -> None:
    with pytest.raises(SettingsError, match="names the values of `kind` it needs"):
        When("kind")
    space = {"size": Field(Int(1, 5), 2, When("kind", "b")), "kind": Field(Choice("a", "b"), "a")}
    with pytest.raises(SettingsError, match="depends on `kind`, which is no field before it"):
        check_space(space)


def test_a_condition_that_never_holds_is_told() -> None:
    kind = Field(Choice("sgd", "adam"), "sgd")
    space = {"kind": kind, "momentum": Field(Float(0, 1), 0.5, When("kind", "sgd", "adm"))}
    with pytest.raises(SettingsError, match=r"`momentum` .* `kind` is 'adm', .*'sgd', 'adam'"):
        check_space(space)


@pytest.mark.parametrize(("low", "high"), [(0.5, 4), (1, 4.0), ("1", 4), (False, 4)])
def test_ends_that_are_no_integers_are_refused(low: Any, high: Any) -> None:
    with pytest.raises(SettingsError, match=r"must be integers \(or use Float\), but got low="):
        Int(low, high)


@pytest.mark.parametrize(("low", "high"), [("1e-4", 1), (0, None), (False, 1.0)])
def test_ends_that_are_no_numbers_are_refused(low: Any, high: Any) -> None:
    with pytest.raises(SettingsError, match="must be numbers, but got low="):
        Float(low, high)


@pytest.mark.parametrize("option", [(64, 64), object, np.int64(3), {1, 2}])
def test_options_that_a_journal_does_not_keep_are_refused(option: object) -> None:
    with pytest.raises(SettingsError, match="kept in a journal, so they must be numbers"):
        Choice("a", option)
    assert Choice(None, True, 3, 0.5, "a", [64, 64]).holds([64, 64])


@pytest.mark.parametrize("options", [("a", "b", "a"), (1, True), ([1, 2], [1, 2])])
def test_options_that_are_equal_are_refused(options: tuple[object, ...]) -> None:
    with pytest.raises(SettingsError, match=r"Options of a choice must differ, but .* Leave it"):
        Choice(*options)
