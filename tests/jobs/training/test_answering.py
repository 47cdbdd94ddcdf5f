"""Tests of `jobs.training.answering`; test_together.py trains networks that answer together."""

import math

import numpy as np
import pytest

from tunesmith.jobs.training.answering import luck


def test_luck_compares_the_found_network_with_the_plans_whatever_is_between() -> None:
    right, wrong = np.array([[2.0, 0.0]] * 4, np.float32), np.array([[0.0, 2.0]] * 4, np.float32)
    mixed, y_N = np.concatenate([right[:2], wrong[:2]]), np.zeros(4, np.int64)
    found = luck(([mixed, wrong, right], y_N), ([mixed, right, mixed], y_N))
    assert found is not None
    assert found.gain == 0.5
    assert found.error == pytest.approx(math.sqrt(1 / 3 / 4))
    nothing = ([mixed[:1]] * 2, y_N[:1])
    assert luck(nothing, nothing) is None
