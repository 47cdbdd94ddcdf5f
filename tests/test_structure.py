"""The shape of the source, measured: sizes, mirrored tests, what is never used, one spelling.

A size over its budget asks for a second look: split it, or delete some of it. Where neither
helps, it is listed below with its size, which may only shrink.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tunesmith"
FILES = sorted(SOURCE.rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Lines; a docstring is free in a function and a class, so that no one saves on explaining.
FILE_LINES, CLASS_LINES, FUNCTION_LINES, POSITIONAL_PARAMETERS = 300, 150, 40, 5

# "file" or "file::name" -> the size that it has, and may not grow beyond.
LARGE_FILES: dict[str, int] = {}
LARGE_CLASSES: dict[str, int] = {}
LARGE_FUNCTIONS: dict[str, int] = {
    "jobs/fit.py::run": 43,  # opening, resuming and closing a run, in their order
    "plan/plan.py::plan": 58,  # one value with sixteen fields, each stated once
    "training/slice.py::_train": 51,  # the slice from start to end, as one reads it
}
LONG_SIGNATURES: dict[str, int] = {  # options of commands
    "cli.py::check": 7,
    "cli.py::cleanse": 7,
    "cli.py::fit": 19,
    "cli.py::tune": 12,
}

# Files without a test file of their own -> where they are tested, or why they need no test.
UNMIRRORED: dict[str, str] = {
    "__main__.py": "one call; test_package.py runs it",
    "core/errors.py": "names alone; each message is tested where it is raised",
    "data/source.py": "a value alone; test_sources.py makes it of everything there is",
    "data/augmentation.py": "settings alone; test_augment.py runs each of them",
    "jobs/cleanse.py": "test_trained.py runs the whole job",
    "jobs/planning/planned.py": "a value alone; test_race.py stores and restores it",
    "jobs/gate/findings.py": "test_check.py and test_alike.py read each of them",
    "jobs/closing/finish.py": "a step of the job; test_fit.py reads what whole jobs left",
    "jobs/report.py": "test_cli.py calls it as users do",
    "jobs/search/mending.py": "test_mended.py mends what stopped searches, and goes on",
    "jobs/search/search_setup.py": "test_tune.py sets up, resumes and extends searches",
    "jobs/closing/result.py": "a value alone; test_fit.py reads all of it",
    "jobs/training/train.py": "test_together.py and test_untuned.py train everything there is",
    "jobs/training/forgive.py": "test_slices.py trains with labels that look wrong",
    "jobs/training/saving.py": "test_slices.py keeps one checkpoint, and resumes from it",
    "jobs/run/trial.py": "values alone; test_slices.py runs, pauses and ends trainings",
    "records/events.py": "test_history.py writes and reads each kind",
    "training/findings.py": "values alone; test_probe.py",
    "worker.py": "test_processes.py starts it, and ends it in every way",
}

# Modules that run code hidden in data, and calls that do so or that touch the global random state.
FORBIDDEN_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
FORBIDDEN_CALLS = ("torch.load", "torch.save", "random.seed", "torch.seed")

# File -> what it may call all the same, and why that is safe.
SAFE_CALLS: dict[str, dict[str, str]] = {
    "models/efficientnet_lite.py": {"torch.load": "weights alone, of a file whose hash is checked"},
}

# British stems and what they are here.
BRITISH = {
    r"analys(?:e|ed|ing|er|ers)": "analyze",
    r"artefact\w*": "artifact",
    r"behaviour\w*": "behavior",
    r"catalogue\w*": "catalog",
    r"categoris\w*": "categorize",
    r"centre\w*": "center",
    r"characteris\w*": "characterize",
    r"colour\w*": "color",
    r"customis\w*": "customize",
    r"defence\w*": "defense",
    r"favour\w*": "favor",
    r"finalis(?!t)\w*": "finalize",
    r"generalis\w*": "generalize",
    r"grey\w*": "gray",
    r"honour\w*": "honor",
    r"initialis\w*": "initialize",
    r"judgement\w*": "judgment",
    r"labell\w*": "label(ed|ing)",
    r"licence\w*": "license",
    r"maximis\w*": "maximize",
    r"minimis\w*": "minimize",
    r"modell\w*": "model(ed|ing)",
    r"neighbour\w*": "neighbor",
    r"normalis\w*": "normalize",
    r"optimis(?!t|m)\w*": "optimize",
    r"organis(?!m)\w*": "organize",
    r"parallelis(?!m)\w*": "parallelize",
    r"parametris\w*": "parametrize",
    r"penalis\w*": "penalize",
    r"prioritis\w*": "prioritize",
    r"quantis\w*": "quantize",
    r"randomis\w*": "randomize",
    r"recognis\w*": "recognize",
    r"regularis\w*": "regularize",
    r"serialis\w*": "serialize",
    r"specialis\w*": "specialize",
    r"standardis\w*": "standardize",
    r"summaris\w*": "summarize",
    r"synchronis\w*": "synchronize",
    r"travell\w*": "travel(ed|ing)",
    r"utilis\w*": "utilize",
    r"vectoris\w*": "vectorize",
    r"visualis\w*": "visualize",
}
# A name's parts count too: `fit_colour`, `ColourJitter`, `normaliser_NHWC`.
SPELLING = re.compile(rf"(?<![a-z])(?:{'|'.join(BRITISH)})(?![a-z])", re.IGNORECASE)


def name_of(path: Path) -> str:
    """Return a source file's name as the lists above write it."""
    return path.relative_to(SOURCE).as_posix()


def definitions(tree: ast.Module) -> Iterator[tuple[str, ast.ClassDef | Function, bool]]:
    """Yield each class and function: its dotted name, its node, and whether it is a method."""

    def inside(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef | Function, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + child.name, child, isinstance(node, ast.ClassDef)
                yield from inside(child, f"{prefix}{child.name}.")
            else:
                yield from inside(child, prefix)

    return inside(tree, "")


def lines_of(node: ast.ClassDef | Function) -> int:
    """Count a definition's lines without its own docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is not None:
        docstring = node.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def positional_parameters(node: Function, *, is_method: bool) -> int:
    """Count the parameters that a call may give by position, `self` not among them."""
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    return len(node.args.posonlyargs + node.args.args) - (is_method and not static)


def sizes(measure: Callable[[ast.ClassDef | Function, bool], int | None]) -> dict[str, int]:
    """Measure every definition of the source for which there is a measure."""
    return {
        f"{name_of(path)}::{name}": size
        for path in FILES
        for name, node, is_method in definitions(ast.parse(path.read_text("utf-8")))
        if (size := measure(node, is_method)) is not None
    }


def check(found: dict[str, int], *, budget: int, allowed: dict[str, int]) -> None:
    """Hold sizes to a budget, and the list of exceptions to what is still needed."""
    large = {name: size for name, size in found.items() if size > allowed.get(name, budget)}
    assert large == {}, f"over the budget of {budget} (or over what is allowed): {large}"
    idle = [name for name in allowed if found.get(name, 0) <= budget]
    assert idle == [], f"no exception is needed any more: {idle}"


def test_files_are_short() -> None:
    found = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    check(found, budget=FILE_LINES, allowed=LARGE_FILES)


def test_classes_are_short() -> None:
    found = sizes(lambda node, _: lines_of(node) if isinstance(node, ast.ClassDef) else None)
    check(found, budget=CLASS_LINES, allowed=LARGE_CLASSES)


def test_functions_are_short() -> None:
    found = sizes(lambda node, _: None if isinstance(node, ast.ClassDef) else lines_of(node))
    check(found, budget=FUNCTION_LINES, allowed=LARGE_FUNCTIONS)


def test_signatures_are_short() -> None:
    def measure(node: ast.ClassDef | Function, is_method: bool) -> int | None:
        if isinstance(node, ast.ClassDef):
            return None
        return positional_parameters(node, is_method=is_method)

    check(sizes(measure), budget=POSITIONAL_PARAMETERS, allowed=LONG_SIGNATURES)


def test_every_source_file_has_its_test_file() -> None:
    def mirror(path: Path) -> Path:
        return ROOT / "tests" / path.relative_to(SOURCE).parent / f"test_{path.name}"

    code = [path for path in FILES if path.name != "__init__.py"]
    alone = {name_of(path) for path in code if not mirror(path).exists()}
    assert alone - UNMIRRORED.keys() == set(), "no test file, and no reason given"
    assert UNMIRRORED.keys() - alone == set(), "has its test file, or is gone"


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "__init__.py"], ids=name_of)
def test_a_package_file_holds_names_alone(path: Path) -> None:
    if path.parent == SOURCE:
        return  # the lazy one, whose names test_package.py checks
    for node in ast.parse(path.read_text("utf-8")).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert is_docstring or is_all or isinstance(node, ast.Import | ast.ImportFrom)


def forbidden(tree: ast.AST) -> list[str]:
    """Return what a piece of code uses of that which is never used here."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            is_off = isinstance(node.value, ast.Constant) and node.value.value is False
            names = [] if is_off else ["pickle"]
        else:
            continue
        found += [
            name
            for name in names
            if not name.startswith("safetensors.")
            if name.partition(".")[0] in FORBIDDEN_MODULES
            or any(f".{name}".endswith(f".{call}") for call in FORBIDDEN_CALLS)
        ]
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_forbidden_is_used(path: Path) -> None:
    found = forbidden(ast.parse(path.read_text("utf-8")))
    assert [name for name in found if name not in SAFE_CALLS.get(name_of(path), {})] == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "from torch import load",
        "torch.load(path, weights_only=False)",
        "np.random.seed(0)",
        "random.seed(0)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_check_finds_what_is_forbidden(code: str) -> None:
    assert forbidden(ast.parse(code))


def texts() -> list[Path]:
    """Return the files that people read, but this one, which spells out what it looks for."""
    folders = ("src", "tests", "docs", "benchmarks", "examples")
    suffixes = {".css", ".html", ".md", ".py", ".toml"}
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files += ROOT.glob("*.md")
    return sorted(f for f in files if f.suffix in suffixes and f != Path(__file__))


def test_the_spelling_is_american() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        for match in SPELLING.finditer(line)
    ]
    assert wrong == []


@pytest.mark.parametrize("text", ["the colour", "grey_level", "x_normalised", "An optimiser."])
def test_the_check_finds_british_spelling(text: str) -> None:
    assert SPELLING.search(text)


@pytest.mark.parametrize(
    "text", ["optimistic", "optimism", "an organism", "parallelism", "greedy", "gray"]
)
def test_the_check_leaves_other_words_alone(text: str) -> None:
    assert not SPELLING.search(text)
