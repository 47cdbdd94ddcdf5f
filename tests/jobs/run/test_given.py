"""Tests of `tunesmith.jobs.run.given`; test_race.py plans with it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import Settings
from tunesmith.jobs.planning.measure import default_config
from tunesmith.jobs.run.given import PRETRAINED, SCRATCH, check_used, meant_for
from tunesmith.models.build import Family, find_family
from tunesmith.models.custom import CustomSource
from tunesmith.models.pretrained import Pretrained
from tunesmith.training.config import RECIPES

FROM_SCRATCH = find_family(SCRATCH)
TUNED = replace(
    find_family(PRETRAINED),
    pretrained=Pretrained(mean=(0.0,), std=(1.0,), classifier="head", bias=True),
)
OWN = replace(
    FROM_SCRATCH,
    name="mine.py:net",
    source=CustomSource(path=Path("mine.py"), function="net", sha256="", text=""),
)
GIVEN = {"optimizer": "muon", "lr": 0.1, "lr_head": 0.5, "frozen": 0.5, "batch": 64}


def test_if_networks_compete_each_gets_what_it_can_use() -> None:
    settings = Settings.make({"train": GIVEN, "seed": 3})
    scratch, tuned = (meant_for(family, settings) for family in (FROM_SCRATCH, TUNED))
    assert scratch.train == {"optimizer": "muon", "lr": 0.1, "lr_head": 0.5, "batch": 64}
    assert tuned.train == {"frozen": 0.5, "batch": 64}
    assert tuned.seed == settings.seed


@pytest.mark.parametrize("chosen", [{"model": PRETRAINED}, {"params": {"resolution": 96}}])
def test_a_network_that_was_named_gets_everything(chosen: dict[str, Any]) -> None:
    train = {"optimizer": "sgd", "lr": 0.01, "frozen": 0.5}
    assert meant_for(TUNED, Settings.make({"train": train, **chosen})).train == train
    with pytest.raises(SettingsError, match=r"pretrained network is adamw or sgd, but got 'muon'"):
        meant_for(TUNED, Settings.make({"train": GIVEN, **chosen}))


def test_a_network_of_the_user_s_own_from_scratch_may_have_any_optimizer() -> None:
    settings = Settings.make({"model": "mine.py:net", "train": GIVEN})
    assert meant_for(replace(FROM_SCRATCH, name="mine.py:net"), settings) == settings


@pytest.mark.parametrize(
    ("model", "train", "message"),
    [
        (
            SCRATCH,
            {"weight_decay": 0.01},
            "`train.weight_decay` is for sgd and adamw, but convnet is trained with muon, which",
        ),
        (
            SCRATCH,
            {"optimizer": "adamw", "lr": 0.1, "momentum": 0.5},
            "momentum` is for muon and sgd",
        ),
        (PRETRAINED, {"lr_head": 0.1}, "for muon, but efficientnet_lite0 is trained with adamw"),
        ("mine.py:net", {"lr_bias": 0.1}, "for muon, but mine.py:net is trained with adamw"),
        ("mine.py:net", {"optimizer": "sgd", "lr_head": 0.1}, "mine.py:net is trained with sgd"),
    ],
)
def test_what_the_optimizer_would_ignore_is_refused(
    model: str, train: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        check_used(replace(FROM_SCRATCH, name=model), Settings.make({"train": train}))


@pytest.mark.parametrize("optimizer", RECIPES)
def test_what_an_optimizer_uses_may_be_set(optimizer: str) -> None:
    train = {"optimizer": optimizer, "batch": 8, "frozen": 0.5, **RECIPES[optimizer]}
    check_used(FROM_SCRATCH, Settings.make({"train": train}))


@pytest.mark.parametrize(
    "family", [FROM_SCRATCH, TUNED, OWN, replace(OWN, pretrained=TUNED.pretrained)]
)
def test_the_optimizer_that_is_checked_is_the_default_one(family: Family) -> None:
    usual = default_config(family, 3).optimizer
    check_used(family, Settings.make({"train": RECIPES[usual]}))
    other = "adamw" if usual == "muon" else "muon"
    with pytest.raises(SettingsError, match=f"is trained with {usual}, which has lr, "):
        check_used(family, Settings.make({"train": RECIPES[other]}))
