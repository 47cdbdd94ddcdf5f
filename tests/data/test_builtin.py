"""Tests of `tunesmith.data.builtin`."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tunesmith.core.errors import SourceError
from tunesmith.data.builtin import ELSEWHERE, load_builtin


def test_digits_are_the_known_ones_from_black_to_white() -> None:
    data, known = load_builtin("digits"), load_digits()
    assert np.shape(data.images) == (1797, 8, 8, 1)
    assert data.classes == tuple("0123456789")
    assert np.array_equal(data.labels, known.target)
    x_NHW = np.asarray(data.images)[..., 0]
    assert (x_NHW.min(), x_NHW.max()) == (0, 255)
    assert np.array_equal(np.rint(x_NHW * (16 / 255)), known.images)  # nothing is lost


@pytest.mark.parametrize("name", ELSEWHERE)
def test_known_data_that_are_not_at_hand_say_how_to_pass_them(name: str) -> None:
    with pytest.raises(SourceError, match=f"'{name}' does not come with .* folder or .zip"):
        load_builtin(name)
