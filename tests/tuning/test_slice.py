"""Tests of `tunesmith.tuning.slice`."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tunesmith.core.errors import CodeChangedError, SettingsError
from tunesmith.core.functions import load_function
from tunesmith.core.source import code_of
from tunesmith.tuning.slice import _check_code, as_values, config_class, run_slice
from tunesmith.tuning.unread import is_marked, mark

FILE = """
from dataclasses import dataclass
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from tunesmith import Float

@dataclass
class Config:
    lr: Annotated[float, Float(0.0, 1.0)] = 0.5
    name: str = "fixed"

def classy(config: Config, folder: Path, start: int, until: int) -> float:
    return config.lr * until + len(config.name)

def plain(config: dict[str, Any], folder: Path, start: int, until: int) -> list[float]:
    (folder / "seen").write_text(str(start))
    return [config["lr"]] * (until - start)

def bare(config, folder, start, until):
    return config["lr"]

def yields(config, folder, start, until):
    state = folder / "state"
    seen = int(state.read_text()) if start else 0
    for unit in range(start, until):
        state.write_text(str(seen := seen + 1))
        yield config["lr"] / seen

def short(config: dict[str, Any], folder: Path = Path()) -> float: ...

def long(config, folder, start, until, *, seed): ...
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(FILE)
    return path


def test_a_function_gets_its_config_as_it_wants_it(file: Path, tmp_path: Path) -> None:
    assert run_slice(f"{file}:classy", {"lr": 0.25}, str(tmp_path), 0, 4) == [6.0]
    assert run_slice(f"{file}:plain", {"lr": 0.25}, str(tmp_path), 2, 4) == [0.25, 0.25]
    assert (tmp_path / "seen").read_text() == "2"
    assert run_slice(f"{file}:bare", {"lr": 0.25}, str(tmp_path), 2, 4) == [0.25]


def test_what_a_function_does_while_its_values_are_taken_is_watched(
    file: Path, tmp_path: Path
) -> None:
    (part := tmp_path / "00000004.part").mkdir()
    mark(part, is_unread=True)
    assert run_slice(f"{file}:yields", {"lr": 1.0}, str(part), 0, 2) == [1.0, 0.5]
    assert run_slice(f"{file}:yields", {"lr": 1.0}, str(part), 2, 4) == [1 / 3, 0.25]
    assert not is_marked(part)


def test_the_class_of_a_config_is_found(file: Path) -> None:
    kind = config_class(load_function(f"{file}:classy"))
    assert kind is not None
    assert kind.__name__ == "Config"
    assert config_class(load_function(f"{file}:plain")) is None
    for name, takes in {
        "short": r"\(config, folder=.*\)",
        "long": r"\(config, folder, start, until, \*, seed\)",
    }.items():
        told = rf"`{name}` must take \(config, folder, start, until\), but it takes {takes}\.$"
        with pytest.raises(SettingsError, match=told):
            config_class(load_function(f"{file}:{name}"))


HIDDEN = """
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from tunesmith import Float

if TYPE_CHECKING:
    from pathlib import Path
    from nowhere import Kind

@dataclass
class Config:
    lr: Annotated[float, Float(0.0, 1.0)] = 0.5
    kind: Kind | None = None

def hides(config, folder: Path, start, until): ...

def hides_deeper(config: Config, folder, start, until): ...
"""


@pytest.mark.parametrize(("function", "name"), [("hides", "Path"), ("hides_deeper", "Kind")])
def test_annotations_that_are_not_there_when_it_runs_are_told(
    tmp_path: Path, function: str, name: str
) -> None:
    (tmp_path / "hidden.py").write_text(HIDDEN)
    message = rf"annotations of `{function}` .* NameError: name '{name}' .* outside of `if TYPE"
    with pytest.raises(SettingsError, match=message):
        config_class(load_function(f"{tmp_path}/hidden.py:{function}"))


@pytest.mark.parametrize("answer", [0.5, np.float32(0.5), np.array(0.5), [0.5], np.array([0.5])])
def test_numbers_of_any_kind_are_values(answer: object) -> None:
    assert as_values(answer, 3) == [0.5]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "but it returned None"),
        ("0.5", "but it returned '0.5'"),
        (True, "but it returned True"),
        (b"ab", "but it returned b'ab'"),
        ({"loss": 0.5}, r"but it returned \{'loss': 0.5\}"),
        (["a"], r"but it returned \['a'\]"),
        ([], r"but it returned \[\]"),
        ([0.1] * 4, "at most one for each unit, but it returned 4 for 3 units"),
        ("x" * 100, r"returned 'x+\.\.\.\."),
    ],
)
def test_what_is_no_value(answer: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        as_values(answer, 3)


def test_other_code_is_refused_unless_it_was_imported_before(file: Path, tmp_path: Path) -> None:
    name = f"{file}:bare"
    wanted = code_of(load_function(name), "bare", file)
    edited = FILE.replace('return config["lr"]\n', 'return 2 * config["lr"]\n')
    assert edited != FILE

    def run() -> list[float]:
        return run_slice(name, {"lr": 0.5}, str(tmp_path), 0, 1, code=asdict(wanted))

    assert run() == [0.5]
    file.write_text(edited)
    assert run() == [0.5]
    _check_code.cache_clear()  # as in another process
    with pytest.raises(CodeChangedError, match=r"train\.py that `bare` needs was changed while"):
        run()
    file.write_text(f"{FILE}\ndef other(): ...\n")  # which it does not need
    assert run() == [0.5]


def test_a_class_that_nobody_knows_how_to_make_is_no_config_class() -> None:
    def train(width: int, folder: Path, start: int, until: int) -> float:
        return 0.0

    assert config_class(train) is None
