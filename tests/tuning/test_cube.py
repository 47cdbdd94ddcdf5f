"""Tests of `tunesmith.tuning.cube`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.space import Choice, Field, Float, Int, Range, When
from tunesmith.tuning.cube import decode, encode, from_unit, to_units

RANGES: tuple[Range, ...] = (
    Float(-1.0, 3.0),
    Float(1e-6, 10.0, log=True),
    Int(-2, 5),
    Int(1, 1000, log=True),
    Choice("a", None, 3),
)


@given(st.sampled_from(RANGES), st.floats(0, 1))
def test_every_point_is_a_value_and_every_value_a_point(range_: Range, unit: float) -> None:
    value = from_unit(range_, unit)
    assert range_.holds(value)
    (back,) = to_units(range_, [value])
    assert 0 <= back <= 1
    again = from_unit(range_, back)
    assert again == (pytest.approx(value) if isinstance(range_, Float) else value)


def test_whole_numbers_own_equal_pieces() -> None:
    values = [from_unit(Int(1, 4), unit) for unit in np.linspace(0.001, 0.999, 400)]
    assert [values.count(n) for n in (1, 2, 3, 4)] == [100, 100, 100, 100]


def test_logarithmic_ranges_are_even_on_their_scale() -> None:
    assert from_unit(Float(1e-4, 1.0, log=True), 0.5) == pytest.approx(1e-2)


def test_fields_that_mean_nothing_lie_at_their_default_and_are_left_out() -> None:
    space = {
        "optimizer": Field(Choice("sgd", "adamw"), "sgd"),
        "momentum": Field(Float(0.0, 1.0), 0.75, When("optimizer", "sgd")),
    }
    x_ND = encode(space, [{"optimizer": "adamw"}, {"optimizer": "sgd", "momentum": 0.5}])
    assert x_ND.tolist() == [[0.75, 0.75], [0.25, 0.5]]
    assert decode(space, np.array([0.9, 0.1])) == {"optimizer": "adamw"}
    assert decode(space, np.array([0.1, 0.1])) == {"optimizer": "sgd", "momentum": 0.1}
