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
    share = surest_contradicted(z_NK, y_N)  # a lower bound
    assert share <= noise
    assert share == pytest.approx(noise, abs=0.02 + 0.1 * noise)


def test_mistakes_of_a_network_that_has_learned_little_are_not_the_labels() -> None:
    """They get rarer the surer it is: of the surest fifth many are wrong, of a twentieth few."""
    y_N = RANDOM.integers(0, 5, 20_000)
    z_NK = RANDOM.normal(0, 1, (20_000, 5))
    z_NK[np.arange(20_000), y_N] += RANDOM.exponential(1, 20_000)
    surest = np.argsort(-(z_NK.max(1) - np.log(np.exp(z_NK).sum(1))))[: len(y_N) // 5]
    assert (z_NK[surest].argmax(1) != y_N[surest]).mean() > 0.15
    assert surest_contradicted(z_NK, y_N) == 0


def test_few_images_tell_nothing() -> None:
    z_NK, y_N = np.eye(2).repeat(200, axis=0), np.zeros(400, np.int64)
    assert len(y_N) * SUREST[0] < 100
    assert surest_contradicted(z_NK, y_N) == 0


def test_only_the_loss_changes() -> None:
    config = TrainConfig(batch=64, label_smoothing=0.02)
    other = forgiving(config)
    assert (other.robust, other.label_smoothing) == (0.7, 0.02)
    assert other.model_copy(update={"robust": 0.0}) == config
