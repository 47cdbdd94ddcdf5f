"""The base install predicts, without torch: tried in `.base-venv`, where `make setup` put it alone.

What a person would do is done here: the commands run as processes of that environment.
"""

import importlib.metadata
import json
import os
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

import tunesmith as ts

BASE = Path(__file__).parents[1] / ".base-venv"
BIN = BASE / ("Scripts" if os.name == "nt" else "bin")

if os.environ.get("CI") != "true" and not (BASE / "ready").exists():
    pytest.skip("There is no `.base-venv`: run `make setup`.", allow_module_level=True)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of the base environment, outside the repository."""
    program, *arguments = map(str, command)
    return subprocess.run(
        [str(BIN / program), *arguments], check=False, capture_output=True, text=True, cwd=cwd
    )


def packages_of_extra(extra: str) -> list[str]:
    """Return the names of the packages that an extra of Tunesmith installs."""
    requirements = importlib.metadata.requires("tunesmith") or []
    ours = [line for line in requirements if re.search(rf"extra == ['\"]{extra}['\"]", line)]
    return [re.split(r"[^\w.-]", line)[0] for line in ours]


@pytest.fixture
def images(tmp_path: Path) -> dict[Path, str]:
    """Write 40 digits as PNG files; return the label of each."""
    digits = load_digits()
    (tmp_path / "new").mkdir()
    labels = {}
    for number in range(40):
        path = tmp_path / "new" / f"{number:02}.png"
        cv2.imwrite(str(path), np.round(digits.images[number] * (255 / 16)).astype(np.uint8))
        labels[path] = str(digits.target[number])
    return labels


def test_no_package_of_the_train_extra_is_there(tmp_path: Path) -> None:
    names = packages_of_extra("train")
    assert "torch" in names
    code = (
        "import importlib.metadata, json\n"
        "print(json.dumps([d.name for d in importlib.metadata.distributions()]))"
    )
    done = run("python", "-c", code, cwd=tmp_path)
    installed = {name.lower() for name in json.loads(done.stdout)}
    assert "tunesmith" in installed
    assert installed.isdisjoint(names)


def test_the_command_predicts(digits_run: Path, images: dict[Path, str], tmp_path: Path) -> None:
    done = run("tunesmith", "predict", digits_run / "bundle", "new", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answers = {Path(answer["name"]).name: answer["label"] for answer in json.loads(done.stdout)}
    expected = ts.load(digits_run / "bundle").predict(list(images))
    assert answers == {Path(each.name).name: each.label for each in expected}


def test_python_predicts_arrays(digits_run: Path, tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np, tunesmith as ts\n"
        "model = ts.load(sys.argv[1])\n"
        "p = model.probabilities(np.zeros((3, 8, 8, 1), np.uint8))\n"
        "assert p.shape == (3, len(model.classes)), p.shape\n"
        "assert np.allclose(p.sum(1), 1, atol=1e-5)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = run("python", "-c", code, str(digits_run / "bundle"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_fit_names_the_line_that_installs_what_is_missing(tmp_path: Path) -> None:
    done = run("tunesmith", "fit", "digits", "--budget", "20s", cwd=tmp_path)
    assert done.returncode == 2
    # The terminal may break the sentence anywhere between two words.
    assert 'pip install ".[train]"' in " ".join((done.stdout + done.stderr).split())
