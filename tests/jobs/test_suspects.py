"""Tests of `tunesmith.jobs.suspects`."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tunesmith.data.sources import open_source
from tunesmith.jobs.suspects import write_suspects


@pytest.fixture
def data() -> tuple[Any, Any]:
    """Forty images of two classes; a test part of twenty, of which the network is sure."""
    labels = ["cat", "dog"] * 20
    x = np.arange(40, dtype=np.uint8).reshape(-1, 1, 1).repeat(8, 1).repeat(8, 2)
    source = open_source((x, labels))
    y_N = source.labels.copy()
    p_NK = np.eye(2, dtype=np.float32)[y_N[20:]] * 0.96 + 0.02
    prepared = SimpleNamespace(
        source=source, labels=y_N, loaded=SimpleNamespace(kept=np.arange(40))
    )
    return prepared, SimpleNamespace(places=np.arange(20, 40), p_NK=p_NK)


def test_a_label_that_the_network_is_sure_is_wrong_is_listed(
    data: tuple[Any, Any], tmp_path: Path
) -> None:
    prepared, tested = data
    prepared.labels[[24, 31]] ^= 1
    tested.p_NK[11] = [0.01, 0.99] if tested.p_NK[11, 1] > 0.5 else [0.99, 0.01]
    assert write_suspects(tmp_path, prepared, tested) == 2
    with (tmp_path / "suspects.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["#31", "#24"]  # the surest first
    assert [(row["label"], row["probably"]) for row in rows] == [("cat", "dog"), ("dog", "cat")]


def test_a_model_in_doubt_accuses_no_label(data: tuple[Any, Any], tmp_path: Path) -> None:
    prepared, tested = data
    (tmp_path / "suspects.csv").write_text("of an earlier session")
    tested.p_NK[4] = [0.6, 0.4] if tested.p_NK[4, 1] > 0.5 else [0.4, 0.6]
    assert write_suspects(tmp_path, prepared, tested) == 0
    assert not (tmp_path / "suspects.csv").exists()
