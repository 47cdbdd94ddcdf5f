"""Tests of `tunesmith.report.story`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.report.story import how_to_use, reliability


@given(n=st.integers(1, 60), bins=st.integers(1, 20), seed=st.integers(0, 99))
def test_bins_hold_every_image_once(n: int, bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p_NK, y_N = rng.dirichlet([1, 1, 1], n), rng.integers(3, size=n)
    found = reliability(p_NK, y_N, bins=bins)
    assert sum(b.count for b in found) == n
    assert [b.confidence for b in found] == sorted(b.confidence for b in found)
    right = sum(b.accuracy * b.count for b in found)
    assert right == pytest.approx((p_NK.argmax(1) == y_N).sum())


def test_the_commands_are_those_of_the_bundle() -> None:
    python, shell, onnx = how_to_use("my runs/bundle", channels=3, classes=5)
    assert "ts.load('my runs/bundle')" in python.code
    assert "tunesmith predict 'my runs/bundle' " in shell.code
    assert "[N, H, W, 3]" in onnx.code
    assert "[N, 5]" in onnx.code
