"""Tests of `tunesmith.jobs.search.space`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from torch import nn

from tunesmith.core.settings import Settings
from tunesmith.core.space import Choice, Field, Float, Int, When, check_space, complete, space_of
from tunesmith.data.augmentation import Augmentation
from tunesmith.jobs.search.space import FIXED, applied, as_set, at_pace, flat, training_space
from tunesmith.models.build import Family, find_family
from tunesmith.models.custom import CustomSource
from tunesmith.models.pretrained import Pretrained
from tunesmith.plan import Plan
from tunesmith.training.config import RECIPES, TrainConfig

CONVNET = find_family("convnet")
PLAN = Plan(
    size=(28, 28),
    params={"width": 24},
    train=TrainConfig(lr=0.08, batch=64, augmentation=Augmentation(shift=0.0625, flip=True)),
    threads=2,
    images_per_s=1000.0,
    answers_per_s=3000.0,
    horizon=64_000,
    folds=0,
    train_s=64.0,
    passes=2,
    reread_s=0.0,
    reserve_s=5.0,
    finish_s=80.0,
    memory_bytes=1,
    disk_bytes=1,
    enough_s=None,
    reasons=(),
)


def space(family: Family = CONVNET, plan: Plan = PLAN, **settings: Any) -> dict[str, Field]:
    return training_space(family, plan, Settings.make(settings))


def test_the_plan_is_the_default_and_every_field_has_its_range() -> None:
    found = space()
    check_space(found)
    assert {f"params.{name}" for name in CONVNET.space} <= found.keys()
    assert {"train.lr", "train.batch", "train.augmentation.shift"} <= found.keys()
    assert not FIXED & found.keys()
    assert found["params.width"].default == 24
    assert found["train.lr"] == Field(found["train.lr"].range, 0.08)
    assert found["train.augmentation.shift"].default == 0.0625
    assert found["train.batch"].range == Int(8, 512, log=True)


SOURCE = CustomSource(path=Path("mine.py"), function="net", sha256="", text="")
MINE = replace(CONVNET, name="mine.py:net", source=SOURCE)
ADAMW = PLAN.model_copy(update={"train": TrainConfig(optimizer="adamw", lr=1e-3)})


def test_of_a_users_network_the_optimizer_is_searched_and_each_has_its_own_rate() -> None:
    found = space(MINE, ADAMW)
    check_space(found)
    assert found["train.optimizer"] == Field(Choice("muon", "sgd", "adamw"), "adamw")
    assert found["train.lr"].default == 1e-3
    assert found["train.sgd.lr"].range.holds(RECIPES["sgd"]["lr"])
    mine = {name for name, field in found.items() if field.when == When("train.optimizer", "adamw")}
    assert mine == {"train.lr", "train.weight_decay", "train.layer_decay"}
    sgd = complete(found, {"train.optimizer": "sgd", "train.sgd.lr": 0.3})
    assert not sgd.keys() & (mine | {"train.muon.lr"})
    trained = applied(ADAMW, sgd).train
    assert trained.model_dump().items() >= ({**RECIPES["sgd"], "lr": 0.3}).items()
    assert applied(ADAMW, complete(found, {})).train == ADAMW.train
    told = as_set(sgd)
    assert "train.sgd.lr" not in told
    assert told["train.lr"] == 0.3
    assert told["train.warmup"] == RECIPES["sgd"]["warmup"]
    assert as_set({"train.lr": 0.1}) == {"train.lr": 0.1}


@pytest.mark.parametrize("name", ["optimizer", "lr", "momentum", "weight_decay", "warmup"])
def test_the_optimizer_is_not_searched_if_the_user_set_one_of_its_values(name: str) -> None:
    given = {"optimizer": "adamw"}.get(name, 0.01)
    found = space(MINE, ADAMW, train={name: given})
    assert not {"train.optimizer", "train.muon.lr", "train.sgd.lr"} & found.keys()


def test_what_is_meant_for_the_network_from_scratch_leaves_the_pretrained_one_s_space() -> None:
    pretrained = Pretrained(mean=(0.0,), std=(1.0,), classifier="head", bias=True)
    tuned = replace(find_family("efficientnet_lite0"), pretrained=pretrained)
    plan = ADAMW.model_copy(update={"params": {"resolution": 64}})
    assert "train.lr" in space(tuned, plan, train={"lr": 0.01})
    assert "train.lr" not in space(tuned, plan, model=tuned.name, train={"lr": 0.01})
    assert "train.lr" not in space(CONVNET, PLAN, train={"lr": 0.01})


def test_the_optimizer_of_our_own_networks_is_not_searched() -> None:
    assert "train.optimizer" not in space()
    assert "train.weight_decay" not in space()  # Muon has none


def test_what_is_fixed_is_a_field() -> None:
    known = {*flat(CONVNET, PLAN), *flat(find_family("efficientnet_lite0"), PLAN)}
    assert known > FIXED


def test_a_field_of_another_optimizer_is_left_out() -> None:
    assert "train.lr_head" in space()
    assert "train.layer_decay" not in space()
    adamw = PLAN.model_copy(update={"train": TrainConfig(optimizer="adamw", lr=1e-3)})
    assert "train.lr_head" not in space(plan=adamw)
    assert "train.layer_decay" in space(plan=adamw)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"params": {"width": 24}}, {"params.width"}),
        ({"train": {"lr": 0.08}}, {"train.lr"}),
        (
            {"train": {"augmentation": {"flip": True}}},
            {name for name in space() if "augmentation" in name},
        ),
    ],
)
def test_what_the_user_set_is_kept(settings: dict[str, Any], kept: set[str]) -> None:
    assert space().keys() - space(**settings).keys() == kept


def test_a_point_becomes_a_plan_and_the_default_is_the_plan_itself() -> None:
    found = space()
    default = {name: field.default for name, field in found.items()}
    same = applied(PLAN, default)
    assert same.train == PLAN.train
    assert flat(CONVNET, same) == flat(CONVNET, PLAN)
    other = applied(PLAN, default | {"train.augmentation.cutout": 0.25, "params.width": 48})
    assert other.train.augmentation == Augmentation(shift=0.0625, flip=True, cutout=0.25)
    assert other.params["width"] == 48
    assert other.train.lr == PLAN.train.lr


def custom(
    classes: int,
    channels: int,
    *,
    kind: Annotated[str, Choice("wide", "deep")] = "wide",
    blocks: Annotated[int, Int(1, 4), When("kind", "deep")] = 2,
) -> nn.Module:
    raise NotImplementedError


def test_structure_is_searched() -> None:
    found = space()
    assert found["params.block"].range == Choice("plain", "residual")
    assert "params.block" not in space(params={"block": "plain"})


def test_conditions_of_a_network_of_the_users_own_are_kept() -> None:
    family = replace(CONVNET, name="mine", factory=custom, space=space_of(custom))
    plan = PLAN.model_copy(update={"params": {}})
    assert space(family, plan)["params.blocks"].when == When("params.kind", "deep")
    assert "params.blocks" not in space(family, plan, params={"kind": "wide"})
    deep = plan.model_copy(update={"params": {"kind": "deep"}})
    assert space(family, deep, params={"kind": "deep"})["params.blocks"].when is None


def pixels(*, resolution: Annotated[int, Int(32, 128)] = 64) -> nn.Module:
    raise NotImplementedError


def share(*, resolution: Annotated[float, Float(0.5, 1.0)] = 1.0) -> nn.Module:
    raise NotImplementedError


def test_a_resolution_is_searched_unless_the_plan_measures_it() -> None:
    """Images are read for one that is measured, in pixels."""
    plan = PLAN.model_copy(update={"params": {}})
    measured, other = (replace(MINE, factory=f, space=space_of(f)) for f in (pixels, share))
    assert "params.resolution" not in space(measured, plan)
    assert space(other, plan)["params.resolution"] == Field(Float(0.5, 1.0), 1.0)


def test_a_slower_network_is_asked_for_as_many_views_as_there_is_time_for() -> None:
    assert at_pace(PLAN, 1.0, asked=9000, budget=60) == PLAN
    slower = at_pace(PLAN, 0.25, asked=9000, budget=60)
    assert (slower.images_per_s, slower.answers_per_s, slower.passes) == (250.0, 750.0, 1)
    assert at_pace(slower, 4.0, asked=9000, budget=60).passes == 1  # no more than were planned
