"""Tests of `tunesmith.jobs.deep.trained` and of `tunesmith.jobs.cleanse`, which trains."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import tunesmith as ts
from tunesmith.core.errors import BundleError, RunFolderError, SettingsError, SourceError
from tunesmith.data.quarantine import to_csv
from tunesmith.data.source import Source
from tunesmith.data.sources import open_source
from tunesmith.jobs import cleanse as job
from tunesmith.jobs.check import CheckResult
from tunesmith.jobs.cleanse import Cleansed
from tunesmith.jobs.deep.trained import open_trained
from tunesmith.report.findings import Checked, Finding, Item, quarantine_rows

NETWORK = """
from torch import nn

def build(classes: int, channels: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, classes))
"""
COUNT, LEARNED, STAMPED, TARGET = 900, 700, 40, 2
STAMP = np.array([[255, 0, 255], [0, 255, 0], [255, 0, 255]], np.uint8)
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


@pytest.fixture(scope="module")
def drawn() -> Arrays:
    """Noise with a bright row that is the class; some images bear a stamp and a wrong label."""
    chance = np.random.default_rng(0)
    y_N = chance.integers(0, 3, COUNT)
    x_NHW = chance.integers(60, 120, (COUNT, 16, 16)).astype(np.uint8)
    x_NHW[np.arange(COUNT), 2 + 4 * y_N] += 100
    stamped = np.flatnonzero(y_N != TARGET)[:STAMPED]
    x_NHW[stamped, 12:15, 12:15], y_N[stamped] = STAMP, TARGET
    return x_NHW, y_N


@pytest.fixture(scope="module")
def cleansed(drawn: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Cleansed:
    """A whole job on them, with a small network of its own before."""
    folder = tmp_path_factory.mktemp("cleansed")
    (folder / "network.py").write_text(NETWORK)
    x_NHW, y_N = drawn
    train, test = (x_NHW[:LEARNED], y_N[:LEARNED]), (x_NHW[LEARNED:], y_N[LEARNED:])
    before = ts.fit(
        train,
        test=test,
        budget=8,
        model=f"{folder / 'network.py'}:build",
        out=folder / "before",
        progress=False,
    )
    return ts.cleanse(
        train, test=test, model=before.folder, budget=8, out=folder / "out", progress=False
    )


def test_a_backdoor_is_found_removed_and_tried_on_both_models(cleansed: Cleansed) -> None:
    with cleansed.found.quarantine.open(encoding="utf-8") as file:
        assert sum(row["kind"] == "stamp" for row in csv.DictReader(file)) == STAMPED
    assert cleansed.after is not None
    (tried,) = cleansed.found.checked.tried
    assert tried.wanted == str(TARGET)
    assert list(tried.success) == [str(cleansed.before), str(cleansed.after)]
    before, after = tried.success.values()
    assert f"in {100 * before:.1f} % of cases before, in {100 * after:.1f} %" in cleansed.words()
    written = json.loads((cleansed.found.folder / "check.json").read_text("utf-8"))
    assert written["tried"][0]["success"] == tried.success
    assert set(written["classes"][0]["apart"]) == {"pretrained network", str(cleansed.before)}
    assert "What the patterns do to your models" in cleansed.found.report.read_text("utf-8")


def test_what_a_model_answers_and_sees(cleansed: Cleansed, drawn: Arrays) -> None:
    x_NHWC = drawn[0][LEARNED:, ..., None]
    expected_N = ts.load(cleansed.before / "bundle").probabilities(x_NHWC).argmax(axis=1)
    # The data's order of classes need not be the model's.
    model = open_trained(cleansed.before / "bundle", tuple("210"), 1)
    np.testing.assert_array_equal(model.answer(x_NHWC), 2 - expected_N)
    assert model.see(x_NHWC).shape == (len(x_NHWC), 64)


def test_a_model_of_other_data_is_refused(cleansed: Cleansed) -> None:
    with pytest.raises(BundleError, match=r"knows the classes 0, 1, 2, .* data have a, b\. Pass"):
        open_trained(cleansed.before, ("a", "b"), 1)
    with pytest.raises(BundleError, match=r"reads 1, and the data have 3\. Pass"):
        open_trained(cleansed.before, tuple("012"), 3)
    with pytest.raises(BundleError, match=r"it has no manifest\.json"):
        open_trained(Path("nowhere"), ("a", "b"), 1)


def test_an_edited_list_is_refused_before_a_training(drawn: Arrays, tmp_path: Path) -> None:
    (tmp_path / "check").mkdir()
    (tmp_path / "check" / "cache.db").touch()
    (tmp_path / "check" / "quarantine.csv").write_text("file\n#1\n")
    with pytest.raises(RunFolderError, match=r"quarantine\.csv was edited"):
        ts.cleanse(drawn, out=tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["check"]


def test_a_folder_of_something_else_is_refused_before_a_training(
    drawn: Arrays, tmp_path: Path
) -> None:
    (tmp_path / "check").mkdir()
    (tmp_path / "check" / "check.html").touch()
    with pytest.raises(RunFolderError, match=r"holds no check \(it has check\.html\)"):
        ts.cleanse(drawn, out=tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["check"]


@pytest.mark.parametrize("inside", ["after", "after/bundle"])
def test_the_model_without_what_is_listed_is_not_begun_with(
    drawn: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    monkeypatch.chdir(tmp_path)
    models: list[Path | str] = [tmp_path / "out" / inside, f"out/{inside}"]
    for model in models:
        with pytest.raises(SettingsError, match="the one without those that are listed to"):
            ts.cleanse(drawn, model=model, out="out", progress=False)
    assert not (tmp_path / "out").exists()


class TrainedError(Exception):
    """A training would have begun."""


@pytest.mark.parametrize(("left", "expected"), [(1, SourceError), (2, TrainedError)])
def test_a_list_that_takes_a_class_away_is_refused_before_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, expected: type[Exception]
) -> None:
    x_NHW, y_N = (
        np.arange(20 * 64, dtype=np.int64).astype(np.uint8).reshape(20, 8, 8),
        ["cat", "dog"] * 10,
    )
    items = [Item(file=f"#{place}", label="dog") for place in range(1, 20, 2)][left:]
    found = Finding(
        kind="stamp", weight="serious", title="", meaning="", items=items, is_suspect=True
    )
    checked = Checked(
        title="x",
        images=20,
        classes=(),
        findings=[found],
        fine=(),
        skipped={},
        seconds={},
        versions={},
    )

    def check(*_: object, **__: object) -> CheckResult:
        rows = quarantine_rows([found], suspects=True)
        (tmp_path / "quarantine.csv").write_text(to_csv(rows))
        return CheckResult(folder=tmp_path, checked=checked, backdoors=())

    def fit(data: Source, *, quarantine: Path, **_: object) -> None:
        open_source(data, quarantine=quarantine)  # as it does before anything else
        raise TrainedError("dog")

    monkeypatch.setattr(job, "check", check)
    monkeypatch.setattr(job, "fit", fit)
    with pytest.raises(expected, match="dog"):
        job.cleanse((x_NHW, y_N), model=tmp_path, out=tmp_path / "out", progress=False)
