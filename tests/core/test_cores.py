"""Tests of `tunesmith.core.cores`."""

from pathlib import Path

import pytest

from tunesmith.core.cores import cores


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
