"""Tests of `tunesmith.execution.machine`."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.optional import install
from tunesmith.execution import machine
from tunesmith.execution.machine import doctor, measure, peak_memory_bytes


def test_this_machine(tmp_path: Path) -> None:
    found = measure(tmp_path)
    assert found.cores >= 1
    assert found.memory_bytes > 10**8
    assert found.disk_free_bytes > 0
    assert peak_memory_bytes() > 10**6


@pytest.mark.parametrize(("limit", "cores"), [("150000 100000", 1), ("max 100000", None)])
def test_a_container_s_limits_count(tmp_path: Path, limit: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    (tmp_path / "memory.max").write_text("500000000" if cores else "max")
    whole = machine._memory(tmp_path / "none")
    assert machine._memory(tmp_path) == (500_000_000 if cores else whole)


def test_the_least_memory_of_nested_groups_counts(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/outer/inner\n")
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / "memory.max").write_text("400000000\n")
    (tmp_path / "outer" / "inner" / "memory.max").write_text("max\n")
    assert machine._memory(tmp_path, tmp_path / "own") == 400_000_000


def test_the_doctor_names_the_line_that_installs_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert all(check.ok for check in doctor() if "packages" in check.name)
    monkeypatch.setattr(machine, "TRAIN", ("torch", "no-such-package"))
    (bad,) = [check for check in doctor() if not check.ok and "packages" in check.name]
    assert bad.detail == "missing: no-such-package"
    assert bad.fix == install("train")


def test_the_doctor_counts_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 1)
    (found,) = [check for check in doctor() if check.name == "processor"]
    assert found.detail.startswith("1 core, ")


def test_the_doctor_names_data_sets_and_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "mnist.zip").touch()
    (found,) = [check for check in doctor() if check.name == "data sets"]
    assert f"mnist in {tmp_path / 'mnist.zip'}; " in found.detail
    assert "cifar10 will be downloaded" in found.detail


def test_the_doctor_names_a_wrong_number_of_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_MOST_PIXELS", "40M")
    (found,) = [check for check in doctor() if check.name == "largest image"]
    assert not found.ok
    assert "but got '40M'" in found.fix


def test_the_doctor_names_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = [check for check in doctor() if check.name == "GPU"]
    assert found.ok
    assert found.detail
    gpu = replace(measure(Path()), cuda=("NVIDIA A100",), cuda_bytes=(40_000_000_000,))
    monkeypatch.setattr(machine, "measure", lambda _: gpu)
    (found,) = [check for check in doctor() if check.name == "GPU"]
    assert found.detail.startswith("NVIDIA A100 (40.0 GB, cuda)")


def test_measuring_imports_no_torch() -> None:
    code = "import sys; from pathlib import Path; from tunesmith.execution.machine import measure"
    code += "; measure(Path())"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
