"""Tests of `tunesmith.core.source`."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import CodeChangedError, SettingsError
from tunesmith.core.functions import load_function
from tunesmith.core.source import Code, code_of, file_of, imported_code_of, needed

SCRIPT = """
import sys
from dataclasses import dataclass
from tunesmith.core.functions import end_of_reading

SIZE, DEPTH = 4, 2
TRIALS = 2
sys.setrecursionlimit(5000)

@dataclass
class Config:
    lr: float = 0.1

def double(x):
    return 2 * x

def train(config: "Config", folder, start, until):
    '''Train a little.'''
    return double(SIZE)  # a comment

def main(trials=TRIALS):
    end_of_reading()
    print(trials)

main(
    trials=3,
)
PRINTED = 1
"""


def code(script: str, folder: Path) -> Code:
    """What `train` depends on, as a process sees it that imports the script."""
    path = folder / f"script_{len(list(folder.iterdir()))}.py"
    path.write_text(script)
    train = load_function(f"{path}:train")
    assert file_of(train, Path.cwd()) == path
    return code_of(train, "train", path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("trials=3", "trials=30"),
        ("TRIALS = 2", "TRIALS = 20"),
        ("    print(trials)", "    print(trials, 'units')"),
        ("  # a comment", ""),
        ("Train a little.", "Train a lot."),
        ("PRINTED = 1", "PRINTED = 2"),
        ("2 * x", "2*x"),
    ],
)
def test_what_the_function_does_not_need_may_change(
    before: str, after: str, tmp_path: Path
) -> None:
    assert before in SCRIPT
    assert code(SCRIPT, tmp_path).is_same(code(SCRIPT.replace(before, after), tmp_path))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("4, 2", "5, 2"),
        ("5000", "6000"),
        ("lr: float = 0.1", "lr: float = 0.2"),
        ("2 * x", "3 * x"),
        ("double(SIZE)", "-double(SIZE)"),
        ("import sys", "import sys, math"),
    ],
)
def test_what_it_needs_may_not(before: str, after: str, tmp_path: Path) -> None:
    assert before in SCRIPT
    assert not code(SCRIPT, tmp_path).is_same(code(SCRIPT.replace(before, after), tmp_path))


@pytest.mark.parametrize(
    "work",
    [
        "if __name__ == '__main__':\n    tune(train, {})\n",
        "for seed in (1, 2):\n    tune(train, {})\n",
        "try:\n    tune(train, {})\nfinally:\n    print({})\n",
    ],
)
def test_work_within_another_statement_is_left_out(work: str) -> None:
    script = "R = 1\ndef train(): R\n"
    one, other = (needed(script + work.replace("{}", n), ["train"], until=4) for n in "12")
    assert one == other
    assert "R = 1" in one


@pytest.mark.parametrize(
    "line",
    [
        "R = make()",
        "R.size = 1",
        "R += 1",
        "@register\ndef other(): ...",
        "from other import *",
    ],
)
def test_what_may_act_when_it_is_imported_counts(line: str) -> None:
    assert line.splitlines()[0] in needed(f"{line}\ndef train(): ...\n", ["train"])


def test_a_name_in_a_string_is_needed() -> None:
    assert "R = 1" in needed("R = 1\ndef train(): return globals()['R']\n", ["train"])


def test_a_function_without_a_file_of_its_own_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspect.getsourcefile", lambda _: None)
    with pytest.raises(SettingsError, match=r"no source file of `dumps`.*in a \.py file"):
        file_of(json.dumps, Path.cwd())


def test_a_function_whose_source_was_never_a_file_is_told() -> None:
    made: dict[str, Any] = {}
    exec("def train(): ...", made)
    with pytest.raises(SettingsError, match=r"no source file of `train`"):
        file_of(made["train"], Path.cwd())


def test_code_that_was_changed_since_it_was_imported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # which may hide a change within a second
    (path := tmp_path / "widened.py").write_text(SCRIPT)
    module = importlib.import_module("widened")
    before = imported_code_of(module.train, "train", path)
    path.write_text(f"{SCRIPT}# a comment")
    assert imported_code_of(module.train, "train", path).needed == before.needed
    path.write_text(SCRIPT.replace("lr: float = 0.1", "lr: float = 0.2"))
    for _ in range(2):
        with pytest.raises(
            CodeChangedError,
            match=r"widened\.py that `train` .* since it was imported here.*Restart",
        ):
            imported_code_of(module.train, "train", path)
    importlib.reload(module)
    assert imported_code_of(module.train, "train", path).needed != before.needed
