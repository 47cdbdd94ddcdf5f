"""Tests of `tunesmith.jobs.predict`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import encode_png

import tunesmith as ts
from tunesmith.bundle.predictor import Prediction
from tunesmith.data.processes import HAS_LIMITS
from tunesmith.jobs.predict import as_json, predict, words

# Python runs a module of this name in each process that it starts.
SITE = """
import os
from tunesmith.core import pixels

honest = pixels.decode


def decode(encoded, channels=None, **options):
    if bytes(encoded) == b"crash":
        os.abort()
    return honest(encoded, channels, **options)


pixels.decode = decode
"""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Write images."""
    x_NHW1 = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
    (tmp_path / "new").mkdir()
    paths = [tmp_path / "new" / f"{number:02}.png" for number in range(len(x_NHW1))]
    for path, image in zip(paths, x_NHW1, strict=True):
        path.write_bytes(encode_png(image))
    return paths


def test_files_are_answered_as_by_the_model_in_python(digits_run: Path, files: list[Path]) -> None:
    bundle = digits_run / "bundle"
    expected = ts.load(bundle).predict(files)
    assert predict(bundle, files) == expected
    assert predict(bundle, [files[0].parent]) == expected


@pytest.mark.skipif(not HAS_LIMITS, reason="files are decoded in this very process")
def test_a_file_that_crashes_its_decoder_costs_itself_alone(
    digits_run: Path, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    files[5].write_bytes(b"crash")
    files[7].unlink()
    answers = predict(digits_run / "bundle", files)
    errors = {place: each.error for place, each in enumerate(answers) if each.error}
    assert errors == {
        5: "it crashed the decoder (signal 6)",
        7: "it cannot be read: No such file or directory",
    }
    assert all(each.label for place, each in enumerate(answers) if place not in errors)
    (alone,) = predict(digits_run / "bundle", [files[5]])
    assert alone.error == errors[5]


def test_names_of_any_bytes_are_printed_and_steer_no_terminal() -> None:
    answers = [
        Prediction(name="a\udcff\n.png", label="red\x1b[0m", probability=0.75, probabilities=(1,)),
        Prediction(name="b.png", error="the file is empty"),
    ]
    assert words(answers).split("\n") == [
        "a\\xff\\x0a.png\tred\\x1b[0m\t0.7500",
        "b.png\tnot predicted: the file is empty",
    ]
    text = as_json(answers)
    assert text.isascii()
    found = json.loads(text)
    assert [row["name"] for row in found] == ["a\udcff\n.png", "b.png"]  # nothing is lost
    assert found[0].keys() == {"name", "label", "probability", "probabilities", "error"}
    assert found[1]["label"] is None
