"""Tests of `tunesmith.screening.parting`."""

import numpy as np
import pytest

from tunesmith.screening.parting import farthest_apart, part


@pytest.mark.parametrize("count", [10, 100, 400])
def test_two_groups_are_found_whatever_their_sizes(count: int) -> None:
    chance = np.random.default_rng(0)
    s_N = chance.normal(size=1000).astype(np.float32)
    upper = chance.permutation(1000)[:count]
    s_N[upper] += 12
    found = part(s_N)
    assert sorted(found.places) == sorted(upper)
    assert (np.diff(s_N[found.places]) <= 0).all()
    assert found.apart > 5


def test_one_group_is_not_far_apart_from_itself() -> None:
    s_N = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    assert part(s_N).apart == pytest.approx(1.32, abs=0.05)


def test_numbers_that_are_all_equal() -> None:
    assert part(np.zeros(20, np.float32)).apart == 0


def test_a_stray_is_no_group() -> None:
    s_N = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    s_N[5] = 30
    assert len(part(s_N).places) >= 8
    assert part(s_N).apart < 2
    assert part(s_N, least=1).apart > 20


def test_a_direction_is_turned_to_where_the_groups_are() -> None:
    chance = np.random.default_rng(0)
    z_NA = chance.normal(size=(2000, 10)).astype(np.float32)
    hidden_A = chance.normal(size=10)
    z_NA[:50] += 10 * hidden_A / np.linalg.norm(hidden_A)
    first_AS = np.eye(10, 3, dtype=np.float32)
    assert all(part(z_NA @ u_A).apart < 4 for u_A in first_AS.T)
    found = farthest_apart(z_NA, first_AS)
    assert sorted(found.places) == list(range(50))
    assert found.apart > 4
