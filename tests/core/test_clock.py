"""Tests of `tunesmith.core.clock`."""

import subprocess
import sys

import pytest

from tunesmith.core.clock import Clock, process_age


def test_earlier_sessions_count() -> None:
    now = iter([100.0, 103.0, 107.0])
    clock = Clock(budget=60, spent=20, now=lambda: next(now))
    assert clock.elapsed() == 23
    assert clock.left() == 33


def test_a_phase_is_booked_even_if_it_fails() -> None:
    now = iter([0.0, 1.0, 3.0, 5.0, 6.0])
    clock = Clock(budget=60, now=lambda: next(now))
    with pytest.raises(ZeroDivisionError), clock.phase("train"):
        raise ZeroDivisionError
    with clock.phase("train"):
        pass
    assert clock.phases == {"train": 3.0}


def test_a_phase_inside_another_is_booked_once() -> None:
    now = iter([0.0, 1.0, 3.0, 7.0, 8.0])
    clock = Clock(budget=60, now=lambda: next(now))
    with clock.phase("train"), clock.phase("search"):
        pass
    assert clock.phases == {"search": 4.0, "train": 3.0}


def test_what_is_told_in_the_middle_of_phases_includes_them() -> None:
    now = iter([0.0, 1.0, 3.0, 7.0, 8.0, 10.0, 11.0, 12.0])
    clock = Clock(budget=60, phases={"train": 1.0}, now=lambda: next(now))
    with clock.phase("train"):
        with clock.phase("search"):
            assert clock.phases_so_far() == {"train": 3.0, "search": 4.0}
        assert clock.phases_so_far() == {"train": 5.0, "search": 5.0}
    assert clock.phases == clock.phases_so_far() == {"train": 6.0, "search": 5.0}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's start")
def test_the_age_of_a_process_includes_its_start() -> None:
    code = "import time; time.sleep(0.5); from tunesmith.core import clock as c"
    code += "; print(c.process_age())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert float(done.stdout) >= 0.5
    assert process_age() > 0
