"""Tests of `tunesmith.evaluation.predict`."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

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


def test_what_memory_does_not_hold_at_once_is_answered_in_parts() -> None:
    x = torch.randint(0, 256, (BATCH, 1, 8, 8), dtype=torch.uint8)
    network, normalize = convnet(3, 1, size=(8, 8), width=8).eval(), Normalize.of(x)
    sizes = []

    def small(x_NCHW: Tensor) -> Tensor:
        sizes.append(len(x_NCHW))
        if len(x_NCHW) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        z_NK: Tensor = network(x_NCHW)
        return z_NK

    ask = partial(logits, normalize=normalize, channels_last=True)
    np.testing.assert_allclose(ask(small, x), ask(network, x), atol=1e-5)
    assert max(sizes[2:]) == BATCH // 2
    with pytest.raises(torch.OutOfMemoryError):
        ask(out_of_memory, x)


def out_of_memory(_x_NCHW: Tensor) -> Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_accuracy() -> None:
    z_NK = np.array([[2, 1], [0, 1], [5, 4], [0, 9]], np.float32)
    assert accuracy(z_NK, np.array([0, 1, 1, 1])) == 0.75
