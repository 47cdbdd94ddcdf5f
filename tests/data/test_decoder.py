"""Tests of `tunesmith.data.decoder`."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.conftest import encode_png

from tunesmith.core.errors import InternalError
from tunesmith.core.pixels import decode_or_say
from tunesmith.data import decoder as module
from tunesmith.data.decoder import Decoder, Decoders, Limits, Named
from tunesmith.data.examine import Examined, examine

Pixels = NDArray[np.uint8]
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (1 + i, 7, (1, 3, 4)[i % 3]), dtype=np.uint8) for i in range(9)]
FILES = [encode_png(image) for image in IMAGES]
LARGE = encode_png(np.zeros((6000, 6000, 1), np.uint8))


def run(
    files: list[bytes], channels: int | None = None, limits: Limits = module.DEFAULT
) -> list[Pixels | str]:
    with Decoders(1, limits) as pool, pool.one() as decoder:
        images = decoder.decode(files, channels)
        return [image if isinstance(image, str) else image.copy() for image in images]


def same(found: Pixels | str, expected: Pixels | str) -> bool:
    return np.array_equal(found, expected)


def pid_of(decoder: Decoder) -> int:
    assert decoder._process
    return decoder._process._popen.pid


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_a_process_gives_what_decoding_here_gives(channels: int | None) -> None:
    files = [*FILES, b"", b"a text", FILES[0][:-9], *FILES]
    expected = [decode_or_say(file, channels) for file in files]
    assert all(map(same, run(files, channels), expected))


def examined(files: Sequence[Named]) -> list[Examined | str | None]:
    with Decoders(1) as pool, pool.one() as decoder:
        images = decoder.examine(files, None)
        return [image if isinstance(image, str) else image.examined for image in images]


@pytest.mark.parametrize("has_limits", [True, False])
def test_files_with_names_are_examined_as_here(
    monkeypatch: pytest.MonkeyPatch, has_limits: bool
) -> None:
    monkeypatch.setattr(module, "HAS_LIMITS", has_limits)
    files = [*FILES, FILES[0] + b"#!/bin/sh", FILES[1] + bytes(9), FILES[1] + bytes(9)]
    names = [f"a/{place}.{'jpg' if place == 4 else 'png'}" for place in range(len(files))]
    found = examined(list(zip(files, names, strict=True)))
    assert found == [examine(file, name) for file, name in zip(files, names, strict=True)]
    assert [place for place, each in enumerate(found) if found[0] != each] == [4, 9, 10, 11]


@pytest.mark.parametrize("has_limits", [True, False])
def test_what_has_no_name_or_cannot_be_decoded_is_not_examined(
    monkeypatch: pytest.MonkeyPatch, has_limits: bool
) -> None:
    monkeypatch.setattr(module, "HAS_LIMITS", has_limits)
    found = examined([(FILES[0], None), (b"", "1.png"), (FILES[1], "2.png")])
    assert found == [None, "the file is empty", Examined(format="PNG", findings=())]


@pytest.mark.usefixtures("faults")
def test_examinations_belong_to_their_files_though_a_process_dies() -> None:
    files = [(FILES[0], "0.jpg"), (b"exit", "1.png"), (FILES[1], "2.png")]
    first, second, third = examined(files)
    assert first == examine(FILES[0], "0.jpg")
    assert second == "it crashed the decoder (exit status 7)"
    assert third == examine(FILES[1], "2.png")


def test_more_pixels_than_there_is_room_for_come_in_several_answers() -> None:
    found = run([LARGE, FILES[1], LARGE, FILES[2]])
    assert [image.shape for image in found if not isinstance(image, str)] == [
        (6000, 6000, 1), IMAGES[1].shape, (6000, 6000, 1), IMAGES[2].shape
    ]  # fmt: skip
    assert same(found[1], IMAGES[1])
    assert same(found[3], IMAGES[2])


@pytest.mark.usefixtures("faults")
@pytest.mark.parametrize(
    ("fault", "reason", "limits"),
    [
        (b"signal 11", "it crashed the decoder (signal 11)", Limits()),
        (b"signal 9", "it crashed the decoder (signal 9)", Limits()),
        (b"exit", "it crashed the decoder (exit status 7)", Limits()),
        (b"error", "it crashed the decoder (exit status 1)", Limits()),
        (b"allocate", "decoding it needs more memory than there is", Limits()),
        (b"compute", "decoding it needed more than 600 s", Limits(cpu_s=600)),
        (b"wait", "decoding it took more than 900 s", Limits(wall_s=900)),
    ],
)
def test_a_file_that_breaks_its_process_costs_nothing_else(
    fault: bytes, reason: str, limits: Limits
) -> None:
    found = run([*FILES, fault, *FILES, fault], limits=limits)
    assert found.pop(len(FILES)) == found.pop() == reason
    assert all(map(same, found, [*IMAGES, *IMAGES]))


@pytest.mark.usefixtures("faults")
def test_a_file_is_not_blamed_for_what_another_did_to_the_process() -> None:
    found = run([FILES[0], b"spoil", FILES[1]])
    assert same(found[0], IMAGES[0])
    assert same(found[2], IMAGES[1])


def test_a_real_image_that_asks_for_too_much_is_named() -> None:
    slow, large = Limits(cpu_s=0.001), Limits(memory=20_000_000)
    assert run([LARGE], limits=slow) == ["decoding it needed more than 0.001 s"]
    assert run([LARGE], limits=large) == ["decoding it needs more memory than there is"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_process_killed_from_outside_costs_nothing(faults: Path, number: signal.Signals) -> None:
    def kill(process: int) -> None:
        while not (faults / "met").exists():
            time.sleep(0.01)
        os.kill(process, number)

    with Decoders(1) as pool, pool.one() as decoder:
        list(decoder.decode(FILES[:1], 1))
        first = pid_of(decoder)
        killer = threading.Thread(target=kill, args=[first], daemon=True)
        killer.start()
        images = decoder.decode([*FILES, b"meet", *FILES], 1)
        shapes = [image if isinstance(image, str) else image.shape for image in images]
        killer.join()
        assert pid_of(decoder) != first
    expected = [(*image.shape[:2], 1) for image in IMAGES]
    assert shapes == [*expected, (1, 1, 1), *expected]


def test_threads_have_processes_of_their_own_and_only_as_many_as_ask() -> None:
    with Decoders(3) as pool:
        with pool.one() as one, pool.one() as other:
            for decoder in (one, other):
                assert same(next(decoder.decode(FILES[:1], None)), IMAGES[0])
            pids = {pid_of(one), pid_of(other)}
        assert len(pids) == 2
        for _ in range(4):
            with pool.one() as decoder:
                assert pid_of(decoder) in pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_ctrl_c_does_not_reach_a_process() -> None:
    with Decoders(1) as pool, pool.one() as decoder:
        list(decoder.decode(FILES, None))
        assert os.getpgid(pid_of(decoder)) != os.getpgrp()


def test_processes_end_with_the_one_that_started_them() -> None:
    code = (
        "import sys\n"
        "from tunesmith.data.decoder import *\n"
        "decoder = Decoder()\n"
        "list(decoder.decode([b'x'], None))\n"
        "print(decoder._process._popen.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 300
    with contextlib.suppress(OSError):  # once it is gone
        while Path(f"/proc/{pid}/cmdline").read_bytes():
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_process_that_does_not_start_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "WORKER", "tunesmith.no_such_module")
    with pytest.raises(InternalError, match=r"one did not start \(exit status 1\).* python -m"):
        run(FILES)
    assert "No module named tunesmith.no_such_module" in capfd.readouterr().err


def test_damaged_files_leave_the_terminal_alone(capfd: pytest.CaptureFixture[str]) -> None:
    run([FILES[1][:cut] + b"x" + FILES[1][cut + 1 :] for cut in range(16, len(FILES[1]))])
    assert capfd.readouterr() == ("", "")


def test_no_code_is_taken_from_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "numpy", "cv2", "tunesmith"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert all(map(same, run(FILES), IMAGES))


def test_pixels_may_be_shared_through_any_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_shared_file", tempfile.TemporaryFile)  # as under macOS
    assert all(map(same, run([*FILES, LARGE]), IMAGES))


def test_without_limits_files_are_decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HAS_LIMITS", False)
    decoder = Decoder()
    assert all(map(same, decoder.decode(FILES, None), IMAGES))
    assert decoder._process is None
