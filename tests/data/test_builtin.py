"""Tests of `tunesmith.data.builtin`."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits as known_digits

from tunesmith.core.errors import SourceError
from tunesmith.data import builtin
from tunesmith.data.builtin import REMOTES, cache, find, lacking, load_digits, locate, places


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has all places to look at: `own`, `shared` and `cache`."""
    monkeypatch.setenv("TUNESMITH_DATA", str(tmp_path / "own"))
    monkeypatch.setenv(
        "XDG_DATA_DIRS", str(tmp_path / "none") + os.pathsep + str(tmp_path / "shared")
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_digits_are_the_known_ones_from_black_to_white() -> None:
    data, known = load_digits(), known_digits()
    assert np.shape(data.images) == (1797, 8, 8, 1)
    assert data.classes == tuple("0123456789")
    assert np.array_equal(data.labels, known.target)
    x_NHW = np.asarray(data.images)[..., 0]
    assert (x_NHW.min(), x_NHW.max()) == (0, 255)
    assert np.array_equal(np.rint(x_NHW * (16 / 255)), known.images)  # nothing is lost


def test_the_user_s_own_folder_comes_before_the_system_s_and_the_cache(elsewhere: Path) -> None:
    assert find("mnist") is None
    for remote in REMOTES["mnist"]:
        assert find("mnist") is None  # one file alone is no data set
        cache("mnist").mkdir(parents=True, exist_ok=True)
        (cache("mnist") / remote.name).write_bytes(b"")
    assert find("mnist") == cache("mnist") == elsewhere / "cache" / "tunesmith" / "mnist"
    for name in ("shared/datasets/mnist", "own/mnist.zip", "own/mnist"):
        (elsewhere / name).mkdir(parents=True)
        assert find("mnist") == locate("mnist") == elsewhere / name
    assert find("cifar10") is None


def test_without_a_word_of_the_user_the_usual_places_are_looked_at(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TUNESMITH_DATA", "XDG_DATA_DIRS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    assert places("mnist") == [
        Path("/usr/local/share/datasets/mnist"),
        Path("/usr/share/datasets/mnist"),
        cache("mnist"),
    ]
    assert cache("mnist").is_relative_to(Path.home())


def test_without_a_home_downloads_go_to_temporary_files(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(builtin, "expanded", Path)
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    assert cache("mnist").is_relative_to(elsewhere)


def test_a_name_lacks_its_files_until_it_is_found(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(elsewhere)
    assert lacking("mnist") == lacking(Path("mnist")) == REMOTES["mnist"]
    assert lacking("digits") == lacking("photos") == lacking(None) == lacking(([], [])) == ()
    Path("mnist").mkdir()  # a folder of that name is what the user means
    assert lacking("mnist") == ()
    (elsewhere / "own" / "cifar10").mkdir(parents=True)
    assert lacking("cifar10") == ()


def test_a_place_that_may_not_be_entered_has_nothing(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.stat

    def refuse(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(str(elsewhere)):  # as in the home of another user
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return honest(path, *arguments, **options)

    monkeypatch.chdir(Path(__file__).parent)
    monkeypatch.setattr(os, "stat", refuse)
    assert find("mnist") is None
    assert lacking("mnist") == REMOTES["mnist"]


def test_what_is_nowhere_names_the_places(elsewhere: Path) -> None:
    with pytest.raises(SourceError, match=r"mnist is at none of .*own.mnist\.zip, .*Put it there"):
        locate("mnist")


def test_downloads_are_pinned_and_encrypted_on_their_way() -> None:
    for remote in (remote for remotes in REMOTES.values() for remote in remotes):
        assert len(bytes.fromhex(remote.sha256)) == 32
        assert len(remote.mirrors) >= 2
        assert all(url.startswith("https://") and url.endswith("/") for url in remote.mirrors)
