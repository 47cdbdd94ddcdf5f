"""Tests of `tunesmith.plan.foreseen`."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from tunesmith.plan import Foreseen, Plan
from tunesmith.training.config import TrainConfig

EMPTY: Mapping[str, int] = MappingProxyType({})


def plan(width: int) -> Plan:
    return Plan(
        size=(8, 8),
        params={"width": width},
        train=TrainConfig(batch=32),
        threads=1,
        images_per_s=1000.0,
        answers_per_s=3000.0,
        horizon=1600,
        folds=0,
        train_s=20.0,
        passes=1,
        reread_s=0.0,
        reserve_s=5.0,
        finish_s=60.0,
        memory_bytes=1,
        disk_bytes=1,
        enough_s=None,
        reasons=(f"Width {width}.",),
    )


def foreseen(
    *names: str, alone: Plan | None = None, read: int = 100, skipped: Mapping[str, int] = EMPTY
) -> Foreseen:
    plans = {name: plan(8) for name in names}
    return Foreseen(
        plans=plans,
        alone=alone,
        images=100,
        read=read,
        read_per_s=2.0,
        spent=9.0,
        skipped=skipped,
    )


def test_each_candidate_is_named_and_what_runs_without_a_race_is_told() -> None:
    lines = foreseen("convnet", "other", alone=plan(16)).words().splitlines()
    assert [line for line in lines if not line.startswith("Expected")] == [
        "Candidate 1 of 2: convnet",
        "Width 8.",
        "Candidate 2 of 2: other",
        "Width 8.",
        "If there is no race: convnet alone",
        "Width 16.",
    ]
    assert len(lines) == 9


def test_one_network_is_no_candidate_and_how_many_images_are_read_comes_first() -> None:
    lines = foreseen("convnet", read=40).words().splitlines()
    assert lines[0].startswith("40 of 100 images are read, chosen at random")
    assert lines[1] == "Network: convnet"
    assert foreseen("convnet").words().startswith("Network: convnet\n")


def test_what_is_left_aside_is_told_before_the_plan() -> None:
    told = foreseen("convnet", skipped={"empty folder": 1, "link to a file": 2})
    assert told.words().startswith("Left aside: 1 empty folder, 2 links to a file.\nNetwork: ")
    (only,) = json.loads(told.as_json())
    assert only["skipped"] == {"empty folder": 1, "link to a file": 2}


def test_programs_are_told_the_same() -> None:
    first, second = json.loads(foreseen("convnet", "other", alone=plan(16), read=40).as_json())
    assert (first["family"], second["family"]) == ("convnet", "other")
    assert (first["read"], first["images"]) == (second["read"], second["images"]) == (40, 100)
    assert first["params"] == {"width": 8}
    assert Plan.model_validate(first["alone"]) == plan(16)
    assert second["alone"] is None
    (only,) = json.loads(foreseen("convnet").as_json())
    assert only["alone"] is None
