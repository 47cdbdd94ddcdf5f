"""Tests of `tunesmith.records.cache`."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tunesmith.records.cache import FILE, UNUSED, Cache, key_of

KEYS = [key_of("test", bytes([number])) for number in range(50)]
VALUES = {key: bytes([number]) * 900 for number, key in enumerate(KEYS)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a cache with values."""
    with Cache(tmp_path / FILE) as cache:
        cache.put(VALUES)
        assert not cache.trouble
    return tmp_path / FILE


def kept(path: Path) -> dict[bytes, bytes]:
    with Cache(path) as cache:
        return cache.get([*KEYS, b"another"])


def test_what_was_put_is_there_again(path: Path) -> None:
    assert kept(path) == VALUES
    assert [file.name for file in path.parent.iterdir()] == [FILE]


def test_without_a_file_it_is_kept_for_the_process() -> None:
    with Cache(None) as cache:
        cache.put(VALUES)
        assert cache.get(KEYS) == VALUES


def test_a_cache_says_whether_it_was_empty(path: Path, tmp_path: Path) -> None:
    with Cache(tmp_path / "new.db") as new, Cache(path) as old:
        assert new.was_empty
        assert not old.was_empty
        new.put(VALUES)
        assert new.was_empty  # when it was opened
    with Cache(tmp_path / "new.db") as again:
        assert not again.was_empty


def test_names_depend_on_everything() -> None:
    row_HW = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert key_of("a", row_HW) == key_of("a", row_HW.tobytes()) == key_of("a", row_HW.copy())
    assert len({key_of("a", row_HW), key_of("b", row_HW), key_of("a", row_HW, b"")}) == 3


def test_once_is_computed_once(path: Path) -> None:
    asked = []

    def compute() -> dict[str, list[int]]:
        asked.append(1)
        return {"places": [1, 2]}

    for _ in range(2):
        with Cache(path) as cache:
            assert cache.once("places", [b"x"], compute) == {"places": [1, 2]}
    assert len(asked) == 1
    with Cache(path) as cache:
        cache.once("places", [b"y"], compute)
    assert len(asked) == 2


def test_many_threads_at_once(tmp_path: Path) -> None:
    with Cache(tmp_path / FILE) as cache, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: cache.put({key: VALUES[key]}), KEYS))
        found = list(pool.map(lambda key: cache.get([key]), KEYS))
    assert found == [{key: VALUES[key]} for key in KEYS]


def test_a_killed_process_has_kept_what_it_put(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tunesmith.records.cache import Cache, key_of\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "cache.put({key_of('test', bytes([0])): bytes(900)})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / FILE)], check=False)
    assert kept(tmp_path / FILE) == {KEYS[0]: VALUES[KEYS[0]]}


def test_a_damaged_value_is_not_believed(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("UPDATE kept SET value = zeroblob(900) WHERE key = ?", (KEYS[7],))
    database.execute("UPDATE kept SET value = 'text' WHERE key = ?", (KEYS[8],))
    # A whole row at another's place.
    database.execute("UPDATE kept SET key = ? WHERE key = ?", (b"another", KEYS[9]))
    database.commit()
    database.close()
    assert kept(path) == {key: VALUES[key] for key in KEYS if key not in KEYS[7:10]}
    with Cache(path) as cache:
        cache.put({KEYS[7]: VALUES[KEYS[7]]})
        assert cache.get(KEYS[:8]) == {key: VALUES[key] for key in KEYS[:8]}


@pytest.mark.parametrize("position", [0, 30, 120, 4096, 5000, 8200, 20_000])
def test_no_damage_to_the_file_makes_it_lie(path: Path, position: int) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:position] + b"\xff" * 40 + whole[position + 40 :])
    found = kept(path)
    assert found.items() <= VALUES.items()


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_a_file_cut_off(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    assert kept(path) == {}


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE theirs (value TEXT)")
    database.commit()
    database.close()
    before = path.read_bytes()
    with Cache(path) as cache:
        cache.put(VALUES)
        assert cache.get(KEYS) == {}
        assert cache.once("one", [], lambda: 1) == 1
        cache.finish()
        assert cache.trouble == "another program, or another version, wrote it"
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with Cache(tmp_path / "none" / FILE) as cache:
        cache.put(VALUES)
        assert cache.trouble == "unable to open database file"
        assert cache.get(KEYS) == {}


def test_what_is_not_used_any_more_is_removed(path: Path) -> None:
    for _ in range(UNUSED + 1):
        assert len(kept(path)) == len(KEYS)  # a job that does not finish counts for nothing
    for _ in range(UNUSED + 1):
        with Cache(path) as cache:
            cache.get(KEYS[:3])
            cache.finish()
    assert kept(path) == {key: VALUES[key] for key in KEYS[:3]}
