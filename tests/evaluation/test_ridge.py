"""Tests of `tunesmith.evaluation.ridge`."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.evaluation import calibration
from tunesmith.evaluation.calibration import softmax
from tunesmith.evaluation.metrics import accuracy, log_loss
from tunesmith.evaluation.ridge import PENALTIES, fit_ridge

Floats = NDArray[np.float64]


def clusters(count: int, *, spread: float = 1.5) -> tuple[Floats, NDArray[np.int64]]:
    """Three overlapping classes in 12 dimensions of very different scales."""
    y_N = np.arange(count) % 3
    f_ND = np.random.default_rng(0).normal(size=(count, 12)) * spread
    f_ND[np.arange(count), y_N] += 2.0
    return f_ND * np.logspace(-2, 2, 12) + 5.0, y_N


def assert_alike(found_K: Floats, expected_K: Floats) -> None:
    """Assert equality up to the scale of logits, and a shift that no probability sees."""
    scale = (found_K[0] - found_K[1]) / (expected_K[0] - expected_K[1])
    np.testing.assert_allclose(
        found_K - found_K.mean(), scale * (expected_K - expected_K.mean()), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("features", [12, 40])  # fewer and more than images
def test_left_out_answers_are_those_of_a_layer_fitted_without(
    monkeypatch: pytest.MonkeyPatch, features: int, *, bias: bool
) -> None:
    """The closed form against brute force, with the penalty and standardization held fixed."""
    monkeypatch.setattr("tunesmith.evaluation.ridge.PENALTIES", (0.1,))
    f_ND, y_N = clusters(30)
    rng = np.random.default_rng(1)
    f_ND = np.concatenate([f_ND, rng.normal(size=(30, features - 12))], axis=1)
    f_ND = (f_ND - f_ND.mean(0)) / f_ND.std(0)
    ridge = fit_ridge(f_ND, y_N, 3, bias=bias)
    targets_NK = np.eye(3)[y_N]
    a_ND = np.concatenate([f_ND, np.full((30, 1), float(bias))], axis=1)
    penalty = np.diag([3.0] * features + [0.0 if bias else 1.0])  # 0.1 of 30 images
    for left_out in (0, 7, 29):
        rest = np.arange(30) != left_out
        a, t = a_ND[rest], targets_NK[rest]
        expected_K = a_ND[left_out] @ np.linalg.solve(a.T @ a + penalty, a.T @ t)
        assert_alike(ridge.z_NK[left_out].astype(np.float64), expected_K)
    w_DK = np.linalg.solve(a_ND.T @ a_ND + penalty, a_ND.T @ targets_NK)
    found_NK = f_ND @ ridge.weight_KD.T.astype(np.float64) + ridge.bias_K
    for found_K, expected_K in zip(found_NK, a_ND @ w_DK, strict=True):
        assert_alike(found_K, expected_K)
    assert ridge.bias_K.any() == bias


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("features", [12, 80])  # fewer and more than images
@pytest.mark.parametrize("chunk", [7, 4096])  # a group may be cut by chunks of images
def test_a_group_is_left_out_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, features: int, chunk: int, *, bias: bool
) -> None:
    """Weighted, and with groups of several sizes, against brute force."""
    monkeypatch.setattr("tunesmith.evaluation.ridge.PENALTIES", (0.1,))
    monkeypatch.setattr("tunesmith.evaluation.ridge.CHUNK", chunk)
    f_ND, y_N = clusters(40)
    rng = np.random.default_rng(1)
    f_ND = np.concatenate([f_ND, rng.normal(size=(40, features - 12))], axis=1)
    y_N[20:] = 0  # the others are rare
    weight_N = 1 / np.bincount(y_N)[y_N]
    weight_N *= 40 / weight_N.sum()
    f_ND -= weight_N @ f_ND / 40
    f_ND /= np.sqrt(weight_N @ f_ND**2 / 40)
    groups_N = rng.permutation(
        np.repeat(np.arange(15), [1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 5, 5, 7])
    )
    ridge = fit_ridge(f_ND, y_N, 3, balance=1.0, bias=bias, groups_N=groups_N)
    a_ND, targets_NK = np.concatenate([f_ND, np.full((40, 1), float(bias))], axis=1), np.eye(3)[y_N]
    penalty = np.diag([4.0] * features + [0.0 if bias else 1.0])  # 0.1 of 40 images
    for group in range(15):
        rest = groups_N != group
        a, t, w = a_ND[rest], targets_NK[rest], weight_N[rest, None]
        w_DK = np.linalg.solve(a.T @ (w * a) + penalty, a.T @ (w * t))
        for place in np.flatnonzero(~rest):
            assert_alike(ridge.z_NK[place].astype(np.float64), a_ND[place] @ w_DK)


@pytest.mark.parametrize("groups_N", [np.arange(60)[::-1], np.zeros(60, np.int64)])
def test_groups_that_say_nothing_change_nothing(groups_N: NDArray[np.int64]) -> None:
    """Each image is one, or all are: then none of several can be left out."""
    f_ND, y_N = clusters(60)
    found, wanted = fit_ridge(f_ND, y_N, 3, groups_N=groups_N), fit_ridge(f_ND, y_N, 3)
    np.testing.assert_array_equal(found.weight_KD, wanted.weight_KD)
    np.testing.assert_array_equal(found.bias_K, wanted.bias_K)
    np.testing.assert_array_equal(found.z_NK, wanted.z_NK)


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_near_copies_do_not_tell_the_labels_of_each_other(balance: float) -> None:
    """Labels that features do not tell are not known, however often an image was copied."""
    rng = np.random.default_rng(0)
    groups_N, y_G = np.arange(480) // 4, rng.permutation(120) % 2
    f_ND = rng.normal(size=(120, 300))[groups_N] + 0.05 * rng.normal(size=(480, 300))
    alone, together = (
        fit_ridge(f_ND, y_G[groups_N], 2, balance=balance, groups_N=known).z_NK
        for known in (None, groups_N)
    )
    assert accuracy(alone, y_G[groups_N]) > 0.9
    assert accuracy(together, y_G[groups_N]) < 0.65
    assert log_loss(softmax(together, 1.0), y_G[groups_N]) < 0.72  # and that is known


def test_the_penalty_is_chosen_with_few_passes_over_few_logits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tunesmith.evaluation.ridge.JUDGED_LOGITS", 900)
    passes, derivatives = [], calibration._derivatives

    def noted(z_NK: Floats, y_N: NDArray[np.int64], log_t: float) -> tuple[float, float]:
        passes.append(len(z_NK))
        return derivatives(z_NK, y_N, log_t)

    monkeypatch.setattr(calibration, "_derivatives", noted)
    fit_ridge(*clusters(400), 3)
    assert set(passes) == {300}
    assert len(passes) <= 6 * len(PENALTIES)


def test_probabilities_of_a_hundred_classes_are_no_flatter_than_those_of_ten() -> None:
    rng = np.random.default_rng(1)
    center_KD, y_N = rng.normal(size=(100, 128)), np.arange(3000) % 100
    f_ND = center_KD[y_N] + 2 * rng.normal(size=(3000, 128))
    ridge = fit_ridge(f_ND[:2000], y_N[:2000], 100)
    p_NK = softmax(f_ND[2000:] @ ridge.weight_KD.T + ridge.bias_K, 1.0)
    assert p_NK.max(1).mean() == pytest.approx(accuracy(p_NK, y_N[2000:]), abs=0.03)


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_few_images_are_fitted_to_by_their_own_number(
    monkeypatch: pytest.MonkeyPatch, balance: float
) -> None:
    """Constant features change nothing but the way: less work, and the same layer."""
    f_ND, y_N = clusters(60)
    y_N[20:40] = 0
    padded_ND = np.concatenate([f_ND, np.ones((60, 100))], axis=1)
    sizes, eigh = [], np.linalg.eigh

    def noted(gram: Floats) -> Any:
        sizes.append(len(gram))
        return eigh(gram)

    monkeypatch.setattr(np.linalg, "eigh", noted)
    ridge, other = (fit_ridge(each, y_N, 3, balance=balance) for each in (f_ND, padded_ND))
    assert sizes == [12, 60]
    np.testing.assert_allclose(other.weight_KD[:, :12], ridge.weight_KD, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(other.bias_K, ridge.bias_K, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(other.z_NK, ridge.z_NK, rtol=1e-5, atol=1e-6)


def test_left_out_answers_tell_the_accuracy_on_new_images() -> None:
    f_ND, y_N = clusters(2400)
    ridge = fit_ridge(f_ND[:400], y_N[:400], 3)
    fresh = accuracy(f_ND[400:] @ ridge.weight_KD.T + ridge.bias_K, y_N[400:])
    assert accuracy(ridge.z_NK, y_N[:400]) == pytest.approx(fresh, abs=0.05)
    assert 0.6 < fresh < 0.95


def test_logits_mean_probabilities() -> None:
    f_ND, y_N = clusters(2400)
    ridge = fit_ridge(f_ND[:400], y_N[:400], 3)
    p_NK = softmax(f_ND[400:] @ ridge.weight_KD.T + ridge.bias_K, 1.0)
    sharper = p_NK**3 / (p_NK**3).sum(1, keepdims=True)
    flatter = p_NK**0.3 / (p_NK**0.3).sum(1, keepdims=True)
    losses = [log_loss(p, y_N[400:]) for p in (p_NK, sharper, flatter)]
    assert losses[0] == min(losses)


def test_few_images_of_many_features_and_a_class_without_any() -> None:
    f_ND = np.random.default_rng(0).normal(size=(6, 50))
    ridge = fit_ridge(f_ND, np.array([0, 0, 1, 1, 2, 2]), 4)
    assert ridge.weight_KD.shape == (4, 50)
    assert np.isfinite(ridge.weight_KD).all()
    assert np.isfinite(ridge.z_NK).all()


def test_a_constant_feature_does_no_harm() -> None:
    f_ND, y_N = clusters(60)
    with_constant = np.concatenate([f_ND, np.full((60, 1), 3.0)], axis=1)
    ridge = fit_ridge(with_constant, y_N, 3)
    assert np.isfinite(ridge.weight_KD).all()
    np.testing.assert_allclose(ridge.z_NK, fit_ridge(f_ND, y_N, 3).z_NK, atol=1e-3)
    assert len(PENALTIES) > 1


def test_balanced_left_out_answers_are_those_of_a_weighted_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tunesmith.evaluation.ridge.PENALTIES", (0.1,))
    f_ND, y_N = clusters(60)
    y_N[10:] = 0  # the others are rare
    weight_N = 1 / np.bincount(y_N)[y_N]
    weight_N *= 60 / weight_N.sum()
    mean_D = weight_N @ f_ND / 60
    f_ND = (f_ND - mean_D) / np.sqrt(weight_N @ (f_ND - mean_D) ** 2 / 60)
    ridge = fit_ridge(f_ND, y_N, 3, balance=1.0)
    a_ND, targets_NK = np.concatenate([f_ND, np.ones((60, 1))], axis=1), np.eye(3)[y_N]
    penalty = np.diag([6.0] * 12 + [0.0])  # 0.1 of 60 images
    for left_out in (0, 1, 40):
        rest = np.arange(60) != left_out
        a, t, w = a_ND[rest], targets_NK[rest], weight_N[rest, None]
        expected_K = a_ND[left_out] @ np.linalg.solve(a.T @ (w * a) + penalty, a.T @ (w * t))
        assert_alike(ridge.z_NK[left_out].astype(np.float64), expected_K)


def test_a_balanced_layer_recognizes_each_class_as_well_however_rare_it_is() -> None:
    f_ND, y_N = clusters(6000)
    kept = (y_N == 0) | (np.arange(6000) % 31 < 2)  # one in 15 of the others
    recalls = {}
    for balance in (0.0, 1.0):
        ridge = fit_ridge(f_ND[kept], y_N[kept], 3, balance=balance)
        right_N = (f_ND @ ridge.weight_KD.T + ridge.bias_K).argmax(1) == y_N
        recalls[balance] = [right_N[y_N == k].mean() for k in range(3)]
    assert min(recalls[0.0]) < 0.4 < min(recalls[1.0])
    assert np.ptp(recalls[1.0]) < 0.15


def test_few_images_do_not_hand_over_their_own_labels() -> None:
    """Leave-one-out answers know nothing where features mean nothing, however many there are."""
    f_ND, y_N = np.random.default_rng(0).normal(size=(60, 1280)), np.arange(60) % 6
    right = [
        accuracy(fit_ridge(f_ND, labels, 6).z_NK, labels)
        for labels in map(np.random.default_rng(1).permutation, [y_N] * 5)
    ]
    assert max(right) < 0.4  # chance is 0.17


def test_a_feature_that_hardly_varied_does_not_outweigh_all_others() -> None:
    f_ND, y_N = clusters(400)
    f_ND = (f_ND - f_ND.mean(0)) / f_ND.std(0)
    rare_N = np.where(np.arange(400) == 3, 1e-3, 0.0)  # on one image, and as strong as others later
    seen_ND = np.column_stack([f_ND, rare_N])
    ridge = fit_ridge(seen_ND[:200], y_N[:200], 3, alike=True)
    later_ND = seen_ND[200:] + np.eye(13)[12]
    z_NK = (later_ND @ ridge.weight_KD.T + ridge.bias_K).astype(np.float32)
    assert accuracy(z_NK, y_N[200:]) > 0.6
    assert log_loss(softmax(z_NK, 1.0), y_N[200:]) < 1.0
