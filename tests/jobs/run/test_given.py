"""Tests of `tunesmith.jobs.run.given`; test_race.py plans with it."""

from dataclasses import replace
from typing import Any

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import Settings
from tunesmith.jobs.run.given import PRETRAINED, SCRATCH, meant_for
from tunesmith.models.build import find_family
from tunesmith.models.pretrained import Pretrained

FROM_SCRATCH = find_family(SCRATCH)
TUNED = replace(
    find_family(PRETRAINED),
    pretrained=Pretrained(mean=(0.0,), std=(1.0,), classifier="head", bias=True),
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
