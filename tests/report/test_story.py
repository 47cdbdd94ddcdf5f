"""Tests of `tunesmith.report.story`."""

import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.report.story import how_to_use, is_chance, reliability


@given(n=st.integers(1, 60), bins=st.integers(1, 20), seed=st.integers(0, 99))
def test_bins_hold_every_image_once(n: int, bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p_NK, y_N = rng.dirichlet([1, 1, 1], n), rng.integers(3, size=n)
    found = reliability(p_NK, y_N, bins=bins)
    assert sum(b.count for b in found) == n
    assert [b.confidence for b in found] == sorted(b.confidence for b in found)
    right = sum(b.accuracy * b.count for b in found)
    assert right == pytest.approx((p_NK.argmax(1) == y_N).sum())


@pytest.mark.parametrize("shift", [0.0, -0.15])
def test_of_gaps_chance_explains_those_of_true_probabilities(shift: float) -> None:
    rng = np.random.default_rng(0)

    def found() -> bool:
        p_N = rng.uniform(0.65, 0.95, 300)
        y_N = (rng.random(300) > p_N + shift).astype(np.int64)
        return is_chance(reliability(np.stack([p_N, 1 - p_N], 1), y_N))

    share = np.mean([found() for _ in range(200)])
    assert share > 0.94 if shift == 0 else share < 0.06


def test_the_commands_are_those_of_the_bundle() -> None:
    python, shell, onnx = how_to_use("Ann's runs/bundle", channels=3, classes=5)
    assert 'ts.load("Ann\'s runs/bundle")' in python.code
    assert shlex.split(shell.code)[:3] == ["tunesmith", "predict", "Ann's runs/bundle"]
    assert "[N, H, W, 3]" in onnx.code
    assert "[N, 5]" in onnx.code
