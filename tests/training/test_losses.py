"""Tests of `tunesmith.training.losses`."""

import math

import pytest
import torch
from torch import nn

from tunesmith.training.config import TrainConfig
from tunesmith.training.losses import CrossEntropy, Loss, log_frequencies, loss_of


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_by_hand(smoothing: float) -> None:
    z, y = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    log_p = torch.log_softmax(z, 1)[0]
    expected = -(1 - smoothing) * log_p[0] - smoothing * log_p.mean()
    torch.testing.assert_close(CrossEntropy(smoothing)(nn.Identity(), z, y), expected)


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


def test_balanced_training_answers_as_if_classes_were_equally_frequent() -> None:
    """Two bell curves around -1 and 1: the right boundary is 0, however rare the second is."""
    chance = torch.Generator().manual_seed(0)
    y_N = (torch.arange(40_000) % 20 == 0).long()
    x_N1 = torch.randn(40_000, 1, generator=chance) + 2.0 * y_N[:, None] - 1
    plain, balanced = (loss_of(TrainConfig(balance=b, smoothing=0.0), y_N, 2) for b in (0.0, 1.0))
    assert boundary(plain, x_N1, y_N) == pytest.approx(math.log(19) / 2, abs=0.1)
    assert boundary(balanced, x_N1, y_N) == pytest.approx(0.0, abs=0.1)


def test_a_class_without_images_has_a_finite_shift() -> None:
    shift_K = log_frequencies(torch.tensor([0, 0, 1, 1]), 3)
    torch.testing.assert_close(shift_K.exp(), torch.tensor([0.5, 0.5, 0.125]))
