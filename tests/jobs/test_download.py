"""Tests of `tunesmith.jobs.download`, against servers on this machine that misbehave."""

import hashlib
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from tunesmith.core.errors import SourceError
from tunesmith.data.builtin import Remote
from tunesmith.jobs import download as download_module
from tunesmith.jobs.download import download

CONTENT = bytes(range(250)) * 12  # 3,000 bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Mirror:
    """What a server does, and what it was asked for.

    Attributes:
        content: What it has.
        ranges: Whether it can begin in the middle.
        shift: How far from where it was asked to it begins then.
        cut: Bytes of an answer after which it hangs up.
        status: What it answers.
        length: Whether it says how much it is going to send.
        waits: Set when it may go on after the first ``cut`` bytes.
        asked: The ranges that it was asked for.
    """

    content: bytes = CONTENT
    ranges: bool = True
    shift: int = 0
    cut: int | None = None
    status: int = 200
    length: bool = True
    waits: threading.Event | None = None
    asked: list[str] = field(default_factory=list)
    url: str = ""


class Server(ThreadingHTTPServer):
    mirror: Mirror


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        mirror = cast("Server", self.server).mirror
        mirror.asked.append(self.headers.get("Range", ""))
        begin, size = 0, len(mirror.content)
        found = re.fullmatch(r"bytes=(\d+)-", mirror.asked[-1])
        if found and mirror.ranges:
            begin = int(found[1]) + mirror.shift
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        else:
            self.send_response(mirror.status)
        if mirror.length:
            self.send_header("Content-Length", str(size - begin))
        self.end_headers()
        sent = mirror.content[begin:]
        self.wfile.write(sent[: mirror.cut])
        if mirror.waits:
            mirror.waits.wait(300)
            self.wfile.write(sent[mirror.cut :])

    def log_message(self, *_: object) -> None:
        """Say nothing on standard error."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Mirror], Mirror]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download_module, "PIECE", 100)
    with ExitStack() as at_end:

        def start(mirror: Mirror) -> Mirror:
            server = at_end.enter_context(Server(("127.0.0.1", 0), Handler))
            server.mirror = mirror
            mirror.url = f"http://127.0.0.1:{server.server_port}/"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            at_end.callback(thread.join)
            at_end.callback(server.shutdown)
            return mirror

        yield start


Serve = Callable[[Mirror], Mirror]


def remote(*mirrors: Mirror) -> Remote:
    return Remote("x.bin", len(CONTENT), SHA256, tuple(mirror.url for mirror in mirrors))


def test_a_file_is_fetched_once(tmp_path: Path, serve: Serve) -> None:
    mirror = serve(Mirror())
    steps = list(download(remote(mirror), tmp_path / "new" / "folder"))
    assert steps == list(range(0, 3001, 100))
    assert (tmp_path / "new" / "folder" / "x.bin").read_bytes() == CONTENT
    assert not list(tmp_path.rglob("*.part"))
    assert list(download(remote(mirror), tmp_path / "new" / "folder")) == []
    assert mirror.asked == [""]


def test_a_cut_connection_is_taken_up_again_where_it_was_cut(tmp_path: Path, serve: Serve) -> None:
    mirror = serve(Mirror(cut=1250))
    list(download(remote(mirror), tmp_path))
    assert (tmp_path / "x.bin").read_bytes() == CONTENT
    assert mirror.asked == ["", "bytes=1250-", "bytes=2500-"]


@pytest.mark.parametrize("length", [True, False])
def test_a_server_that_cannot_begin_in_the_middle_sends_all(
    tmp_path: Path, serve: Serve, length: bool
) -> None:
    (tmp_path / "x.bin.part").write_bytes(b"other" * 100)
    mirror = serve(Mirror(ranges=False, length=length))
    assert list(download(remote(mirror), tmp_path))[:2] == [500, 100]
    assert (tmp_path / "x.bin").read_bytes() == CONTENT


def test_what_one_mirror_began_another_ends(tmp_path: Path, serve: Serve) -> None:
    first, second = serve(Mirror(ranges=False, cut=1250)), serve(Mirror())
    list(download(remote(first, second), tmp_path))
    assert (tmp_path / "x.bin").read_bytes() == CONTENT
    assert first.asked == ["", "bytes=1250-"]  # the second time brought nothing more
    assert second.asked == ["bytes=1250-"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Mirror(status=404), "answers 404 Not Found"),
        (Mirror(status=503), "answers 503 Service Unavailable"),
        (Mirror(content=CONTENT[::-1]), f"sent a file of SHA-256 .*, not {SHA256[:12]}"),
        (Mirror(content=b"<html>Please log in"), "sends from byte 0 of 19 on, not from 0 of 3000"),
        (Mirror(content=b"<html>Please log in", length=False), "sends from byte 19 of 19"),
        (Mirror(cut=0), "broke off after 0.0 MB of 0.0 MB"),
    ],
    ids=["not found", "busy", "content", "size", "short", "empty"],
)
def test_a_bad_mirror_is_passed_over_and_named_if_there_is_no_other(
    tmp_path: Path, serve: Serve, bad: Mirror, reason: str
) -> None:
    bad = serve(Mirror(bad.content, cut=bad.cut, status=bad.status, length=bad.length))
    with pytest.raises(SourceError, match=rf"x\.bin could not be downloaded: 127.* {reason}"):
        list(download(remote(bad), tmp_path))
    assert not (tmp_path / "x.bin").exists()
    list(download(remote(bad, serve(Mirror())), tmp_path))
    assert (tmp_path / "x.bin").read_bytes() == CONTENT


def test_a_part_of_another_file_is_thrown_away(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "x.bin.part").write_bytes(b"other" * 100)
    mirror = serve(Mirror())
    list(download(remote(mirror), tmp_path))
    assert (tmp_path / "x.bin").read_bytes() == CONTENT
    assert mirror.asked == ["bytes=500-", ""]


def test_an_answer_from_another_place_is_not_appended(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "x.bin.part").write_bytes(CONTENT[:1000])
    with pytest.raises(SourceError, match="from byte 1007 of 3000 on, not from 1000"):
        list(download(remote(serve(Mirror(shift=7))), tmp_path))
    assert (tmp_path / "x.bin.part").read_bytes() == CONTENT[:1000]


def test_offline_one_sentence_says_where_to_put_the_file(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    closed = Mirror(url=f"http://127.0.0.1:{port}/")
    silent = serve(Mirror(cut=0, waits=threading.Event()))
    monkeypatch.setattr(download_module, "TIMEOUT_S", 0.2)
    with pytest.raises(SourceError) as caught:
        list(download(remote(closed, silent), tmp_path / "digits"))
    assert silent.waits is not None
    silent.waits.set()
    told = str(caught.value)
    assert f"127.0.0.1:{port} cannot be reached (Connection refused); 127.0.0.1:" in told
    assert "cannot be reached (timed out)" in told
    assert f"or fetch http://127.0.0.1:{port}/x.bin elsewhere" in told
    assert f"put it into {tmp_path / 'digits'}, or into the folder digits of the one" in told
    assert "$TUNESMITH_DATA" in told


def test_a_killed_process_is_gone_on_with(tmp_path: Path, serve: Serve) -> None:
    mirror = serve(Mirror(cut=1200, waits=threading.Event()))
    code = (
        "import sys; from pathlib import Path; from tunesmith.jobs import download as d\n"
        "d.PIECE = 100\n"
        f"for done in d.download(d.Remote('x.bin', 3000, {SHA256!r}, (sys.argv[1],)), "
        "Path(sys.argv[2])): print(done, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, mirror.url, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any(line == "1200\n" for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert mirror.waits is not None
    mirror.waits.set()
    assert not (tmp_path / "x.bin").exists()
    assert (tmp_path / "x.bin.part").read_bytes() == CONTENT[:1200]
    assert next(download(remote(mirror), tmp_path)) == 1200
    list(download(remote(mirror), tmp_path))
    assert (tmp_path / "x.bin").read_bytes() == CONTENT
    assert set(mirror.asked) == {"", "bytes=1200-"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such lock")
def test_two_at_once_fetch_once(tmp_path: Path, serve: Serve) -> None:
    mirror = serve(Mirror())
    with ThreadPoolExecutor(4) as pool:
        steps = list(pool.map(lambda _: len(list(download(remote(mirror), tmp_path))), range(4)))
    assert sorted(steps) == [0, 0, 0, 31]
    assert mirror.asked == [""]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError, match=r"x\.bin needs 0\.0 MB in .*name another folder by XDG"):
        list(download(remote(), tmp_path / "file" / "folder"))
