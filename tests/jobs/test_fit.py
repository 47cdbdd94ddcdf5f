"""Tests of `tunesmith.jobs.fit`: the main path, whole."""

import base64
import contextlib
import importlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

import tunesmith as ts
from tunesmith.core.clock import Clock
from tunesmith.core.errors import BundleError, ModelError, RunFolderError
from tunesmith.data.originals import originals
from tunesmith.data.source import Source
from tunesmith.jobs import fit as job
from tunesmith.jobs.closing.result import Result
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.search import search
from tunesmith.models.preprocess import Normalize
from tunesmith.records.events import Noted, SessionStarted
from tunesmith.records.history import History
from tunesmith.records.journal import Journal, read_history
from tunesmith.report.summary import read_summary

from .conftest import mounted


class MakeFolder(Protocol):
    def __call__(
        self,
        name: str = "shapes",
        *,
        classes: tuple[str, ...] = ...,
        count: int = 12,
        size: tuple[int, int] = (16, 16),
    ) -> Path: ...


NETWORK = """
from typing import Annotated
import torch
from torch import nn
from tunesmith import Choice, Int

def build(classes: int, channels: int, *, width: Annotated[int, Int(4, 64)] = 8,
          activation: Annotated[str, Choice("relu", "gelu")] = "relu") -> nn.Module:
    act = {"relu": nn.ReLU, "gelu": nn.GELU}[activation]()
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), act,
                         nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, classes))

def wrong_shape(classes: int, channels: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes + 1))

def raising(classes: int, channels: int) -> nn.Module:
    raise RuntimeError("no such layer")

def no_module(classes: int, channels: int) -> nn.Module:
    return "network"

class Divides(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.linear = nn.LazyLinear(classes)
    def forward(self, x):
        return self.linear(x.flatten(1)) / 0

def infinite(classes: int, channels: int) -> nn.Module:
    return Divides(classes)

class Poisoned(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.linear = nn.Linear(channels * 8 * 8, classes)
    def forward(self, x):
        z = self.linear(x.flatten(1))
        return z * float("nan") if self.training else z

def nan_in_training(classes: int, channels: int) -> nn.Module:
    return Poisoned(classes, channels)

class Branches(Poisoned):
    def forward(self, x):
        z = self.linear(x.flatten(1))
        return z if x.mean() > 0 else -z

def branching(classes: int, channels: int) -> nn.Module:
    return Branches(classes, channels)

class Detached(Poisoned):
    def forward(self, x):
        return self.linear(x.flatten(1)).detach()

def detached(classes: int, channels: int) -> nn.Module:
    return Detached(classes, channels)

class InPlace(Poisoned):
    def forward(self, x):
        z = self.linear(x.flatten(1)).sigmoid()
        return z.mul_(2)

def in_place(classes: int, channels: int) -> nn.Module:
    return InPlace(classes, channels)

class Raises(Poisoned):
    def forward(self, x):
        if self.training:
            raise ValueError("no labels here.")
        return self.linear(x.flatten(1))

def raising_in_training(classes: int, channels: int) -> nn.Module:
    return Raises(classes, channels)

class Forgetful(Poisoned):
    def forward(self, x):
        return self.linear(nn.functional.dropout(x.flatten(1)))

class Flat(nn.Module):
    def __init__(self, classes, channels, size):
        super().__init__()
        self.convolution = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8 * ((size[0] + 1) // 2) * ((size[1] + 1) // 2), classes)
        self.register_buffer("offset", torch.zeros(1, 1, 1, 1, 1))

    def forward(self, x):
        x = torch.relu(self.convolution(x))
        return self.head(x.view(x.size(0), -1) + self.offset[0, 0, 0])

def flat(classes: int, channels: int, size: tuple[int, int]) -> nn.Module:
    return Flat(classes, channels, size)

def forgetful(classes: int, channels: int) -> nn.Module:
    return Forgetful(classes, channels)
"""


@pytest.fixture(scope="module")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("networks") / "mynet.py"
    path.write_text(NETWORK)
    return path


EPOCHS = 2.0  # after which a training is over, and not when its time is: no speed matters
PLAN = importlib.import_module("tunesmith.plan.plan")


@pytest.fixture(autouse=True)
def _fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PLAN, "MOST_EPOCHS_SMALL", EPOCHS)


def quick(source: object, out: Path, **options: Any) -> Result:
    given = {"budget": "100h", "trials": 0, "train": {"augmentation": {}}, **options}
    if "model" not in given:
        given["params"] = {"width": 8}
    result = ts.fit(source, out=out, progress=False, **given)
    assert isinstance(result, Result)
    return result


def contiguous(history: History) -> None:
    """Every slice begins where the one before ended: nothing is lost, nothing counted twice."""
    for trial in history.trials.values():
        ends = [0, *(done.end for done in trial.slices)]
        assert [done.begin for done in trial.slices] == ends[:-1]


def test_a_folder_of_images(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(count=40)
    (folder / "disc" / "cut.png").write_bytes((folder / "disc" / "000.png").read_bytes()[:60])
    (folder / "disc" / "words.jpg").write_text("no image at all")
    (folder / "disc" / "notes.txt").write_text("not for us")
    wide = np.zeros((20, 30, 3), np.uint8)
    cv2.circle(wide, (15, 10), 6, (255, 255, 255), -1)
    cv2.imwrite(str(folder / "disc" / "wide.png"), wide)
    result = quick(folder, tmp_path / "out")
    summary = result.summary
    assert summary.status == "finished"
    assert result.interval[0] <= result.score <= result.interval[1]
    assert summary == read_summary(tmp_path / "out" / "result.json")
    assert summary.test_openings == 1
    assert summary.data.quarantined == 2
    assert summary.data.skipped["file of another kind"] == 1
    rows = (tmp_path / "out" / "quarantine.csv").read_text("utf-8").splitlines()
    assert {row.split(",")[0] for row in rows[1:]} == {"disc/cut.png", "disc/words.jpg"}
    assert summary.exports[0].max_abs_difference <= 1e-4
    assert set(summary.exports[0].latency_ms) == {"1", "32"}
    assert sum(summary.phases.values()) == pytest.approx(summary.wall_s, abs=0.1)
    assert "disc/cut.png" in result.report.read_text("utf-8")
    assert not [p for p in result.folder.rglob("*") if p.suffix in {".pt", ".pth", ".pkl"}]
    model = ts.load(result.bundle)
    answers = model.predict(folder / "ring")
    assert {answer.label for answer in answers} <= {"cross", "disc", "ring"}
    x_NHWC = np.random.default_rng(0).integers(0, 256, (4, 19, 23, 3), np.uint8)
    with torch.no_grad():
        rebuilt = result.module()(torch.from_numpy(x_NHWC)).numpy()
    np.testing.assert_allclose(rebuilt, model.probabilities(x_NHWC), atol=1e-4)


def test_the_smallest_data_set_there_can_be(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(classes=("cross", "disc"), count=2)
    result = quick(folder, tmp_path / "out")
    counts = result.summary.data.counts
    assert (counts.train, counts.test) == (3, 1)  # without a fold of them, one image is left
    answers = ts.load(result.bundle).predict(folder)
    assert len(answers) == 4
    assert {answer.label for answer in answers} <= {"cross", "disc"}


@pytest.mark.parametrize("gone", ["disc", "."])
def test_images_that_go_during_a_run_are_tested_as_they_were_read(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    folder = make_folder(count=20)
    cv2.imwrite(str(folder / "ring" / "wide.png"), np.zeros((20, 30, 3), np.uint8))

    def vanishing(
        source: Source, indices: NDArray[np.int64], **options: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        shutil.rmtree(folder / gone, ignore_errors=True)
        return originals(source, indices, **options)

    monkeypatch.setattr("tunesmith.jobs.closing.finish.originals", vanishing)
    summary = quick(folder, tmp_path / "out").summary
    assert summary.status == "finished"
    assert summary.exports[0].images == summary.data.counts.train
    assert summary.score.n == summary.data.counts.test
    (note,) = [note for note in summary.notes if "could not be read again" in note]
    lost, _, said = note.partition(" ")
    assert said.endswith("could not be read again; they were tested at the network's size.")
    assert (int(lost) == summary.score.n) == (gone == ".")


def test_metadata_of_images_are_in_no_file_of_a_run(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder, secret = make_folder(count=20, size=(80, 80)), b"52.51, 13.40"
    for path in folder.rglob("*.png"):
        data = path.read_bytes()
        text = b"tEXtplace\0" + secret
        size, check = struct.pack(">I", len(text) - 4), struct.pack(">I", zlib.crc32(text))
        path.write_bytes(data[:33] + size + text + check + data[33:])
    result = quick(folder, tmp_path / "out")
    page = result.report.read_bytes()
    pictures = re.findall(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)", page)
    assert pictures
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {"report.html", "model.onnx", "journal.db"} <= {path.name for path in files}
    contents = [*map(Path.read_bytes, files), *map(base64.b64decode, pictures)]
    assert all(secret in path.read_bytes() for path in folder.rglob("*.png"))
    assert not any(secret in content for content in contents)


def test_again_is_instant_and_more_budget_extends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = digits()
    first = quick((x, y), tmp_path / "out")
    assert first.is_new
    assert "Expected: finished after" in first.report.read_text("utf-8")
    others: list[dict[str, Any]] = [{}, {"budget": 2}, {"device": "cpu", "workers": 1}]
    for options in others:
        again = quick((x, y), tmp_path / "out", **options)
        assert again.summary == first.summary
        assert not again.is_new
    past = read_history(first.folder)
    assert len(past.sessions) == 1
    seen = past.trials["convnet"].seen
    monkeypatch.setattr(PLAN, "MOST_EPOCHS_SMALL", 2 * EPOCHS)
    longer = quick((x, y), tmp_path / "out", budget="200h")
    assert longer.is_new
    told = longer.report.read_text("utf-8")
    assert "Expected when the budget was 100 h 00 min: finished after" in told
    assert "Expected: finished" not in told
    history = read_history(longer.folder)
    assert history.trials["convnet"].seen > seen
    assert longer.summary.test_openings == 2
    contiguous(history)


def test_what_a_finished_run_has_lost_is_made_again(tmp_path: Path) -> None:
    x, y = digits()
    first = quick((x, y), tmp_path / "out")
    before = read_history(first.folder)
    shutil.rmtree(first.bundle)
    (first.folder / "result.json").unlink()
    again = quick((x, y), tmp_path / "out", budget=2)
    assert again.is_new
    assert len(ts.load(again.bundle).classes) == 10
    assert again.summary == read_summary(first.folder / "result.json")
    assert again.summary.budget_s == first.summary.budget_s
    assert again.summary.examples == first.summary.examples
    (first.folder / "result.json").write_text("{")
    first.report.unlink()
    assert quick((x, y), tmp_path / "out").is_new
    assert first.report.is_file()
    history = read_history(first.folder)
    assert history.trials == before.trials  # nothing was trained
    assert history.granted == before.granted
    assert len(history.sessions) == 3
    with (first.bundle / "model.onnx").open("ab") as graph:
        graph.write(b"damage")
    assert quick((x, y), tmp_path / "out").is_new
    assert len(ts.load(first.bundle).classes) == 10
    assert not quick((x, y), tmp_path / "out").is_new


def test_a_list_that_was_edited_is_not_overwritten(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(count=20)
    (folder / "disc" / "words.jpg").write_text("no image at all")
    result = quick(folder, tmp_path / "out")
    before = read_history(result.folder)
    (result.folder / "quarantine.csv").write_text("file,label,kind,reason\n")
    with pytest.raises(RunFolderError, match=r"quarantine\.csv was edited .*--quarantine .*--out"):
        quick(folder, tmp_path / "out", budget="200h")
    assert read_history(result.folder) == before  # no time was spent
    assert (result.folder / "quarantine.csv").read_text() == "file,label,kind,reason\n"
    assert not quick(folder, tmp_path / "out").is_new  # then nothing is written


def test_other_data_or_settings_are_refused(tmp_path: Path) -> None:
    x, y = digits(200)
    quick((x, y), tmp_path / "out")
    with pytest.raises(RunFolderError, match=r"belongs to another job \(seed: 0 there, 1 here\)"):
        quick((x, y), tmp_path / "out", seed=1)
    with pytest.raises(RunFolderError, match=r"belongs to another job \(data: "):
        quick((x[:150], y[:150]), tmp_path / "out")


def digits(count: int = 400) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images[:count] * 15.9).astype(np.uint8), bunch.target[:count]


# The command, with a signal to itself once a text is in its log: what is left is to be seen.
COMMAND = """
import importlib, os, signal, sys
from tunesmith.cli import main
from tunesmith.report.terminal import Terminal

epochs, moment, number, *sys.argv[1:] = sys.argv[1:]
importlib.import_module("tunesmith.plan.plan").MOST_EPOCHS_SMALL = float(epochs)
write, has_come = Terminal._write, False

def write_and_signal(terminal, text):
    global has_come
    write(terminal, text)
    if moment and moment in text and not has_come:
        has_come = True
        os.kill(os.getpid(), int(number))

Terminal._write = write_and_signal
main()
"""
JOB = """
budget = "100h"
trials = 0
[params]
width = 8
[train.augmentation]
"""


def command(
    out: Path, *, epochs: float = 1.0, at: str = "", number: int = signal.SIGKILL
) -> list[str]:
    job = out.with_suffix(".toml")
    job.write_text(JOB)
    words = ["fit", "digits", "--config", job, "--out", out]
    return [sys.executable, "-c", COMMAND, *map(str, (epochs, at, int(number), *words))]


@pytest.mark.parametrize("moment", ["training convnet", "training convnet, fold 1", "export"])
def test_kill_and_the_same_command_goes_on(tmp_path: Path, moment: str) -> None:
    out = tmp_path / "out"
    killed = subprocess.run(command(out, at=moment), check=False, stdout=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    before = read_history(out)
    done = subprocess.run(command(out), check=True, capture_output=True, text=True)
    assert "report" in done.stdout
    after = read_history(out)
    contiguous(after)
    assert len(after.sessions) == 2
    for name, trial in before.trials.items():
        assert after.trials[name].slices[: len(trial.slices)] == trial.slices
    assert read_summary(out / "result.json").score.n == 359


def test_the_seconds_of_a_killed_search_count_once(
    session_in: Callable[..., AbstractContextManager[Session]], tmp_path: Path
) -> None:
    now, folder = 0.0, tmp_path / search.FOLDER
    folder.mkdir()
    with session_in(tmp_path, now=lambda: now, budget=3600) as session:
        session.record(SessionStarted(budget=3600))
        with session.phase("train"):
            now = 600.0
            session.note("The plan's network is trained.")
            with session.phase("search"), Journal(folder) as journal:
                for _ in range(3):
                    now += 200.0
                    journal.append(Noted(text="A slice is done."), elapsed=now - 600)
                    assert begins_with(tmp_path, session, journal) == (now, now - 600)
                    session.note(f"{now} seconds are over.")
                    assert begins_with(tmp_path, session, journal) == (now, now - 600)


def begins_with(folder: Path, session: Session, journal: Journal) -> tuple[float, float]:
    """Seconds, and those of the search, from which a run goes on that is killed at this moment."""
    session.journal.flush()
    journal.flush()
    past = read_history(folder)
    searched = search.unrecorded_seconds(folder, past)
    clock = job._going_on(Clock(budget=0), session.settings, past, searched=searched)
    return round(clock.spent), past.phases.get("search", 0.0) + searched


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_any_moment_it_goes_on_to_the_same_quality(tmp_path: Path, seed: int) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(command(out, epochs=20), stdout=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(float(np.random.default_rng(seed).uniform(0.5, 40)))
    process.kill()
    process.wait()
    before = read_history(out) if (out / "journal.db").exists() else History()
    subprocess.run(command(out, epochs=20), check=True, capture_output=True)
    after = read_history(out)
    contiguous(after)
    for name, trial in before.trials.items():
        assert after.trials[name].slices[: len(trial.slices)] == trial.slices
    assert read_summary(out / "result.json").score.value > 0.93


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["training convnet, fold 1", "training efficientnet_lite0"])
def test_killed_in_a_race_it_goes_on(tmp_path: Path, moment: str) -> None:
    out, job = tmp_path / "out", tmp_path / "job.toml"
    job.write_text("[train.augmentation]\n")  # nothing is judged by a brief training, so they race
    words = ["fit", "digits", "--budget", "45s", "--config", job, "--out", out]
    both = [
        [sys.executable, "-c", COMMAND, *map(str, (240.0, at, int(signal.SIGKILL), *words))]
        for at in (moment, "")
    ]
    assert subprocess.run(both[0], check=False, capture_output=True).returncode == -signal.SIGKILL
    before = read_history(out)
    assert before.chosen is None
    subprocess.run(both[1], check=True, capture_output=True)
    after = read_history(out)
    contiguous(after)
    assert after.chosen is not None
    for name, trial in before.trials.items():
        assert after.trials[name].slices[: len(trial.slices)] == trial.slices
    summary = read_summary(out / "result.json")
    assert summary.model.family == after.chosen.trial
    assert summary.trials == 2


def test_sigterm_finishes_with_the_best_so_far(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = command(out, epochs=100, at="training convnet · ", number=signal.SIGTERM)
    done = subprocess.run(arguments, check=False, stdout=subprocess.DEVNULL)
    assert done.returncode == 130
    assert read_summary(out / "result.json").status == "interrupted"
    assert "Finishing with the best so far" in (out / "run.log").read_text("utf-8")
    assert len(ts.load(out / "bundle").classes) == 10


def test_an_interruption_before_any_training_ends_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = command(out, at="measure speeds", number=signal.SIGINT)
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert done.returncode == 130
    assert "Interrupted. Nothing was trained yet: the same command begins again." in done.stderr
    assert not read_history(out).trials


def test_a_network_of_the_user_s_own(network_file: Path, tmp_path: Path) -> None:
    x, y = digits()
    result = quick((x, y), tmp_path / "out", model=f"{network_file}:build", params={"width": 16})
    manifest = ts.load(result.bundle).manifest
    assert manifest.model.config == {"width": 16}
    assert manifest.model.source is not None
    assert (result.bundle / "network.py").read_text("utf-8") == NETWORK
    with torch.no_grad():
        rebuilt = result.module()(torch.from_numpy(x[:8, ..., None])).numpy()
    np.testing.assert_allclose(rebuilt, ts.load(result.bundle).probabilities(x[:8]), atol=1e-4)


def test_a_network_that_computes_contiguous_images_alone(
    network_file: Path, tmp_path: Path
) -> None:
    x, y = digits()
    result = quick((x, y), tmp_path / "out", model=f"{network_file}:flat")
    with torch.no_grad():
        rebuilt = result.module()(torch.from_numpy(x[:8, ..., None])).numpy()
    np.testing.assert_allclose(rebuilt, ts.load(result.bundle).probabilities(x[:8]), atol=1e-4)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("raising", r"`raising` raised RuntimeError when called with classes=10.*no such layer"),
        ("wrong_shape", r"logits of shape \(images, classes\) = \(2, 10\), but returned \(2, 11\)"),
        ("no_module", r"must return a torch.nn.Module, but returned str"),
        ("infinite", r"NaN or infinite logits before any training"),
        ("nan_in_training", r"no finite number after 0 examples, even with a learning rate 32"),
        ("branching", r"cannot be exported to ONNX: .*must not depend on the values of an image"),
        ("absent", r"has no function `absent`. It defines: "),
        ("detached", r"raised RuntimeError when it was trained on a batch: .* require grad"),
        ("in_place", r"raised RuntimeError when it was trained on a batch: .* inplace operation"),
        ("raising_in_training", r"raised ValueError when .* a batch: no labels here\. It answers"),
        ("forgetful", r"different answers to the same images in eval mode"),
    ],
)
def test_networks_that_do_not_fit(
    network_file: Path, tmp_path: Path, function: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        quick(digits(200), tmp_path / "out", model=f"{network_file}:{function}")


def test_a_full_disk(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "small", "size=300k"),
        pytest.raises(RunFolderError, match=r"no space left for .*--out"),
    ):
        quick(digits(200), tmp_path / "small" / "out")


def test_a_read_only_folder(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "fixed", "ro,size=1m"),
        pytest.raises(RunFolderError, match=r"cannot be written: Read-only file system"),
    ):
        quick(digits(200), tmp_path / "fixed" / "out")


def test_a_bundle_that_cannot_be_written(tmp_path: Path) -> None:
    result = quick(digits(200), tmp_path / "out")
    shutil.rmtree(result.bundle)
    result.bundle.write_text("in the way")
    with pytest.raises(RunFolderError, match=r"bundle is a file, and a folder is needed"):
        quick(digits(200), tmp_path / "out", budget="200h")


def test_a_pretrained_network(make_folder: MakeFolder, tmp_path: Path) -> None:
    given: dict[str, Any] = {"model": "efficientnet_lite0", "params": {"resolution": 64}}
    result = quick(make_folder(count=30), tmp_path / "out", **given)
    assert result.summary.model.family == "efficientnet_lite0"
    assert result.score > 0.34
    assert result.summary.exports[0].max_abs_difference <= 1e-4
    x_NHWC = np.random.default_rng(0).integers(0, 256, (4, 19, 23, 3), np.uint8)
    with torch.no_grad():
        rebuilt = result.module()(torch.from_numpy(x_NHWC)).numpy()
    answers = ts.load(result.bundle).probabilities(x_NHWC)
    np.testing.assert_allclose(rebuilt, answers, atol=1e-4)


PRETRAINED_NETWORK = """
import torch
from torch import nn

class Attention(nn.Module):
    def __init__(self, channels, size):
        super().__init__()
        self.query, self.key = nn.Linear(size, size), nn.Linear(size, size)
        self.key.weight = self.query.weight
        self.register_buffer("mask", torch.full((channels, channels), float("-inf")).triu(1))
    def forward(self, x):
        return x + torch.softmax(self.query(x) @ self.key(x).mT + self.mask, -1) @ x

def build(classes: int, channels: int) -> nn.Module:
    torch.manual_seed(7)
    network = nn.Sequential(nn.Conv2d(channels, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
                            nn.Flatten(2), Attention(16, 9), nn.Flatten(), nn.Linear(144, classes))
    network.pretrained_cfg = {"mean": [0.25], "std": [0.5], "classifier": "6"}
    return network
"""


def test_a_pretrained_network_of_the_user_s_own(tmp_path: Path) -> None:
    """It shares weights between layers, and masks by an infinite buffer."""
    (tmp_path / "network.py").write_text(PRETRAINED_NETWORK)
    x, y = digits()
    result = quick((x, y), tmp_path / "out", model=f"{tmp_path / 'network.py'}:build")
    assert result.summary.model.config["optimizer"] == "adamw"
    assert result.summary.model.config["layer_decay"] < 1
    # The head starts from the features, so even a few epochs are far beyond chance.
    assert result.score > 0.5
    normalize = result.module().normalize
    assert isinstance(normalize, Normalize)
    assert float(normalize.mean) == pytest.approx(0.25 * 255)


WEIGHTS_BESIDE = """
from pathlib import Path
from torch import nn
from safetensors.torch import load_file

FOLDER = Path(__file__).parent

def build(classes: int, channels: int) -> nn.Module:
    with (FOLDER / "calls.txt").open("a") as calls:
        calls.write("called\\n")
    network = nn.Sequential(nn.Conv2d(channels, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
                            nn.Flatten(), nn.Linear(144, classes))
    network.load_state_dict(load_file(FOLDER / "weights.safetensors"), strict=False)
    network.pretrained_cfg = {"mean": (0.2, 0.3, 0.4), "std": (0.5,) * 3, "classifier": "4"}
    return network
"""


def test_a_network_that_reads_its_weights_from_a_file_beside_it(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "mine", tmp_path / "theirs"
    home.mkdir()
    (home / "net.py").write_text(WEIGHTS_BESIDE)
    generator = torch.Generator().manual_seed(7)
    weight = torch.randn((16, 1, 3, 3), generator=generator) / 3
    save_file({"0.weight": weight, "0.bias": torch.zeros(16)}, home / "weights.safetensors")
    x, y = digits()
    result = quick((x, y), tmp_path / "out", model=f"{home / 'net.py'}:build")
    assert result.summary.model.config["layer_decay"] < 1  # it is tuned
    # To see whether it has learned; not for each slice.
    assert (home / "calls.txt").read_text() == 2 * "called\n"

    def same(module: torch.nn.Module) -> None:
        with torch.no_grad():
            rebuilt = module(torch.from_numpy(x[:8, ..., None])).numpy()
        np.testing.assert_allclose(rebuilt, ts.load(result.bundle).probabilities(x[:8]), atol=1e-4)

    same(result.module())
    home.rename(elsewhere)  # only the bundle's copy of its file is left
    with pytest.raises(BundleError, match=r"cannot be built again: .* No such file .* beside .*py"):
        result.module()
    shutil.copy(elsewhere / "weights.safetensors", result.bundle)
    same(result.module())


def test_no_time_for_a_single_step_leaves_the_head_on_frozen_features(tmp_path: Path) -> None:
    x, y = digits(1200)
    result = quick((x, y), tmp_path / "out", budget=0.1, model="efficientnet_lite0")
    assert result.summary.examples == 0
    (note,) = [note for note in result.summary.notes if "a head answers" in note]
    assert "There was no time to fine-tune: such a head answers." in note
