"""Tests of `tunesmith.data.worker`; those of `tunesmith.data.decoder` start it as a process."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from tests.conftest import encode_png

from tunesmith.data import worker
from tunesmith.data.worker import fill

IMAGES = [np.full((4, 5, 3), i, np.uint8) for i in range(6)]
FILES = [encode_png(image) for image in IMAGES]


def test_pixels_lie_one_behind_the_other_and_equal_examinations_are_one() -> None:
    room = np.zeros(1000, np.uint8)
    files = [(FILES[1], "1.png"), (b"", "2.png"), (FILES[2], None), (FILES[3], "3.jpg")]
    answer = fill(room, [*files, (FILES[4], "4.png")], 3, enough=None, cpu_s=9, wall_s=9)
    assert answer["images"] == [
        (4, 5, 3, 4, 5, 0), "the file is empty", (4, 5, 3, 4, 5, 1), (4, 5, 3, 4, 5, 2),
        (4, 5, 3, 4, 5, 0),
    ]  # fmt: skip
    misnamed = ["PNG", [["name", "its name ends in .jpg, but it is a PNG"]], []]
    assert answer["examined"] == [["PNG", [], []], None, misnamed]
    assert room.tolist() == [1] * 60 + [2] * 60 + [3] * 60 + [4] * 60 + [0] * 760


def test_an_answer_ends_where_the_room_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FULL", 100)
    answer = fill(
        np.zeros(1000, np.uint8),
        [(file, None) for file in FILES],
        3,
        enough=None,
        cpu_s=9,
        wall_s=9,
    )
    assert len(answer["images"]) == 2


def run(code: str) -> int:
    prefix = (
        "from tunesmith.data.worker import *\n"
        "alarms = signal.ITIMER_PROF, signal.ITIMER_REAL\n"
        "def left(): return [signal.getitimer(alarm)[0] for alarm in alarms]\n"
    )
    done = subprocess.run([sys.executable, "-c", prefix + code], check=False, capture_output=True)
    return done.returncode


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("set_alarms(0.1, 600)\nwhile True: pass", -signal.SIGPROF),
        ("set_alarms(600, 0.1)\ntime.sleep(600)", -signal.SIGALRM),
        ("set_alarms(60, 90)\nassert min(left()) > 30", 0),
        ("set_alarms(60, 90)\nset_alarms(0, 0)\nassert left() == [0, 0]", 0),
        ("limit_memory(10**8)\nnp.ones(2 * 10**8, np.uint8)", 1),
        ("limit_memory(10**8)\nnp.ones(5 * 10**7, np.uint8)", 0),
        ("resource.setrlimit(resource.RLIMIT_AS, (4 * 10**9,) * 2)\nlimit_memory(10**10)", 0),
    ],
)
def test_the_system_holds_a_process_to_its_limits(code: str, status: int) -> None:
    assert run(code) == status
