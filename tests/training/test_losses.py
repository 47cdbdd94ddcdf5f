"""Tests of `tunesmith.training.losses`."""

import math

import pytest
import torch
from torch import nn

from tunesmith.training.config import TrainConfig
from tunesmith.training.losses import (
    CrossEntropy,
    GeneralizedCrossEntropy,
    LogitAdjusted,
    Loss,
    log_frequencies,
    loss_of,
)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_by_hand(smoothing: float) -> None:
    z, y = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    log_p = torch.log_softmax(z, 1)[0]
    expected = -(1 - smoothing) * log_p[0] - smoothing * log_p.mean()
    torch.testing.assert_close(CrossEntropy(smoothing)(nn.Identity(), z, y), expected)


def test_generalized_cross_entropy_lies_between_two_losses() -> None:
    z, y = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4
    p = torch.softmax(z, 1)[torch.arange(20), y]
    near, far = (GeneralizedCrossEntropy(q)(nn.Identity(), z, y) for q in (1e-5, 1.0))
    torch.testing.assert_close(near, CrossEntropy()(nn.Identity(), z, y), atol=1e-3, rtol=0)
    torch.testing.assert_close(far, (1 - p).mean())


def test_a_label_that_contradicts_all_the_others_pulls_less() -> None:
    """Of 20 like images 5 bear a wrong label: the answer is surer of the others' label."""
    x_N1, y_N = torch.ones(20, 1), (torch.arange(20) < 5).long()
    network = nn.Linear(1, 2, bias=False)
    sure = {}
    for q in (0.0, 0.7):
        nn.init.zeros_(network.weight)
        loss = loss_of(TrainConfig(robust=q, label_smoothing=0.0), y_N, 2)
        optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
        for _ in range(300):
            optimizer.zero_grad()
            loss(network, x_N1, y_N).backward()
            optimizer.step()
        sure[q] = float(torch.softmax(network(x_N1[:1]).detach(), 1)[0, 0])
    assert sure[0.0] == pytest.approx(0.75, abs=0.01)
    assert sure[0.7] > 0.9


@pytest.mark.parametrize(
    "config",
    [TrainConfig(), TrainConfig(robust=0.7), TrainConfig(robust=0.7, balance=1.0)],
    ids=["cross-entropy", "robust", "balanced"],
)
def test_in_mixed_precision_losses_are_computed_in_float32(config: TrainConfig) -> None:
    y_N = torch.arange(20) % 4
    z_NK = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = loss_of(config, y_N, 4)
    expected = loss(nn.Identity(), z_NK.float(), y_N)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(loss(nn.Identity(), z_NK, y_N), expected, rtol=1e-6, atol=0)


def test_a_forgiving_loss_can_be_balanced_too() -> None:
    y_N = torch.tensor([0, 0, 0, 1])
    z = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    config, shift_K = (
        TrainConfig(robust=0.5, balance=1.0, label_smoothing=0.1),
        log_frequencies(y_N, 2),
    )
    plain = GeneralizedCrossEntropy(0.5)(nn.Identity(), z + shift_K, y_N)
    spread = -(torch.log_softmax(z + shift_K, 1) @ shift_K.exp()).mean()
    found = loss_of(config, y_N, 2)(nn.Identity(), z, y_N)
    torch.testing.assert_close(found, 0.9 * plain + 0.1 * spread)


def test_without_smoothing_a_balanced_loss_is_its_own_loss_of_the_shifted_logits() -> None:
    z, y = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    shift_K = log_frequencies(torch.tensor([0, 0, 0, 1, 1, 2]), 3)
    own, near = (LogitAdjusted(CrossEntropy(), shift_K, s) for s in (0.0, 1e-6))
    found = own(nn.Identity(), z, y)
    assert found == CrossEntropy()(nn.Identity(), z + shift_K, y)
    torch.testing.assert_close(near(nn.Identity(), z, y), found)


def boundary(loss: Loss, x_N1: torch.Tensor, y_N: torch.Tensor) -> float:
    """Where a linear network trained with a loss changes its answer."""
    network = nn.Linear(1, 2)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(network, x_N1, y_N)
        value.backward()
        return value

    optimizer.step(closure)
    weight, bias = network.weight.detach()[:, 0], network.bias.detach()
    return float((bias[0] - bias[1]) / (weight[1] - weight[0]))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_balanced_training_answers_as_if_classes_were_equally_frequent(smoothing: float) -> None:
    """Two bell curves around -1 and 1: the right boundary is 0, however rare the second is."""
    chance = torch.Generator().manual_seed(0)
    y_N = (torch.arange(40_000) % 20 == 0).long()
    x_N1 = torch.randn(40_000, 1, generator=chance) + 2.0 * y_N[:, None] - 1
    plain, balanced = (
        loss_of(TrainConfig(balance=b, label_smoothing=b * smoothing), y_N, 2) for b in (0.0, 1.0)
    )
    assert boundary(plain, x_N1, y_N) == pytest.approx(math.log(19) / 2, abs=0.1)
    # Spread evenly, a smoothing of 0.2 would put it at -2.9: the rare class nearly everywhere.
    assert boundary(balanced, x_N1, y_N) == pytest.approx(0.0, abs=0.3)


def test_a_class_without_images_has_a_finite_shift() -> None:
    shift_K = log_frequencies(torch.tensor([0, 0, 1, 1]), 3)
    torch.testing.assert_close(shift_K.exp(), torch.tensor([0.5, 0.5, 0.125]))
