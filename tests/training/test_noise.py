"""Tests of `tunesmith.training.noise`."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.training.config import TrainConfig
from tunesmith.training.noise import CLUELESS, NOISY, SUREST, forgiving, surest_contradicted

# How much rarer errors are where a network is surer, by its accuracy: of the share r that it is
# surest of, r ** power as often. Convnets had these powers on CIFAR-10, up to 70 %.
POWERS = {0.5: 0.62, 0.6: 1.03, 0.7: 1.5, 0.85: 2.5, 0.95: 4.0}


def answers(
    rng: np.random.Generator, images: int, accuracy: float, noise: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits of a network for images of ten classes, the surest first, and their labels."""
    rank_N, power = (np.arange(images) + 0.5) / images, POWERS[accuracy]
    errs_N = rng.random(images) < (1 - accuracy) * (power + 1) * rank_N**power
    true_N = rng.integers(0, 10, images)
    guess_N = (true_N + errs_N * rng.integers(1, 10, images)) % 10
    wrong_N = rng.random(images) < noise
    y_N = (true_N + wrong_N * rng.integers(1, 10, images)) % 10
    return np.eye(10)[guess_N] * (2 - rank_N)[:, None], y_N


def noticed(images: int, accuracy: float, noise: float, *, trials: int = 500) -> float:
    """How often wrong labels are noticed."""
    rng = np.random.default_rng(0)
    shares = [surest_contradicted(*answers(rng, images, accuracy, noise)) for _ in range(trials)]
    return float(np.mean([NOISY <= share < CLUELESS for share in shares]))


@pytest.mark.parametrize("images", [150, 300, 500, 2000])
@pytest.mark.parametrize("accuracy", POWERS)
def test_hard_images_are_not_taken_for_wrong_labels(images: int, accuracy: float) -> None:
    """A training looks often, at the same images: here, each look is at others."""
    assert noticed(images, accuracy, 0.0) <= 0.002


@pytest.mark.parametrize(
    ("images", "accuracy", "noise", "often"),
    [
        (150, 0.85, 0.2, 0.6),
        (150, 0.85, 0.3, 0.6),
        (300, 0.85, 0.2, 0.85),
        (300, 0.7, 0.3, 0.2),
        (500, 0.95, 0.2, 0.9),
        (500, 0.7, 0.2, 0.35),
        (2000, 0.7, 0.2, 0.95),
        (2000, 0.85, 0.1, 0.8),
    ],
)
def test_wrong_labels_show_among_few_images_too(
    images: int, accuracy: float, noise: float, often: float
) -> None:
    assert noticed(images, accuracy, noise) >= often


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
def test_the_share_of_wrong_labels_shows_whatever_is_hard(noise: float) -> None:
    """Logits of images of which some are hard: the answers to these are wrong and unsure."""
    rng = np.random.default_rng(0)
    y_N = rng.integers(0, 5, 20_000)
    z_NK = rng.normal(0, 1, (20_000, 5))
    z_NK[np.arange(20_000), y_N] += rng.exponential(4, 20_000)
    assert (z_NK.argmax(1) != y_N).mean() > 0.2
    wrong = rng.random(20_000) < noise
    y_N[wrong] = (y_N[wrong] + rng.integers(1, 5, wrong.sum())) % 5
    share = surest_contradicted(z_NK, y_N)  # a lower bound
    assert share <= noise
    assert share == pytest.approx(noise, abs=0.02 + 0.1 * noise)


def test_mistakes_of_a_network_that_has_learned_little_are_not_the_labels() -> None:
    """They get rarer the surer it is: of the surest fifth many are wrong, of a twentieth few."""
    rng = np.random.default_rng(0)
    y_N = rng.integers(0, 5, 20_000)
    z_NK = rng.normal(0, 1, (20_000, 5))
    z_NK[np.arange(20_000), y_N] += rng.exponential(1, 20_000)
    surest = np.argsort(-(z_NK.max(1) - np.log(np.exp(z_NK).sum(1))))[: len(y_N) // 5]
    assert (z_NK[surest].argmax(1) != y_N[surest]).mean() > 0.15
    assert surest_contradicted(z_NK, y_N) == 0


def test_few_images_tell_nothing() -> None:
    z_NK, y_N = np.eye(2).repeat(70, axis=0), np.arange(2).repeat(70)
    y_N[::5] = 1 - y_N[::5]
    assert len(y_N) * SUREST < 30
    assert surest_contradicted(z_NK, y_N) == 0
    assert surest_contradicted(z_NK.repeat(2, axis=0), y_N.repeat(2)) > NOISY


def test_one_label_alone_tells_nothing() -> None:
    z_NK, y_N = np.eye(2).repeat([800, 200], axis=0), np.zeros(1000, np.int64)
    assert surest_contradicted(z_NK, y_N) == 0


def test_only_the_loss_changes() -> None:
    config = TrainConfig(batch=64, label_smoothing=0.02)
    other = forgiving(config)
    assert (other.robust, other.label_smoothing) == (0.7, 0.02)
    assert other.model_copy(update={"robust": 0.0}) == config
