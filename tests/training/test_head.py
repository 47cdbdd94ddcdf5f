"""Tests of `tunesmith.training.head`."""

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.evaluation.metrics import accuracy, log_loss
from tunesmith.models.preprocess import Normalize
from tunesmith.training.epoch import TrainData
from tunesmith.training.head import PENALTIES, features, fit_head


def clusters(count: int, *, spread: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Three overlapping classes in 12 dimensions of very different scales."""
    chance = torch.Generator().manual_seed(0)
    y_N = torch.arange(count) % 3
    f_ND = torch.randn(count, 12, generator=chance) * spread
    f_ND[torch.arange(count), y_N] += 2.0
    return f_ND * torch.logspace(-2, 2, 12) + 5.0, y_N


def test_left_out_answers_are_those_of_a_layer_fitted_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The closed form against brute force, with the penalty and standardization held fixed."""
    monkeypatch.setattr("tunesmith.training.head.PENALTIES", (0.1,))
    f_ND, y_N = clusters(30)
    f_ND = (f_ND - f_ND.mean(0)) / f_ND.std(0, correction=0)
    head = fit_head(f_ND, y_N, 3)
    targets_NK = nn.functional.one_hot(y_N, 3).double()
    a_ND = torch.cat([f_ND.double(), torch.ones(30, 1)], 1)
    penalty = torch.diag(torch.tensor([3.0] * 12 + [0.0], dtype=torch.float64))  # 0.1 of 30 images
    for left_out in (0, 7, 29):
        rest = torch.arange(30) != left_out
        a, t = a_ND[rest], targets_NK[rest]
        expected_K = a_ND[left_out] @ torch.linalg.solve(a.T @ a + penalty, a.T @ t)
        found_K = head.z_NK[left_out].double()
        # Equal up to the scale of the logits, and a shift that no probability sees.
        scale = (found_K[0] - found_K[1]) / (expected_K[0] - expected_K[1])
        torch.testing.assert_close(
            found_K - found_K.mean(), scale * (expected_K - expected_K.mean()), atol=1e-4, rtol=1e-4
        )


def test_left_out_answers_tell_the_accuracy_on_new_images() -> None:
    f_ND, y_N = clusters(2400)
    head = fit_head(f_ND[:400], y_N[:400], 3)
    z_NK = (f_ND[400:] @ head.weight.T + head.bias).numpy()
    fresh, estimate = (
        accuracy(z_NK, y_N[400:].numpy()),
        accuracy(head.z_NK.numpy(), y_N[:400].numpy()),
    )
    assert estimate == pytest.approx(fresh, abs=0.05)
    assert 0.6 < fresh < 0.95


def test_logits_mean_probabilities() -> None:
    f_ND, y_N = clusters(2400)
    head = fit_head(f_ND[:400], y_N[:400], 3)
    p_NK = torch.softmax(f_ND[400:] @ head.weight.T + head.bias, 1).numpy()
    sharper = p_NK**3 / (p_NK**3).sum(1, keepdims=True)
    flatter = p_NK**0.3 / (p_NK**0.3).sum(1, keepdims=True)
    losses = [log_loss(p, y_N[400:].numpy()) for p in (p_NK, sharper, flatter)]
    assert losses[0] == min(losses)


def test_few_images_of_many_features_and_a_class_without_any() -> None:
    f_ND = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    head = fit_head(f_ND, torch.tensor([0, 0, 1, 1, 2, 2]), 4)
    assert head.weight.shape == (4, 50)
    assert torch.isfinite(head.weight).all()
    assert torch.isfinite(head.z_NK).all()


def test_a_constant_feature_does_no_harm() -> None:
    f_ND, y_N = clusters(60)
    with_constant = torch.cat([f_ND, torch.full((60, 1), 3.0)], 1)
    head = fit_head(with_constant, y_N, 3)
    assert torch.isfinite(head.weight).all()
    np.testing.assert_allclose(head.z_NK, fit_head(f_ND, y_N, 3).z_NK, atol=1e-3)
    assert len(PENALTIES) > 1


def test_features_are_what_the_last_layer_reads() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    x_NCHW = torch.randint(0, 256, (150, 3, 2, 2), dtype=torch.uint8)
    normalize = Normalize.of(x_NCHW)
    data = TrainData(
        x_NCHW=x_NCHW,
        y_N=torch.zeros(150).long(),
        rows=torch.arange(149, 9, -1),
        normalize=normalize,
    )
    with torch.no_grad():
        expected = network[:3](normalize(x_NCHW[data.rows]))
    torch.testing.assert_close(features(network, "3", data), expected)
    assert not network[3]._forward_pre_hooks
