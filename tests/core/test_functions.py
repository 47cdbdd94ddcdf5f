"""Tests of `tunesmith.core.functions`."""

import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tunesmith.core.errors import SettingsError
from tunesmith.core.functions import (
    READ_UNTIL,
    Function,
    end_of_reading,
    import_file,
    load_function,
    reference,
)


def test_a_function_of_a_module_is_named_by_it() -> None:
    assert reference(json.dumps) == "json:dumps"
    assert load_function("json:dumps") is json.dumps


def test_a_function_of_a_file_is_named_by_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text("def train():\n    return __name__ != '__main__'\n")
    function = load_function(f"{path}:train")
    assert function()
    assert reference(function) == f"{path}:train"
    assert load_function(f"{path}:train") is function


def test_a_script_s_functions_are_named_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(
        "from tunesmith.core.functions import reference\n"
        "def train(): ...\n"
        "print(reference(train))\n"
    )
    done = subprocess.run([sys.executable, path], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == f"{path}:train"


def test_a_script_is_read_until_it_would_start_the_work(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(
        "from tunesmith.core.functions import end_of_reading\n"
        "def train(): return 1\n"
        "try:\n"
        "    end_of_reading()\n"
        "except Exception:\n"
        "    pass\n"
        "raise SystemExit('never come to')\n"
    )
    assert load_function(f"{path}:train")() == 1
    end_of_reading()  # nothing is read now


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write a package with a module that starts the work when it is imported."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    folder = tmp_path / "made_up_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "other.py").write_text("THREE = 3\n")
    (folder / "train.py").write_text(
        "from tunesmith.core.functions import end_of_reading, load_function, reference\n"
        "from .other import THREE\n"
        "def train(): return THREE\n"
        "print(reference(train), load_function(reference(train))())\n"
        "end_of_reading()\n"
        "THREE = 4\n"
    )
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "words", [("-m", "made_up_package.train"), ("-c", "import made_up_package.train")]
)
def test_a_module_of_a_package_is_named_by_it(words: tuple[str, str], package: Path) -> None:
    done = subprocess.run(
        [sys.executable, *words], check=True, capture_output=True, text=True, cwd=package.parent
    )
    assert done.stdout.splitlines()[-1] == "made_up_package.train:train 3"


def test_a_module_is_read_until_it_would_start_the_work(package: Path) -> None:
    name = "made_up_package.train"
    train = load_function(f"{name}:train")
    assert train() == 3
    assert load_function(f"{name}:train") is train
    module = importlib.import_module(name)
    assert module is sys.modules[name] is sys.modules["made_up_package"].__dict__["train"]
    assert getattr(module, READ_UNTIL) == 5
    with pytest.raises(SettingsError, match=r"\(here in line 5\): define `later` above it"):
        load_function(f"{name}:later")


def test_a_module_that_is_being_imported_counts_as_far_as_it_is(package: Path) -> None:
    (package / "now.py").write_text(
        "from tunesmith.core.functions import load_function\n"
        "def train(): ...\n"
        "assert load_function(__name__ + ':train') is train\n"
    )
    module = importlib.import_module("made_up_package.now")
    assert getattr(module, READ_UNTIL) == 3


def test_a_package_that_starts_the_work_itself_is_told(package: Path) -> None:
    (package / "__init__.py").write_text(
        "from tunesmith.core.functions import end_of_reading\nend_of_reading()\n"
    )
    message = r"importing its package calls `tune` or `fit`\. Make that call in a script of its own"
    with pytest.raises(SettingsError, match=message):
        load_function("made_up_package.other:train")


def test_a_module_that_its_package_imports_is_there_once(package: Path) -> None:
    (package / "__init__.py").write_text("from made_up_package.other import double\n")
    (package / "other.py").write_text("def double(): ...\n")
    function = load_function("made_up_package.other:double")
    assert function is load_function("made_up_package:double")


@pytest.mark.parametrize("inner", ["", "inner"])
def test_a_file_with_relative_imports_is_to_be_named_as_a_module(inner: str, package: Path) -> None:
    folder = package / inner
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    (folder / "related.py").write_text("from . import other\n")
    dotted = r"made_up_package\.inner" if inner else "made_up_package"
    with pytest.raises(SettingsError, match=rf"relative .* is named as .*: {dotted}\.related:f$"):
        load_function(f"{folder / 'related.py'}:f")


def test_functions_that_no_other_process_finds() -> None:
    def local() -> None: ...

    for function in (local, lambda: None, partial(print, "a")):
        with pytest.raises(SettingsError, match="a plain one at the top of a file"):
            reference(function)


@pytest.mark.parametrize("function", [max, math.sin, Path])
def test_what_is_no_plain_function_is_told_by_its_type(function: Function) -> None:
    kind = type(function).__name__
    with pytest.raises(SettingsError, match=rf"`{function.__name__}` in .* is of type {kind}\. "):
        reference(function)


def test_a_function_that_was_typed_in() -> None:
    spec = importlib.util.spec_from_loader("typed_in", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec("def train(): ...", module.__dict__)
    with pytest.raises(SettingsError, match="in a notebook: begin the cell with `%%writefile"):
        reference(module.train)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train", "named as file.py:function, but got 'train'"),
        ("train.py:1x", "named as file.py:function"),
        ("nowhere.py:train", "There is no file nowhere.py"),
        ("no_such_module:train", "module no_such_module cannot be imported: ModuleNotFoundError"),
        ("json:missing", "json has no function `missing`. It has: .*dumps"),
    ],
)
def test_names_that_lead_nowhere(name: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_function(name)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("import functools\ntrain = functools.partial(print, 1)\n", "partial"),
        ("class Trainer:\n    def __call__(self): ...\ntrain = Trainer()\n", "Trainer"),
        ("train = print\n", "builtin_function_or_method"),
        ("class train: ...\n", "type"),
    ],
)
def test_what_can_be_called_and_is_no_plain_function(text: str, kind: str, tmp_path: Path) -> None:
    (path := tmp_path / "callables.py").write_text(text)
    with pytest.raises(SettingsError, match=f"must be a plain function, but is of type {kind}. W"):
        load_function(f"{path}:train")


def test_a_function_below_the_call_that_starts_the_work_is_told(tmp_path: Path) -> None:
    (path := tmp_path / "two.py").write_text(
        "import tunesmith as ts\n"
        "def first(): ...\n"
        "ts.tune(first, trials=1)\n"
        "def second(): ...\n"
        "ts.tune(second, trials=1)\n"
    )
    message = (
        r"no function `second`. It has: first. .* \(here in line 3\): define `second` above it"
    )
    with pytest.raises(SettingsError, match=message):
        load_function(f"{path}:second")
    path.with_name("fits.py").write_text("import tunesmith as ts\nts.fit('nowhere')\n")
    with pytest.raises(SettingsError, match=r"\(here in line 2\)"):
        load_function(f"{path.with_name('fits.py')}:train")


def test_a_file_that_raises_is_told_with_its_last_line(tmp_path: Path) -> None:
    (path := tmp_path / "ranges.py").write_text(
        "from tunesmith import Float\n\ndef span():\n    return Float(1.0, 1e-4)\n\nspan()\n"
    )
    with pytest.raises(SettingsError, match=r"imported \(line 4\): A range needs .* `low < high`"):
        load_function(f"{path}:train")


def test_a_file_that_raises(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("1 / 0\n")
    for _ in range(2):
        with pytest.raises(SettingsError, match="raised ZeroDivisionError when imported"):
            load_function(f"{path}:train")


def test_a_file_may_import_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "beside_the_training.py").write_text("def double(x): return 2 * x\n")
    (tmp_path / "tabnanny.py").write_text("1 / 0\n")  # what is installed comes first
    path = tmp_path / "train.py"
    path.write_text("import tabnanny, beside_the_training\ntrain = beside_the_training.double\n")
    assert load_function(f"{path}:train")(2) == 4
    assert sys.path[-1] == str(tmp_path)
    assert load_function(f"{path}:train")(3) == 6
    assert sys.path.count(str(tmp_path)) == 1


def test_a_file_runs_once_for_each_identity(tmp_path: Path) -> None:
    path = tmp_path / "marks.py"
    path.write_text("marks = []\n")
    module = import_file(path, bytes(path))
    module.marks.append(1)
    assert import_file(path, bytes(path)) is module
    assert import_file(path, bytes(path) + b" changed").marks == []


def test_half_a_module_is_not_found_later(tmp_path: Path) -> None:
    path = tmp_path / "ends.py"
    path.write_text("def train(): ...\nraise SystemExit(3)\n")
    for _ in range(2):
        with pytest.raises(SystemExit):
            import_file(path, bytes(path))


def test_the_line_of_an_error_is_told_of_a_relative_path_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.py").write_text("x = 1\n\nraise ValueError(x)\n")
    with pytest.raises(
        SettingsError, match=r"broken\.py raised ValueError when imported \(line 3\)"
    ):
        load_function("broken.py:train")
