"""Tests of `tunesmith.plan.plan`: no measurement, values in and out."""

import dataclasses
from collections.abc import Callable

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import Settings
from tunesmith.core.words import duration
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan import Plan, describe, plan
from tunesmith.training.config import RECIPES, TUNED_RECIPES, TrainConfig

from .conftest import MACHINE, SPEEDS, speed

Make = Callable[..., Plan]


@pytest.fixture
def make(mnist: Fingerprint) -> Make:
    def made(budget: str, data: Fingerprint = mnist, **settings: object) -> Plan:
        return plan(
            data,
            MACHINE,
            SPEEDS,
            Settings.make({"budget": budget, **settings}),
            spent=8.0,
            defaults=TrainConfig(),
        )

    return made


def test_more_time_buys_a_wider_network_that_still_finishes(make: Make) -> None:
    widths = []
    for budget in ("60s", "5m", "10m", "1h"):
        chosen = make(budget)
        widths.append(chosen.params["width"])
        assert chosen.finish_s <= Settings.make({"budget": budget}).budget
        assert chosen.horizon % chosen.train.batch == 0
        assert chosen.horizon >= 3 * 54_000
    assert widths == sorted(widths)
    assert widths[0] < widths[-1] == 64


def test_a_budget_that_is_too_small_says_what_would_be_enough(make: Make) -> None:
    chosen = make("20s")
    assert chosen.enough_s is not None
    assert chosen.params["width"] == 8
    assert any("would be enough" in sentence for sentence in describe(chosen))
    enough = make(str(chosen.enough_s))
    assert enough.enough_s is None
    assert enough.horizon >= 0.99 * 3 * 54_600


def test_what_takes_time_beside_the_training_counts_too(make: Make, mnist: Fingerprint) -> None:
    few = dataclasses.replace(mnist, images=1797, test_images=0)
    late = make("5s", few)  # what came before took eight seconds, and the end takes five
    assert late.enough_s is not None
    assert late.enough_s > 13
    (told,) = [line for line in describe(late) if line.startswith("Expect the run to end about")]
    assert f"about {duration(late.finish_s - 5)} late" in told
    assert describe(late)[-1].startswith(f"Expected: finished after {duration(late.finish_s)}, ")
    assert make(str(late.enough_s), few).enough_s is None
    slow = dataclasses.replace(mnist, decode_per_s=500.0)  # more than two minutes of decoding
    chosen = make("60s", slow)
    assert chosen.enough_s is not None
    assert chosen.enough_s > 140
    assert make(str(chosen.enough_s), slow).enough_s is None
    other = dataclasses.replace(mnist, decode_per_s=500.0, heights=(28, 30, 32))
    again = make("60s", other).enough_s  # the test images are read again, in their own size
    assert again is not None
    assert again >= chosen.enough_s + 60


def test_a_run_may_end_early_and_says_so_by_its_horizon(make: Make) -> None:
    chosen = make("10h")
    assert chosen.horizon <= 80 * 55_600
    assert chosen.finish_s < 36_000


def test_what_was_expected_of_another_budget_is_told_with_that_one(make: Make) -> None:
    chosen = make("60s")
    *reasons, expected = describe(chosen)
    assert " MB; 1 thread, batch " in expected
    assert expected.startswith("Expected: finished after ")
    told = expected.replace("Expected:", "Expected when the budget was 1 min 00 s:")
    assert describe(chosen, former=60.0) == (*reasons, told)


def test_small_data_get_folds(make: Make, mnist: Fingerprint) -> None:
    small = dataclasses.replace(mnist, images=1797, test_images=0)
    chosen = make("60s", small)
    assert chosen.folds == 5
    assert make("60s").folds == 0
    assert chosen.train.batch < make("60s").train.batch


def test_a_short_training_has_small_batches_and_so_enough_steps(make: Make) -> None:
    batches = []
    for budget in ("18s", "20s", "25s", "60s"):
        chosen = make(budget)
        batches.append(chosen.train.batch)
        assert chosen.horizon / chosen.train.batch >= 120
    assert batches == sorted(batches)
    assert batches[0] < batches[-1] == 512
    assert make("18s", train={"batch": 512}).train.batch == 512


def test_a_batch_is_trained_on_however_little_time_there_is(make: Make, mnist: Fingerprint) -> None:
    crawling = [speed(8, 0.1)]
    for given in ({}, {"trials": 3}, {"train": {"batch": 512}}):
        settings = Settings.make({"budget": "60s", **given})
        chosen = plan(mnist, MACHINE, crawling, settings, spent=59.0, defaults=TrainConfig())
        assert chosen.horizon == chosen.train.batch
        assert chosen.train_s == pytest.approx(chosen.train.batch / 0.1)
    # Heads take longer than all the time for training.
    crawling = [speed(8, 1.0).model_copy(update={"answers_per_s": 1.0})]
    settings = Settings.make({"budget": "60s"})
    defaults = TrainConfig(optimizer="adamw")
    chosen = plan(mnist, MACHINE, crawling, settings, spent=1.0, defaults=defaults, pretrained=True)
    assert chosen.horizon == chosen.train.batch
    assert chosen.train_s > 60


def test_with_trials_each_training_has_so_many_steps(make: Make) -> None:
    alone, searched = (make("25s", **given) for given in ({"trials": 0}, {"trials": 5}))
    assert searched.train.batch < alone.train.batch
    assert searched.horizon / 3 / searched.train.batch >= 120


def test_what_the_user_decided_is_kept(make: Make) -> None:
    chosen = make("60s", train={"batch": 64, "lr": 0.01}, params={"depth": 3}, seed=7)
    assert (chosen.train.batch, chosen.train.lr, chosen.train.seed) == (64, 0.01, 7)
    assert chosen.params["depth"] == 3
    with pytest.raises(SettingsError, match=r"`momentun` is no setting\. Did you mean `momentum`"):
        make("60s", train={"momentun": 0.5})


@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adamw"])
def test_an_optimizer_comes_with_its_own_values(mnist: Fingerprint, optimizer: str) -> None:
    """As a search tries it, whatever the default values of the network."""
    own = TrainConfig.model_validate({**RECIPES["adamw"], "optimizer": "adamw"})
    tuned = TrainConfig.model_validate({**TUNED_RECIPES["adamw"], "optimizer": "adamw"})

    def trained(defaults: TrainConfig, *, pretrained: bool = False, **more: float) -> TrainConfig:
        given = {"budget": "60s", "train": {"optimizer": optimizer, **more}}
        return plan(
            mnist,
            MACHINE,
            SPEEDS,
            Settings.make(given),
            spent=1.0,
            defaults=defaults,
            pretrained=pretrained,
        ).train

    recipe = {**RECIPES[optimizer], "optimizer": optimizer}
    assert trained(own).model_dump().items() >= recipe.items()
    assert trained(own, lr=0.03).model_dump().items() >= {**recipe, "lr": 0.03}.items()
    if optimizer in TUNED_RECIPES:
        recipe = {**TUNED_RECIPES[optimizer], "optimizer": optimizer}
        assert trained(tuned, pretrained=True).model_dump().items() >= recipe.items()


def test_the_faster_memory_layout_is_taken(make: Make, mnist: Fingerprint) -> None:
    speeds = [speed(8, 10_000), speed(8, 12_000, channels_last=False)]
    settings = Settings.make({"budget": "60s"})
    chosen = plan(mnist, MACHINE, speeds, settings, spent=1.0, defaults=TrainConfig())
    assert not chosen.train.channels_last
    assert chosen.images_per_s == 12_000


def test_a_plan_survives_json(make: Make) -> None:
    chosen = make("60s")
    assert Plan.model_validate_json(chosen.model_dump_json()) == chosen


def test_small_images_are_never_shrunk_and_larger_ones_buy_a_wider_network(
    make: Make, mnist: Fingerprint
) -> None:
    larger = dataclasses.replace(mnist, heights=(32,) * 3, widths=(32,) * 3)
    speeds = [s.model_copy(update={"size": (32, 32)}) for s in SPEEDS]
    defaults = TrainConfig(early_scale=0.5)
    settings = Settings.make({"budget": "300s"})
    small = plan(mnist, MACHINE, SPEEDS, settings, spent=8.0, defaults=defaults)
    large = plan(larger, MACHINE, speeds, settings, spent=8.0, defaults=defaults)
    assert (small.train.early_scale, large.train.early_scale) == (1.0, 0.5)
    assert large.params["width"] > small.params["width"]
    assert any("shrunk to 50 %" in reason for reason in large.reasons)
    kept = Settings.make({"budget": "300s", "train": {"early_scale": 0.9}})
    assert plan(mnist, MACHINE, SPEEDS, kept, spent=8.0, defaults=defaults).train.early_scale == 0.9


def test_a_width_suits_its_share_of_the_time(make: Make, mnist: Fingerprint) -> None:
    settings, defaults = Settings.make({"budget": "600s"}), TrainConfig()
    alone, shared = (
        plan(mnist, MACHINE, SPEEDS, settings, spent=1.0, defaults=defaults, sharing=n)
        for n in (1, 2)
    )
    assert shared.params["width"] < alone.params["width"]
