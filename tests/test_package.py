"""Tests of `tunesmith` as a package: its public names, and what importing it costs."""

import importlib.metadata
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import tunesmith

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tunesmith"
HEAVY = ("torch", "cv2", "onnxruntime")


def imported_by(code: str, *, heavy: tuple[str, ...]) -> set[str]:
    """Run code in a fresh interpreter and tell which heavy packages it imported."""
    report = f"import sys; print(*({set(heavy)!r} & sys.modules.keys()), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], check=True, capture_output=True, text=True
    )
    return set(done.stderr.split())


def test_all_is_sorted_and_each_name_is_there() -> None:
    assert list(tunesmith.__all__) == sorted(set(tunesmith.__all__))
    for name in tunesmith.__all__:
        assert getattr(tunesmith, name) is not None
        assert name in dir(tunesmith)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tunesmith' has no attribute 'fits'"):
        _ = tunesmith.fits  # type: ignore[attr-defined]


def test_the_version_is_that_of_the_installed_package() -> None:
    assert tunesmith.__version__ == importlib.metadata.version("tunesmith")


def test_importing_tunesmith_imports_nothing_heavy() -> None:
    assert imported_by("import tunesmith", heavy=(*HEAVY, "numpy", "pydantic")) == set()


def test_loading_a_bundle_needs_no_torch() -> None:
    assert imported_by("from tunesmith import load", heavy=("torch",)) == set()


def test_tuning_a_function_needs_nothing_heavy() -> None:
    heavy = (*HEAVY, "optuna", "hyperopt", "scipy")
    assert imported_by("from tunesmith import tune", heavy=heavy) == set()


@pytest.mark.parametrize("verb", [[], ["fit"], ["tune"], ["predict"], ["report"], ["doctor"]])
def test_help_imports_nothing_heavy(verb: list[str]) -> None:
    code = f"""
import contextlib, runpy, sys
sys.argv = ["tunesmith", *{verb!r}, "--help"]
with contextlib.suppress(SystemExit):
    runpy.run_module("tunesmith", run_name="__main__")
"""
    assert imported_by(code, heavy=HEAVY) == set()


def test_python_m_tunesmith_is_the_command() -> None:
    command = [sys.executable, "-m", "tunesmith", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for verb in ("fit", "tune", "predict", "report", "doctor"):
        assert verb in done.stdout


def test_a_wheel_carries_every_file_that_is_not_code() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        globs = tomllib.load(file)["tool"]["setuptools"]["package-data"]["tunesmith"]
    files = [f.relative_to(PACKAGE).as_posix() for f in PACKAGE.rglob("*") if f.is_file()]
    data = [name for name in files if not name.endswith((".py", ".pyc"))]
    assert [name for name in data if not any(fnmatch(name, glob) for glob in globs)] == []
