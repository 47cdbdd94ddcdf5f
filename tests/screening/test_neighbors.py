"""Tests of `tunesmith.screening.neighbors`."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.screening import neighbors
from tunesmith.screening.neighbors import comparisons, nearest

Floats = NDArray[np.float32]


def unit(d_ND: Floats) -> Floats:
    unit_ND: Floats = d_ND / np.linalg.norm(d_ND, axis=1, keepdims=True)
    return unit_ND


def vectors(count: int, *, size: int = 12, seed: int = 0) -> Floats:
    return unit(np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32))


def beside(d_ND: Floats) -> Floats:
    """Vectors close to each."""
    return unit(d_ND + np.float32(0.05) * vectors(len(d_ND), size=d_ND.shape[1], seed=9))


def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts, from now on, the pairs that are compared."""
    pairs: list[int] = []
    similar = neighbors._similar

    def counting(one_RD: Floats, other_MD: Floats) -> Floats:
        pairs.append(len(one_RD) * len(other_MD))
        return similar(one_RD, other_MD)

    monkeypatch.setattr(neighbors, "_similar", counting)
    return pairs


def test_the_search_in_blocks_is_the_search_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ROWS": 16, "COLUMNS": 64, "LANES": 8}.items():
        monkeypatch.setattr(neighbors, name, value)
    d_ND = np.random.default_rng(0).normal(size=(300, 12)).astype(np.float32)
    d_ND /= np.linalg.norm(d_ND, axis=1, keepdims=True)
    alike_NN = d_ND @ d_ND.T
    np.fill_diagonal(alike_NN, -np.inf)
    expected = np.argsort(-alike_NN, axis=1)[:, :4]
    np.testing.assert_array_equal(nearest(d_ND, np.arange(300), 4), expected)
    np.testing.assert_array_equal(nearest(d_ND, np.array([7, 299]), 4), expected[[7, 299]])


def test_cells_find_what_is_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "FEW", 100)
    d_ND = vectors(2000)
    both_ND = np.concatenate([d_ND, beside(d_ND[:500])])
    asked = np.arange(2000, 2500)
    found_QK = nearest(both_ND, asked, 3)
    assert (found_QK[:, 0] == np.arange(500)).mean() >= 0.99
    assert (found_QK != asked[:, None]).all()
    assert all(len(set(row)) == 3 for row in found_QK.tolist())
    similar_QK = np.einsum("qd,qkd->qk", both_ND[asked], both_ND[found_QK])
    assert (np.diff(similar_QK, axis=1) <= 1e-6).all()  # the most similar first


def test_cost_grows_slower_than_the_square(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "FEW", 100)
    pairs = compared(monkeypatch)
    counts = []
    for count in (1000, 4000, 16_000):
        pairs.clear()
        nearest(vectors(count, size=6), np.arange(count), 2)
        counts.append(sum(pairs))
        assert counts[-1] <= comparisons(count, count)
    assert counts[1] <= 4**1.6 * counts[0]
    assert counts[2] <= 4**1.6 * counts[1]


def test_a_crowd_costs_no_more_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors that are all the same fall into one cell."""
    monkeypatch.setattr(neighbors, "FEW", 100)
    pairs = compared(monkeypatch)
    d_ND = np.concatenate([np.ones((3000, 4), np.float32) / 2, vectors(1000, size=4)])
    found_QK = nearest(d_ND, np.arange(4000), 6)
    assert sum(pairs) <= comparisons(4000, 4000)
    assert ((found_QK >= 0) & (found_QK < 4000)).all()
    assert (found_QK != np.arange(4000)[:, None]).all()
    assert (found_QK[:3000] < 3000).mean() > 0.99


@pytest.mark.slow
def test_a_million_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = compared(monkeypatch)
    d_ND = vectors(990_000, size=16)
    both_ND = np.concatenate([d_ND, beside(d_ND[:10_000])])
    found_QK = nearest(both_ND, np.arange(len(both_ND)), 6)
    assert sum(pairs) <= comparisons(10**6, 10**6) <= 0.03 * 10**12
    assert (found_QK[-10_000:, 0] == np.arange(10_000)).mean() >= 0.99


def test_wide_vectors_are_looked_at_again_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    d_ND, asked_Q = vectors(300), np.arange(300)
    at_once = nearest(d_ND, asked_Q, 5)
    rows: list[int] = []
    similar = neighbors._similar

    def noting(one_RD: Floats, other_MD: Floats) -> Floats:
        rows.append(len(one_RD))
        return similar(one_RD, other_MD)

    monkeypatch.setattr(neighbors, "_similar", noting)
    monkeypatch.setattr(neighbors, "MOST_NUMBERS", 7 * 6 * 3 * 13)  # of seven vectors
    np.testing.assert_array_equal(nearest(d_ND, asked_Q, 5), at_once)
    assert rows == [7] * 42 + [6]
