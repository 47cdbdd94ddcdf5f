"""Tests of `tunesmith.jobs.search.shared`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.jobs.conftest import mounted
from tests.jobs.search.conftest import JOB
from torch import nn

from tunesmith.core.errors import CodeChangedError, RunFolderError
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.search import shared
from tunesmith.jobs.search.shared import HANDED_ON, opened, share, work
from tunesmith.models.build import find_family


def test_a_full_disk_is_told_and_nothing_is_left_on_it(
    candidate: Candidate, tmp_path: Path
) -> None:
    rest, held = candidate.prepared.without_fold(0)
    disk = tmp_path / "small"
    with mounted(disk, "size=16k"):  # the images alone need 26 kB
        with pytest.raises(RunFolderError, match=r"no space left for .*data\. .* --out"):
            share(disk / "data", candidate, rest, held, **JOB)
        assert not list(disk.iterdir())


def test_what_a_power_cut_left_in_part_is_written_anew(
    candidate: Candidate, tmp_path: Path
) -> None:
    rest, held = candidate.prepared.without_fold(0)
    share(tmp_path / "data", candidate, rest, held, **JOB)
    images = (tmp_path / "data" / "images.npy").read_bytes()
    for left in (b"", b"[]", b"\xff", None):
        (tmp_path / "data" / "job.json").unlink()
        if left is not None:
            (tmp_path / "data" / "job.json").write_bytes(left)
        (tmp_path / "data" / "images.npy").write_bytes(b"")
        share(tmp_path / "data", candidate, rest, held, **JOB)
        assert (tmp_path / "data" / "images.npy").read_bytes() == images
        assert json.loads((tmp_path / "data" / "job.json").read_text())["threads"] == 1
    assert [folder.name for folder in tmp_path.iterdir()] == ["data"]


def test_a_later_start_may_train_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**JOB, "metric": "macro_f1", "device": "cuda", "threads": 8}))
    assert shared._renewed(path, JOB)
    assert json.loads(path.read_text()) == {**JOB, "metric": "macro_f1"}


def test_numbers_that_layers_hand_on_cost_too(folder: Path) -> None:
    data, conv = opened(folder / "data").data, nn.Conv2d(1, 4, 3)
    operations, numbers = 2 * 9 * 4 * 6 * 6, 4 * 6 * 6
    assert work(conv, data) == operations + HANDED_ON * numbers
    assert work(nn.Sequential(conv, nn.ReLU()), data) == operations + 2 * HANDED_ON * numbers


NETWORK = (
    "from torch import nn\n\ndef build(classes, channels, *, size):\n    return nn.Flatten()\n"
)


def test_a_network_that_was_edited_since_is_refused(candidate: Candidate, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(NETWORK)
    own = replace(candidate, family=find_family("convnet"))
    own = replace(own, family=replace(own.family, source=find_family(f"{file}:build").source))
    share(tmp_path / "data", own, *candidate.prepared.without_fold(0), **JOB)
    opened.cache_clear()
    assert opened(tmp_path / "data").family.source == own.family.source
    file.write_text(f"{NETWORK}\nSIZE = 2\n")
    opened.cache_clear()
    with pytest.raises(CodeChangedError, match=r"net\.py was changed while a search with it ran"):
        opened(tmp_path / "data")
