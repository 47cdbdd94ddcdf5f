"""Tests of `tunesmith.cli`: every way a user can go wrong ends in a sentence and status 2."""

import importlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, get_origin

import cv2
import numpy as np
import pytest
from pydantic import BaseModel

import tunesmith
from tunesmith import cli as command_line
from tunesmith.bundle.predictor import Prediction
from tunesmith.core.settings import Settings, TuneSettings
from tunesmith.records.events import SessionStarted
from tunesmith.records.journal import Journal


class MakeFolder(Protocol):
    def __call__(self, name: str = "shapes", *, count: int = 12) -> Path: ...


Cli = Callable[..., tuple[int, str, str]]

TALKATIVE = """
print("imported")
from torch import nn

def build(classes: int, channels: int) -> nn.Module:
    print("built")
    return nn.Sequential(nn.Conv2d(channels, 8, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(32, classes))
"""

STEPS = """
def fall(lr, units):
    return [lr / unit for unit in range(1, units + 1)]
"""

TRAINING = """
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from steps_of_training import fall
from tunesmith import Float

print("imported")

@dataclass
class Config:
    lr: Annotated[float, Float(0.001, 1.0)] = 0.1

def train(config: Config, folder: Path, start: int, until: int) -> list[float]:
    print("trained")
    return fall(config.lr, until - start)
"""


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run the command line in this process; gives status, standard output and error."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tunesmith", *map(str, words)])
        status = 0
        try:
            command_line.main()
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return run


def png(side: int = 16) -> bytes:
    return bytes(cv2.imencode(".png", np.full((side, side), 128, np.uint8))[1])


def huge_header() -> bytes:
    """A PNG that claims 50,000 x 50,000 pixels and has none."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + struct.pack(">I", zlib.crc32(head))


def test_no_such_path_names_the_nearest(cli: Cli, make_folder: MakeFolder) -> None:
    folder = make_folder("photos")
    status, _, err = cli("fit", folder.parent / "fotos")
    assert status == 2
    assert "there is no" in err
    assert "Did you mean `photos`?" in err


def test_an_empty_folder(cli: Cli, tmp_path: Path) -> None:
    status, _, err = cli("fit", tmp_path)
    assert status == 2
    assert "image" in err


def test_one_class(cli: Cli, make_folder: MakeFolder) -> None:
    folder = make_folder()
    for label in ("disc", "ring"):
        for file in (folder / label).iterdir():
            file.unlink()
        (folder / label).rmdir()
    status, _, err = cli("fit", folder)
    assert status == 2
    assert "at least two" in err


def test_a_class_with_one_image(cli: Cli, make_folder: MakeFolder) -> None:
    folder = make_folder()
    for file in sorted((folder / "disc").iterdir())[1:]:
        file.unlink()
    status, _, err = cli("fit", folder)
    assert status == 2
    assert "at least two images to learn from" in err
    assert "disc" in err


def test_images_beside_class_folders(cli: Cli, make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "loose.png").write_bytes(png())
    status, _, err = cli("fit", folder)
    assert status == 2
    assert "loose.png" in err


def test_a_member_that_leaves_the_archive(cli: Cli, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/1.png", png())
        archive.writestr("../b/1.png", png())
    status, _, err = cli("fit", tmp_path / "a.zip")
    assert status == 2
    assert "the member ../b/1.png lies outside the folder" in err


@pytest.mark.parametrize("broken", [b"just words", png()[:40], huge_header(), b""])
def test_over_a_tenth_broken_stops_before_training(
    cli: Cli, make_folder: MakeFolder, tmp_path: Path, broken: bytes
) -> None:
    folder = make_folder()
    for number in range(5):
        (folder / "disc" / f"x{number}.jpg").write_bytes(broken)
    status, _, err = cli("fit", folder, "--out", tmp_path / "out", "--budget", "5s")
    assert status == 2
    assert "5 of 41 images (12.2 %) cannot be decoded" in err
    rows = (tmp_path / "out" / "quarantine.csv").read_text("utf-8").splitlines()
    assert len(rows) == 6


@pytest.mark.parametrize("budget", ["0", "-1", "abc", "5 parsecs", "", "nan", "inf"])
def test_budgets_that_are_none(cli: Cli, budget: str) -> None:
    status, _, err = cli("fit", "digits", "--budget", budget)
    assert status == 2
    assert "budget" in err
    assert repr(budget) in err


def test_an_unknown_key_names_the_nearest(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('budgte = "10s"\n')
    status, _, err = cli("fit", "digits", "--config", tmp_path / "job.toml")
    assert status == 2
    assert "`budgte` is no setting. Did you mean `budget`?" in err


def test_an_unknown_training_key_names_the_nearest(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('budget = "5s"\n[train]\nlabel_smoothng = 0.1\n')
    status, _, err = cli("fit", "digits", "--config", tmp_path / "job.toml", "--dry-run")
    assert status == 2
    assert "`label_smoothng` is no setting" in err


def test_no_toml(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text("budget = \n")
    status, _, err = cli("fit", "digits", "--config", tmp_path / "job.toml")
    assert (status, "cannot be read as TOML" in err) == (2, True)
    status, _, err = cli("fit", "digits", "--config", tmp_path / "jib.toml")
    assert (status, "There is no job file" in err) == (2, True)


def test_an_unknown_family(cli: Cli) -> None:
    status, _, err = cli("fit", "digits", "--model", "convnt", "--dry-run")
    assert status == 2
    assert "no model family 'convnt'. Did you mean `convnet`?" in err


def test_a_test_part_that_a_job_file_names(
    cli: Cli, make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder, job = make_folder("photos"), tmp_path / "job.toml"
    job.write_text('test = "nowhere/"\nbudget = "5s"\n')
    status, _, err = cli("fit", folder, "--config", job, "--dry-run")
    assert (status, "there is no 'nowhere/'" in err) == (2, True)
    status, _, err = cli("fit", folder, "--config", job, "--test", folder, "--dry-run")
    assert (status, "photos is the training data itself" in err) == (2, True)
    job.write_text("test = 3\n")
    status, _, err = cli("fit", folder, "--config", job, "--dry-run")
    assert (status, "`test` names a source of its own" in err) == (2, True)


def test_columns_of_a_folder(cli: Cli, make_folder: MakeFolder) -> None:
    status, _, err = cli("fit", make_folder("photos"), "--columns", "label=kind", "--dry-run")
    assert (status, "but photos is none: leave it out." in err) == (2, True)


def test_a_folder_of_something_else(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("private")
    status, _, err = cli("fit", "digits", "--out", tmp_path, "--budget", "5s")
    assert status == 2
    assert "is not empty and holds no run" in err


def test_a_file_where_the_folder_should_be(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    status, _, err = cli("fit", "digits", "--out", tmp_path / "out", "--budget", "5s")
    assert status == 2
    assert "Pass an" in err


def test_unknown_options_and_commands(cli: Cli) -> None:
    for words in (["fit", "digits", "--bugdet", "5s"], ["fot", "digits"], ["fit"]):
        status, _, err = cli(*words)
        assert status == 2
        assert err


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tunesmith.cli.process_age", lambda: 1.0)  # that of all tests is minutes
    status, out, _ = cli("fit", "digits", "--budget", "2m", "--dry-run")
    assert status == 0
    assert "Candidate 1 of 2: convnet\n" in out
    assert "Candidate 2 of 2: efficientnet_lite0\n" in out
    assert out.count("Expected: finished after") == 2
    assert "memory" in out
    assert list(tmp_path.iterdir()) == []
    status, out, _ = cli("fit", "digits", "--budget", "2m", "--dry-run", "--json")
    plans = json.loads(out)
    assert [plan["folds"] for plan in plans] == [5, 5]  # of each candidate
    assert [plan["family"] for plan in plans] == ["convnet", "efficientnet_lite0"]
    assert [(plan["read"], plan["images"]) for plan in plans] == [(1797, 1797)] * 2


def test_doctor(cli: Cli) -> None:
    status, out, _ = cli("doctor")
    assert status == 0
    assert "packages for training" in out


def test_report_of_no_run(cli: Cli, tmp_path: Path) -> None:
    status, _, err = cli("report", tmp_path)
    assert (status, "holds no run" in err) == (2, True)


def test_report_and_predict(cli: Cli, digits_run: Path, tmp_path: Path) -> None:
    status, out, _ = cli("report", digits_run)
    assert status == 0
    assert str(digits_run / "report.html") in out
    (tmp_path / "a.png").write_bytes(png(8))
    (tmp_path / "b.png").write_text("no image")
    status, out, _ = cli("predict", digits_run / "bundle", tmp_path, "--json")
    assert status == 0
    good, bad = json.loads(out)
    assert good["label"] in "0123456789"
    assert bad["label"] is None
    assert "no image" in bad["error"]
    status, out, err = cli("predict", digits_run / "bundle", tmp_path / "b.png")
    assert status == 2
    assert "not predicted" in out
    assert "None of these files" in err


def test_no_path_is_refused_before_it_is_read(
    cli: Cli, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read is told by the job, in its own words, and ends no other file."""
    (good := tmp_path / "a.png").write_bytes(png(8))
    (secret := tmp_path / "b.png").write_bytes(png(8))
    opened = os.open

    def refusing(path: str, *arguments: Any, **options: Any) -> int:
        if os.fspath(path) == str(secret):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refusing)
    monkeypatch.setattr(os, "access", lambda *_arguments, **_options: False)
    status, out, err = cli("predict", digits_run / "bundle", secret, good)
    assert status == 0, err
    first, second = out.splitlines()
    assert first == f"{secret}\tnot predicted: it cannot be read: Permission denied"
    assert second.startswith(f"{good}\t")


@pytest.mark.parametrize("path", ["a.png", "x" * 300])
@pytest.mark.parametrize(
    "words",
    [
        ("fit", "digits", "--config"),
        ("fit", "digits", "--quarantine"),
        ("fit", "digits", "--out"),
        ("tune", "nowhere.py:train", "--out"),
        ("check", "digits", "--model"),
        ("check", "digits", "--out"),
        ("cleanse", "digits", "--model"),
        ("cleanse", "digits", "--out"),
        ("predict", "a.png"),
        ("report",),
        ("export", "--format", "optuna"),
    ],
    ids=" ".join,
)
def test_a_path_that_is_of_no_use_is_told_by_the_job(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], path: str
) -> None:
    (tmp_path / "a.png").write_bytes(png(8))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_arguments, **_options: False)
    status, _, err = cli(*words, path)
    assert (status, err.startswith("tunesmith: ")) == (2, True), err


def test_names_of_any_bytes_are_predicted(cli: Cli, digits_run: Path, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"a\xff\x1b[31m.png")
    file.write_bytes(png(8))
    status, out, err = cli("predict", digits_run / "bundle", tmp_path, "--json")
    assert (status, json.loads(out)[0]["name"]) == (0, str(file)), err
    status, out, err = cli("predict", digits_run / "bundle", tmp_path)
    assert (status, "a\\xff\\x1b[31m.png\t" in out) == (0, True), err


def test_an_output_that_cannot_encode_a_name_gets_it_escaped(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Prediction(name="猫.png", label="“cat”", probability=0.5)]
    monkeypatch.setattr("tunesmith.jobs.predict.predict", lambda *_: answers)
    with io.TextIOWrapper(io.BytesIO(), "cp1252") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert cli("predict", "bundle", "猫.png")[0] == 0
        output.seek(0)
        assert output.read() == "\\u732b.png\t“cat”\t0.5000\n"


def test_what_is_said_steers_no_terminal(cli: Cli, tmp_path: Path) -> None:
    status, _, err = cli("report", tmp_path / "a\x1b[31m")
    assert (status, "a\\x1b[31m holds no run" in err) == (2, True)


def test_report_of_a_run_that_is_extended(cli: Cli, digits_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    _, before, _ = cli("report", run)
    assert before.startswith("finished: ")
    begin_session(run)
    status, out, _ = cli("report", run)
    assert status == 0
    assert out.startswith(f"{run} is not finished: ")
    assert out.endswith(f" goes on with it.\nBefore, it was {before}")
    (run / "result.json").unlink()
    status, out, _ = cli("report", run)
    assert (status, "is not finished" in out, "Before" in out) == (0, True, False)


def begin_session(run: Path) -> None:
    """Leave in a journal what a process does that goes on with a run."""
    with Journal(run) as journal:
        journal.append(SessionStarted(budget=1e6), elapsed=journal.history.elapsed)


def test_a_finished_run_is_not_trained_again(cli: Cli, digits_run: Path) -> None:
    words = ("fit", "digits", "--budget", "12s", "--device", "cpu", "--out", digits_run)
    status, out, err = cli(*words)
    assert (status, out.startswith("accuracy ")) == (0, True)
    assert "finished before: nothing was trained. A larger --budget extends it" in err
    status, out, err = cli(*words, "--json")
    assert (status, json.loads(out)["status"]) == (0, "finished")
    assert "nothing was trained" in err


def test_json_is_pure_whatever_the_user_s_network_prints(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(TALKATIVE)
    words = ("fit", "digits", "--budget", "12s", "--model", f"{tmp_path}/net.py:build", "--dry-run")
    status, out, err = cli(*words, "--json")
    assert status == 0, err
    assert len(json.loads(out)) == 1
    assert "imported\n" in err
    assert "built\n" in err


def test_an_internal_fault_is_told_from_a_user_s(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.core.errors import InternalError
    from tunesmith.jobs import fit as job

    def fail(*_args: object, **_options: object) -> None:
        raise InternalError("the graph is wrong")

    monkeypatch.setattr(job, "run", fail)
    status, _, err = cli("fit", "digits")
    assert status == 1
    assert "a fault of Tunesmith" in err


@pytest.mark.parametrize(("words", "job_of"), [((), "run"), (("--dry-run",), "dry_run")])
def test_what_an_interruption_leaves_is_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], job_of: str
) -> None:
    from tunesmith.jobs import fit as job

    def interrupt(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt("Nothing was trained yet.")

    monkeypatch.setattr(job, job_of, interrupt)
    status, out, err = cli("fit", "digits", *words)
    assert (status, out) == (130, "")
    assert err == "tunesmith: Interrupted. Nothing was trained yet.\n"


def test_an_interrupted_import_is_told(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("raise KeyboardInterrupt\n")
    status, out, err = cli("tune", f"{script}:train", "--out", str(tmp_path / "run"))
    assert (status, out, err) == (130, "", "tunesmith: Interrupted.\n")


@pytest.mark.parametrize("command", ["check", "cleanse"])
def test_an_interrupted_check_says_that_it_goes_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def interrupt(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    job = importlib.import_module(f"tunesmith.jobs.{command}")
    monkeypatch.setattr(job, command, interrupt)
    status, out, err = cli(command, "digits")
    assert (status, out) == (130, "")
    assert err.startswith("tunesmith: Interrupted. What was done so far is kept: the same command")


def test_the_version_is_told(cli: Cli) -> None:
    assert cli("--version") == (0, f"tunesmith {tunesmith.__version__}\n", "")


@pytest.mark.parametrize(("command", "kind"), [("fit", Settings), ("tune", TuneSettings)])
def test_help_lists_the_choices_of_each_option(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str, kind: type[BaseModel]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _, told, _ = cli(command, "--help")
    fields = kind.model_fields.items()
    options = {n: get_args(f.annotation) for n, f in fields if get_origin(f.annotation) is Literal}
    assert {"sampler", "scheduler"} <= options.keys()
    for name, choices in options.items():
        (line,) = re.findall(rf"--{name.replace('_', '-')} .*", told)
        assert [choice for choice in choices if choice not in line] == []


def test_the_help_of_tune_says_what_a_number_of_trials_costs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (line,) = re.findall(r"--trials .*", cli("tune", "--help")[1])
    assert "without --budget, all are trained to the end" in line


def test_help_needs_no_torch() -> None:
    code = "import sys, tunesmith.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0


@pytest.mark.parametrize("columns", ["label", "label=", "=x", "path=a,,label=b"])
def test_columns_are_pairs(cli: Cli, columns: str) -> None:
    status, _, err = cli("fit", "digits", "--columns", columns)
    assert status == 2
    assert "--columns is a list such as path=file,label=species" in err


def test_a_device_that_is_not_there_is_told_before_anything_else(cli: Cli, tmp_path: Path) -> None:
    status, _, err = cli("fit", "digits", "--device", "mps", "--out", tmp_path / "out")
    assert status == 2
    assert "`device`: torch finds no mps device here; there is: cpu" in err
    assert not (tmp_path / "out").exists()


def test_a_check_for_people_and_for_programs(
    cli: Cli, make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder, out = make_folder(), tmp_path / "out"
    (folder / "disc" / "x.jpg").write_text("no image")
    status, told, err = cli("check", folder, "--out", out, "--json")
    assert (status, told.isascii()) == (0, True), err
    assert json.loads(told) == json.loads((out / "check.json").read_text("utf-8"))
    status, told, err = cli("check", folder, "--out", out)
    assert status == 0, err
    assert re.search(r"^[!?]  1 file", told, re.MULTILINE)
    assert told.endswith(f"report  {out / 'check.html'}\nlist    {out / 'quarantine.csv'}\n")


def test_tuning_a_function(cli: Cli, tmp_path: Path) -> None:
    function = f"{Path(__file__).parent / 'tuning' / 'trainings.py'}:falls"
    words = ("tune", function, "--trials", "5", "--horizon", "20", "--out", tmp_path / "run")
    status, out, err = cli(*words, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert found["trials"] == 5
    assert found["value"] <= found["default"]
    status, out, _ = cli(*words)  # nothing is left to do
    assert status == 0
    assert f"value   {found['value']:.6g} after 20 units" in out
    status, _, err = cli(*words, "--trust-defaults")
    assert (status, "another job (trust_defaults: false there, true here)" in err) == (2, True)


def test_report_of_tuning(cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "run"
    function = f"{Path(__file__).parent / 'tuning' / 'trainings.py'}:falls"
    _, out, err = cli("tune", function, "--trials", "3", "--horizon", "20", "--out", run)
    status, told, _ = cli("report", run)
    assert (status, told.startswith("finished\nvalue   ")) == (0, True), err
    assert out.endswith(told.removeprefix("finished\n"))
    result = (run / "result.json").read_text("utf-8")
    for broken in ("{", "{}", "[]", result.replace('"trials"', '"trails"')):
        (run / "result.json").write_text(broken, "utf-8")
        status, _, err = cli("report", run)
        assert (status, "the same `tunesmith tune` command again" in err) == (2, True)
    (run / "result.json").write_text(result, "utf-8")
    begin_session(run)
    _, out, _ = cli("report", run)
    assert re.search(r"is not finished: .*; \d+ units of training in 3 trials\. The command", out)
    assert out.endswith(f"\nBefore, it was {told}")
    moved = run.rename(tmp_path / "moved")
    _, out, _ = cli("report", moved)
    assert f"state   {moved / 'trials'}" in out


def test_a_training_with_a_file_beside_it(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "steps_of_training.py").write_text(STEPS)
    (tmp_path / "train.py").write_text(TRAINING)
    words = ("tune", tmp_path / "train.py:train", "--trials", "2", "--horizon", "4", "--json")
    status, out, err = cli(*words, "--scheduler", "none", "--out", tmp_path / "run")
    assert status == 0, err
    assert json.loads(out)["trials"] == 2  # and nothing that the training printed
    assert "imported\n" in err


def test_tuning_nothing(cli: Cli, tmp_path: Path) -> None:
    status, _, err = cli("tune", "nowhere.py:train", "--out", tmp_path)
    assert status == 2
    assert "There is no file nowhere.py" in err
