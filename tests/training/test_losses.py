"""Tests of `tunesmith.training.losses`."""

import pytest
import torch
from torch import nn

from tunesmith.training.losses import CrossEntropy


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_by_hand(smoothing: float) -> None:
    z, y = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    log_p = torch.log_softmax(z, 1)[0]
    expected = -(1 - smoothing) * log_p[0] - smoothing * log_p.mean()
    torch.testing.assert_close(CrossEntropy(smoothing)(nn.Identity(), z, y), expected)
