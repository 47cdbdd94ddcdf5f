"""Tests of `tunesmith.evaluation.predict`."""

import numpy as np
import pytest
import torch

from tunesmith.evaluation.metrics import accuracy
from tunesmith.evaluation.predict import BATCH, logits
from tunesmith.models.convnet import convnet
from tunesmith.models.preprocess import Normalize


@pytest.mark.parametrize("channels_last", [True, False])
def test_batches_do_not_show(*, channels_last: bool) -> None:
    x = torch.randint(0, 256, (BATCH + 5, 1, 8, 8), dtype=torch.uint8)
    network, normalize = convnet(3, 1, size=(8, 8), width=8).eval(), Normalize.of(x)
    z_NK = logits(network, x, normalize=normalize, channels_last=channels_last)
    with torch.no_grad():
        whole = network(normalize(x)).numpy()
    np.testing.assert_allclose(z_NK, whole, atol=1e-5)


def test_accuracy() -> None:
    z_NK = np.array([[2, 1], [0, 1], [5, 4], [0, 9]], np.float32)
    assert accuracy(z_NK, np.array([0, 1, 1, 1])) == 0.75
