"""Tests of `tunesmith.plan.heads`."""

from functools import partial

import pytest

from tunesmith.core.settings import Settings
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan import HEAD_MOST, head_images, plan
from tunesmith.plan.heads import head_seconds
from tunesmith.training.config import TrainConfig

from .conftest import MACHINE, speed


def test_a_head_gets_the_images_that_there_is_time_for() -> None:
    count = partial(head_images, 9000, 10, per_s=100.0, small=False)
    assert count(train_s=0.0) == 40  # four of each class
    assert count(train_s=5.0) == 250  # half of the time
    assert count(train_s=50.0) == 500
    assert count(train_s=500.0) == 2500
    assert count(train_s=5000.0) == HEAD_MOST
    assert count(train_s=5000.0, most=700) == 700
    assert head_images(300, 200, train_s=1.0, per_s=1.0, small=True) == 300


def test_a_head_gets_images_of_each_class_however_many_there_are() -> None:
    count = partial(head_images, 90_000, per_s=100.0, small=False)
    assert count(126, train_s=50.0) == 504
    assert count(1000, train_s=100.0) == 4000
    assert count(1000, train_s=1000.0) == HEAD_MOST
    assert count(2000, train_s=200.0) == HEAD_MOST
    assert count(1000, train_s=20.0) == 1000  # half of the time
    assert count(1000, train_s=1.0) == 500
    assert head_images(700, 1000, train_s=100.0, per_s=100.0, small=True) == 700


def test_its_time_is_none_for_fine_tuning(mnist: Fingerprint) -> None:
    slow = speed(0, 12.0)
    settings = Settings.make({"budget": "600s"})
    tuned, trained = (
        plan(
            mnist,
            MACHINE,
            [slow],
            settings,
            spent=8.0,
            defaults=TrainConfig(),
            pretrained=pretrained,
        )
        for pretrained in (True, False)
    )
    heads_s = head_seconds(54_600, 10, slow, trained.train_s, small=False)
    assert heads_s > 10
    trained_s = tuned.horizon / tuned.images_per_s
    assert tuned.train_s == pytest.approx(trained_s + heads_s, rel=0.1)
