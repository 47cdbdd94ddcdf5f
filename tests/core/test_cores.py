"""Tests of `tunesmith.core.cores`."""

from pathlib import Path

import pytest

from tunesmith.core.cores import cgroup_limits, cores


@pytest.mark.parametrize(("limit", "most"), [("150000 100000", 1), ("50000 100000", 1)])
def test_a_container_s_quota_counts(tmp_path: Path, limit: str, most: int) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    assert cores(tmp_path) == most


@pytest.mark.parametrize("limit", ["max 100000", "", None])
def test_without_one_there_are_those_that_the_system_gives(
    tmp_path: Path, limit: str | None
) -> None:
    if limit is not None:
        (tmp_path / "cpu.max").write_text(limit)
    assert cores(tmp_path) >= 1


def test_limits_of_all_groups_around_a_process_count(tmp_path: Path) -> None:
    own, inner = tmp_path / "own", tmp_path / "slurm" / "job 7"
    own.write_text("12:cpu:/old\n0::/slurm/job 7/step\n")
    (inner / "step").mkdir(parents=True)
    (inner / "step" / "cpu.max").write_text("max 100000\n")
    (inner / "cpu.max").write_text("100000 100000\n")
    (inner.parent / "cpu.max").write_text("800000 100000\n")
    assert cgroup_limits("cpu.max", tmp_path, own) == [
        "max 100000",
        "100000 100000",
        "800000 100000",
    ]
    assert cores(tmp_path, own) == 1
    assert cgroup_limits("cpu.max", tmp_path / "nowhere", own) == []
    assert cores(tmp_path, tmp_path / "nowhere") >= 1
