"""Tests of `tunesmith.training.noise`."""

import numpy as np
import pytest

from tunesmith.training.config import TrainConfig
from tunesmith.training.noise import SUREST, forgiving, surest_contradicted

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
def test_the_share_of_wrong_labels_shows_whatever_is_hard(noise: float) -> None:
    """Logits of images of which some are hard: the answers to these are wrong and unsure."""
    y_N = RANDOM.integers(0, 5, 20_000)
    z_NK = RANDOM.normal(0, 1, (20_000, 5))
    z_NK[np.arange(20_000), y_N] += RANDOM.exponential(4, 20_000)
    assert (z_NK.argmax(1) != y_N).mean() > 0.2
    wrong = RANDOM.random(20_000) < noise
    y_N[wrong] = (y_N[wrong] + RANDOM.integers(1, 5, wrong.sum())) % 5
    assert surest_contradicted(z_NK, y_N) == pytest.approx(noise, abs=0.02)


def test_few_images_tell_nothing() -> None:
    z_NK, y_N = np.eye(2).repeat(100, axis=0), np.zeros(200, np.int64)
    assert len(y_N) * SUREST < 50
    assert surest_contradicted(z_NK, y_N) == 0


def test_only_the_loss_changes() -> None:
    config = TrainConfig(batch=64, smoothing=0.02)
    other = forgiving(config)
    assert (other.robust, other.smoothing) == (0.7, 0.02)
    assert other.model_copy(update={"robust": 0.0}) == config
