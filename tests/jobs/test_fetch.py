"""Tests of `tunesmith.jobs.fetch`: a name, a server on this machine, and what is told meanwhile."""

import gzip
import hashlib
import io
import itertools
import math
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError, SourceError
from tunesmith.data import builtin
from tunesmith.data.arrays import IDX_STEMS
from tunesmith.data.builtin import Remote
from tunesmith.data.source import Given
from tunesmith.jobs.fetch import fetch, open_data

CLOCK = Clock(budget=100, now=lambda: 0.0)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a tiny `mnist` from this machine; return where it will be kept."""
    (tmp_path / "served").mkdir()
    digits = np.arange(2 * 9, dtype=np.uint8)
    for images, labels in IDX_STEMS.values():
        for stem, head, values in (
            (images, (0x803, 18, 28, 28), digits.repeat(28 * 28)),
            (labels, (0x801, 18), digits % 9),
        ):
            content = b"".join(number.to_bytes(4) for number in head) + values.tobytes()
            (tmp_path / "served" / f"{stem}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        remotes = tuple(
            Remote(file.name, len(content), hashlib.sha256(content).hexdigest(), (url,))
            for file in sorted((tmp_path / "served").iterdir())
            for content in [file.read_bytes()]
        )
        monkeypatch.setitem(builtin.REMOTES, "mnist", remotes)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield tmp_path / "cache" / "tunesmith" / "mnist"
        server.shutdown()
        thread.join()


def test_a_name_is_downloaded_once_and_opened(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.jobs.fetch.PLAIN_EVERY_S", math.inf)
    found = open_data("mnist", None, {}, clock=CLOCK)
    assert (found.name, len(found.classes)) == ("mnist", 9)
    assert found.given.tolist() == [Given.TRAIN] * 18 + [Given.TEST] * 18
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["fetching mnist: 0.0 MB of 0.0 MB"] * 2  # the first and the last
    assert {file.name for file in cache.iterdir()} == {
        ".lock",
        *(remote.name for remote in builtin.REMOTES["mnist"]),
    }
    assert open_data("mnist", None, {}, clock=CLOCK).identity == found.identity
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_one_line_that_is_written_over(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    fetch("mnist", clock=CLOCK, quiet=False)
    assert screen.getvalue().startswith("\rfetching mnist: 0.0 MB of 0.0 MB")
    assert screen.getvalue().endswith("\n")
    assert screen.getvalue().count("\n") == 1


def test_a_quiet_run_says_nothing(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch("mnist", clock=CLOCK, quiet=True)
    assert cache.is_dir()
    assert capsys.readouterr() == ("", "")


def test_what_no_mirror_has_is_told(cache: Path) -> None:
    for file in (cache.parents[2] / "served").glob("t10k*"):
        file.unlink()
    with pytest.raises(SourceError, match=r"t10k-images.* could not be downloaded: .* answers 404"):
        open_data("digits", "mnist", {}, clock=CLOCK)


def late_after(checks: int) -> Clock:
    """A clock of which the budget is over when it is asked once more than a few times."""
    times = itertools.chain([0.0] * (1 + checks), itertools.repeat(61.0))
    return Clock(budget=60, now=lambda: next(times))


def test_a_download_that_outlasts_the_budget_is_kept_for_the_next_run(cache: Path) -> None:
    late = late_after(7)  # two times for each of the four files, but for the last
    with pytest.raises(
        SettingsError, match=r"mnist has used up the budget of 1 min 00 s\. It is k"
    ):
        open_data("mnist", None, {}, clock=late)
    assert open_data("mnist", None, {}, clock=late).name == "mnist"


@pytest.mark.parametrize("checks", range(7))
def test_a_download_stops_at_the_end_of_the_budget_and_goes_on_later(
    cache: Path, checks: int
) -> None:
    with pytest.raises(SettingsError, match=r"budget of 1 min 00 s\. 0\.0 MB of 0\.0 MB are there"):
        open_data("mnist", None, {}, clock=late_after(checks))
    whole = [file for file in cache.iterdir() if file.suffix == ".gz"]
    assert len(whole) == checks // 2
    assert open_data("mnist", None, {}, clock=CLOCK).name == "mnist"
