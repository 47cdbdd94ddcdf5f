"""Tests of `tunesmith.jobs.search.search`: whole runs that search."""

import contextlib
import importlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray

import tunesmith as ts
from tunesmith.core.errors import CodeChangedError, RunFolderError, SettingsError
from tunesmith.core.settings import Settings
from tunesmith.core.space import Field, Int
from tunesmith.data.sources import open_source
from tunesmith.jobs.closing.result import Result
from tunesmith.jobs.report import look
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.search import search
from tunesmith.jobs.search.cooldowns import reserved_s
from tunesmith.jobs.search.followers import FOLLOWERS
from tunesmith.jobs.search.search_setup import REMEMBERED
from tunesmith.jobs.study import export_study
from tunesmith.jobs.training import train
from tunesmith.plan.search import SearchPlan, plan_search
from tunesmith.records.events import Ended, Planned
from tunesmith.records.journal import Journal, read_history
from tunesmith.tuning import repeats
from tunesmith.tuning.failures import outage
from tunesmith.tuning.protocols import History, Observation, Trial
from tunesmith.tuning.repeats import SHARE
from tunesmith.tuning.tuner import Tuner

GIVEN: dict[str, Any] = {
    "budget": "100h",  # however slow the machine is, time decides nothing
    "model": "convnet",
    "params": {"width": 8},
    "train": {"augmentation": {}},
    "trials": 3,
    "progress": False,
}
SCRIPT = f"""
import importlib, sys
import numpy as np
import tunesmith as ts
importlib.import_module("tunesmith.plan.plan").MOST_EPOCHS_SMALL = 6.0
data = np.load(sys.argv[1])
given = {GIVEN!r} | {{"trials": int(sys.argv[3])}}
ts.fit((data["x"], data["y"]), out=sys.argv[2], **given)
"""


def digits(count: int = 400) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    source = open_source("digits")
    return np.stack([np.asarray(source.read(i)) for i in range(count)]), source.labels[:count]


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Trainings so small that their time does not matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("tunesmith.plan.plan"), "MOST_EPOCHS_SMALL", 6.0)
        patch.setattr(repeats, "SHARE", 1.0)  # of three trials, so that something is trained again
        yield


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return ts.fit(digits(), out=tmp_path_factory.mktemp("runs") / "first", **GIVEN)


def with_plan_of(first: Result, folder: Path) -> Path:
    """A folder in which nothing was done but to plan, as another run did."""
    folder.mkdir()
    shutil.copy(first.folder / "job.json", folder)
    plan = read_history(first.folder).plan
    assert plan is not None
    with Journal(folder) as journal:
        journal.append(Planned(plan=plan), elapsed=0.0)
    return folder


def curves(run: Path) -> dict[str, Any]:
    """Of each trial of a search, its config, and where it was after how much training."""
    past = read_history(run / "search")
    return {
        name: (trial.config, [row for done in trial.slices for row in done.rows])
        for name, trial in past.trials.items()
    }


def test_a_search_is_seen_in_everything_that_a_run_leaves(first: Result) -> None:
    summary, tried = first.summary, curves(first.folder)
    assert summary.trials == 3
    assert set(tried) == {"0", "1", "2"}
    trained = {name for name in read_history(first.folder).trials if "fold" not in name}
    assert trained in ({"convnet", "convnet 1"}, {"convnet", "convnet 2"})
    (found,) = trained - {"convnet"}
    assert any(
        found in note and "Equally good ones would differ as much with p =" in note
        for note in summary.notes
    )
    assert first.score > 0.5
    assert summary.search is not None
    assert (summary.search.trials, summary.search.failed) == (3, 0)
    assert summary.search.finalists == {}  # too few were tried
    assert summary.search.found == tried[found[-1]][0]
    assert summary.search.chance is not None
    assert summary.search.luck is not None
    assert sum(summary.phases.values()) == pytest.approx(summary.wall_s, abs=0.1)
    page = first.report.read_text("utf-8")
    assert "What was tried" in page
    assert "The trials do not tell which settings mattered" in page
    assert "The best of many tries is partly luck" in page
    assert "neither a training nor the search has seen, the plan&#39;s settings are right" in page
    assert "By accuracy, two equally good networks would differ as much" in page
    assert "The plan&#39;s settings and the best ones were trained again 2 times" in page
    assert "when trained again." in page


def test_its_search_becomes_a_study_of_optunas(first: Result) -> None:
    path = export_study(first.folder)
    study = optuna.load_study(study_name="first", storage=f"sqlite:///{path}")
    tried = curves(first.folder)
    assert [trial.params for trial in study.trials] == [config for config, _ in tried.values()]
    assert study.direction.name == "MAXIMIZE"


def test_what_workers_share_holds_nothing_that_decides_or_tests(first: Result) -> None:
    counts = first.summary.data.counts
    shared = np.load(first.folder / "search" / "data" / "images.npy", mmap_mode="r")
    assert len(shared) == counts.train
    assert counts.test > 0


@pytest.mark.slow
def test_the_same_plan_and_seed_give_the_same_bits(first: Result, tmp_path: Path) -> None:
    other = ts.fit(digits(), out=with_plan_of(first, tmp_path / "other"), **GIVEN)
    assert curves(other.folder) == curves(first.folder)
    weights = [(run.bundle / "model.safetensors").read_bytes() for run in (first, other)]
    assert weights[0] == weights[1]


def test_the_time_of_a_search_that_was_killed_counts(first: Result, tmp_path: Path) -> None:
    known, took = read_history(first.folder), read_history(first.folder / "search").elapsed
    assert search.unrecorded_seconds(first.folder, known) == 0.0
    killed = replace(known, past_phases={}, session_phases={})
    assert search.unrecorded_seconds(first.folder, killed) == took > 0.0
    assert search.unrecorded_seconds(tmp_path, killed) == 0.0


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_with_the_same_command(
    first: Result, tmp_path: Path
) -> None:
    x, y = digits()
    np.savez(tmp_path / "digits.npz", x=x, y=y)
    folder = with_plan_of(first, tmp_path / "killed")
    data = str(tmp_path / "digits.npz")
    command = [sys.executable, "-c", SCRIPT, data, str(folder), str(GIVEN["trials"])]
    with subprocess.Popen(command) as driver:
        wait_for_slices(folder / "search", 5, driver)
        driver.kill()
    whole = ts.fit((x, y), out=folder, **GIVEN)
    assert whole.summary.status == "finished"
    assert curves(folder) == curves(first.folder)
    contiguous(folder)


def contiguous(run: Path) -> None:
    for trial in read_history(run / "search").trials.values():
        assert [done.begin for done in trial.slices] == [0, *(d.end for d in trial.slices)][:-1]


def more(run: Path) -> Result:
    """The same command, with more trials."""
    return ts.fit(digits(), out=run, **{**GIVEN, "trials": 5})


def test_more_trials_extend_a_finished_run(first: Result, tmp_path: Path) -> None:
    longer = more(shutil.copytree(first.folder, tmp_path / "more"))
    before, after = curves(first.folder), curves(longer.folder)
    assert set(after) == {"0", "1", "2", "3", "4"}
    for name, (config, rows) in before.items():
        assert after[name][0] == config
        assert after[name][1][: len(rows)] == rows
    contiguous(longer.folder)
    assert longer.summary.trials == 5
    # The very same graph has answered before; another one opens the test part again.
    graphs = {(each.bundle / "model.onnx").read_bytes() for each in (first, longer)}
    assert longer.summary.test_openings == len(graphs)
    assert "to try 5 settings in all" in longer.report.read_text("utf-8")
    assert more(longer.folder).summary == longer.summary
    with pytest.raises(RunFolderError, match=r'trials: "a number" there, null here'):
        ts.fit(digits(), out=longer.folder, **{**GIVEN, "trials": None})


def test_more_trials_extend_a_run_that_was_killed_after_its_search(
    first: Result, tmp_path: Path
) -> None:
    run = shutil.copytree(first.folder, tmp_path / "killed")
    shutil.rmtree(run / "bundle")
    with contextlib.closing(sqlite3.connect(run / "journal.db")) as journal, journal:
        journal.execute("DELETE FROM events WHERE kind = 'ended'")
    assert more(run).summary.trials == 5


@pytest.mark.parametrize(("owner", "name"), [(Tuner, "run"), (train, "deadlines")])
def test_ctrl_c_in_an_extension_keeps_what_was_found_before(
    first: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    ctrl_c_before(monkeypatch, owner, name)
    longer = more(shutil.copytree(first.folder, tmp_path / "more"))
    remains(first, longer)


def ctrl_c_before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Interrupt a run once, when something is called."""
    function, signals = getattr(owner, name), iter([signal.SIGINT])

    def called(*args: Any, **given: Any) -> Any:
        for number in signals:
            signal.raise_signal(number)
        return function(*args, **given)

    monkeypatch.setattr(owner, name, called)


def remains(before: Result, after: Result) -> None:
    """An extension was interrupted, and what was found before answers as it did."""
    assert (before.summary.status, after.summary.status) == ("finished", "interrupted")
    assert before.summary.search is not None
    assert after.summary.search is not None
    assert after.summary.search.chance == pytest.approx(before.summary.search.chance)
    same = {"found", "answers", "finalists"}
    known, told = (each.summary.search.model_dump(include=same) for each in (before, after))  # type: ignore[union-attr]
    assert told == known


def test_a_search_of_another_version_is_refused_and_what_it_gave_stays(
    first: Result, tmp_path: Path
) -> None:
    run = shutil.copytree(first.folder, tmp_path / "run")
    begun_with_expansion(run / "search")
    before = read_history(run)
    told = r"another space \(params\.expansion: 4 in Int\(low=1, high=6, log=False\) there, nothing"
    with pytest.raises(RunFolderError, match=told):
        more(run)
    assert read_history(run) == before  # no time was spent
    assert look(run).startswith("finished: ")
    assert len(ts.load(run / "bundle").predict(digits(3)[0])) == 3
    assert not ts.fit(digits(), out=run, **GIVEN).is_new
    shutil.rmtree(run / "bundle")  # which cannot be made again
    with pytest.raises(RunFolderError, match=told):
        ts.fit(digits(), out=run, **GIVEN)


def begun_with_expansion(folder: Path) -> None:
    """Give a search one more field, which convnet once had."""
    path, field = folder / REMEMBERED, {"kind": "Int", "default": 4, "low": 1, "high": 6}
    found = json.loads(path.read_text("utf-8"))
    found["space"]["params.expansion"] = {**field, "log": False}
    path.write_text(json.dumps(found), "utf-8")
    with contextlib.closing(sqlite3.connect(folder / "journal.db")) as journal, journal:
        journal.execute(
            """UPDATE events SET content = json_set(content, '$.config."params.expansion"', 4)
            WHERE kind = 'trial started'"""
        )


def a_search_of_one_trial(*given: Any, **named: Any) -> tuple[SearchPlan | None, str]:
    """Planned as ever, but ended by a number of trials instead of by time."""
    search, reason = plan_search(*given, **named)
    assert search is not None
    return search.model_copy(update={"trials": 1}), reason


def one_worker(*_given: Any, say: Callable[[str], None], **_named: Any) -> int:
    say("One is fastest.")
    return 1


def test_a_larger_budget_opens_a_search_in_a_finished_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the plan that decides; here it is told to, so that no speed matters."""
    given = {**GIVEN, "out": tmp_path / "run", "trials": None}
    monkeypatch.setattr(search, "choose_workers", one_worker)
    monkeypatch.setattr("tunesmith.plan.search.SEARCH_FROM", 1e9)
    short = ts.fit(digits(), **given)
    assert short.summary.search is None
    monkeypatch.setattr("tunesmith.plan.search.SEARCH_FROM", 1e-9)
    monkeypatch.setattr("tunesmith.plan.extension.plan_search", a_search_of_one_trial)
    before, given["budget"] = read_history(short.folder), "200h"
    longer = ts.fit(digits(), **given)
    assert longer.summary.search is not None
    assert longer.summary.search.trials == len(curves(longer.folder)) == 1
    assert "One is fastest." in longer.summary.notes
    assert "By now, the budget is " in longer.report.read_text("utf-8")
    after = read_history(longer.folder)
    for name, trial in before.trials.items():
        assert after.trials[name].slices[: len(trial.slices)] == trial.slices
    contiguous(longer.folder)
    assert not ts.fit(digits(), **given).is_new


@pytest.mark.slow
def test_an_extension_that_is_killed_goes_on_with_the_same_command(
    first: Result, tmp_path: Path
) -> None:
    longer = more(shutil.copytree(first.folder, tmp_path / "more"))
    folder = shutil.copytree(first.folder, tmp_path / "killed")
    x, y = digits()
    np.savez(tmp_path / "digits.npz", x=x, y=y)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "digits.npz"), str(folder), "5"]
    done = sum(len(trial.slices) for trial in read_history(folder / "search").trials.values())
    with subprocess.Popen(command) as driver:
        wait_for_slices(folder / "search", done + 3, driver)
        driver.kill()
    assert more(folder).summary.status == "finished"
    assert curves(folder) == curves(longer.folder)
    contiguous(folder)


def wait_for_slices(folder: Path, count: int, driver: "subprocess.Popen[bytes]") -> None:
    while driver.poll() is None:
        with contextlib.suppress(RunFolderError):  # there is none yet
            past = read_history(folder)
            if sum(len(trial.slices) for trial in past.trials.values()) >= count:
                return
        time.sleep(0.05)
    raise AssertionError(f"the run ended before {count} slices were done")


def test_the_final_network_has_settings_that_trained_without_a_failure() -> None:
    curves = [(Observation(at=1, value=value),) for value in (0.1, 0.2, 0.3)]
    trials = tuple(Trial(config={}, curve=curve) for curve in curves)
    history = History(horizon=25, trials=trials)
    assert search._best(history) == 1
    assert search._best(history.failed(1, "It diverged.")) == 2


def test_a_search_that_was_stopped_tells_what_goes_on_with_it() -> None:
    found = outage(["It was lost."], Path("error.txt"))
    assert "run the same command again: it goes on" in str(found)
    assert "It was lost. error.txt says where it happened. The run g" in search._why(found)
    for stopped in (found, CodeChangedError("Undo that."), SettingsError("Mend it.")):
        assert search._why(stopped).endswith(
            " The run goes on with what was found. Once the cause is mended, the same command with "
            "a larger --budget, or more --trials, goes on with the search."
        )


@pytest.mark.parametrize(
    ("asked", "were"), [(6, " (6 were asked for)"), (1, " (1 was asked for)"), (None, "")]
)
def test_a_search_that_came_to_nothing_says_so_at_once(asked: int | None, were: str) -> None:
    noted: list[tuple[str, bool]] = []
    session: Any = SimpleNamespace(
        settings=SimpleNamespace(trials=asked),
        interrupted=threading.Event(),
        note=lambda text, *, lasting: noted.append((text, lasting)),
    )
    ended, begun = Ended(status="finished", reason="The time is up."), Trial(config={})
    said = f"No setting was tried: the budget was too short for a search{were}."
    assert search._reason(session, ended, History(horizon=25, trials=(begun,))) == said
    assert noted == [(said, False)]
    broken = Trial(config={}, failed="It hung.")
    assert (
        search._reason(session, ended, History(horizon=25, trials=(broken,))) == "The time is up."
    )
    session.interrupted.set()
    assert search._reason(session, ended, History(horizon=25, trials=(begun,))) == "The time is up."


@pytest.mark.parametrize("failure", ["memory", "killed"])
@pytest.mark.parametrize("is_own", [False, True])
def test_what_ran_out_of_memory_is_not_tried_again_with_as_large_a_batch(
    is_own: bool, failure: str
) -> None:
    session: Any = SimpleNamespace(settings=Settings.make({}))
    family = SimpleNamespace(source=is_own or None, pretrained=None)
    candidate: Any = SimpleNamespace(family=family)
    space = {
        "params.width": Field(Int(7, 9), 7),
        "train.batch": Field(Int(8, 512, log=True), 16),
    }
    config = {"params.width": 8, "train.batch": 32}
    count = 2 + 2 * len(FOLLOWERS)  # all of the portfolio was tried
    trial = Trial(config=config, failed="Why.", failure=failure)
    history = History(horizon=25, trials=(trial,) * count)
    sampler = search._sampler(session, candidate, space)
    largest = dict.fromkeys((7, 8, 9), 0)
    for seed in range(200):
        found = sampler(space, history, seed=seed)
        width = found["params.width"]
        largest[width] = max(largest[width], found["train.batch"])
    assert largest[7] > 256
    assert largest[8] < 32
    # Of a network of the user's own, nobody knows that it takes more where it is wider.
    assert largest[9] > 256 if is_own else largest[9] < 32


def test_a_search_within_a_limit_trains_and_hands_over_nothing_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.plan.WIDTHS", (8, 16))  # the limit excludes wider ones
    free = {name: value for name, value in GIVEN.items() if name != "params"}
    job = free | {"limit": {"size_mb": 0.25}, "trials": 4}
    found = ts.fit(digits(), out=tmp_path / "run", **job)
    assert (found.folder / "bundle" / "model.onnx").stat().st_size <= 250_000
    past = read_history(found.folder / "search")
    refused = [trial for trial in past.trials.values() if trial.failure == "limit"]
    assert refused, "some networks of the portfolio are wider than the plan's"
    assert not any(trial.slices for trial in refused), "each was measured before it was trained"
    assert "over the limit of 0.25" in found.report.read_text("utf-8")


def test_of_many_images_a_fifth_tells_trials_apart_and_others_which_of_the_best_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("tunesmith.plan.plan"), "MOST_EPOCHS", 2.0)
    x_NHW, y_N = digits(1797)
    many = np.concatenate([x_NHW, x_NHW // 2, x_NHW // 3]), np.tile(y_N, 3)
    given = GIVEN | {"out": tmp_path / "run"}
    found = ts.fit(many, **(given | {"trials": 4}))
    data = tmp_path / "run" / "search" / "data"
    shared, job = np.load(data / "labels.npy"), json.loads((data / "job.json").read_text("utf-8"))
    counts = found.summary.data.counts
    learned = counts.train + counts.validation
    assert len(shared) == job["training"] + 500  # as many as are enough for so short slices
    assert learned - job["training"] == pytest.approx(0.2 * 0.8 * len(many[1]), abs=20)
    assert found.summary.search is not None
    assert found.summary.search.luck is not None
    assert found.summary.search.luck_error is not None
    page = found.report.read_text("utf-8")
    assert "(standard error" in page
    # The best two were cooled down, and compared on images that the search never saw, too.
    losses = found.summary.search.finalists
    assert len(losses) == 2
    best = min(losses, key=lambda number: losses[number])
    assert f"convnet {best}" in read_history(found.folder).trials
    assert f"On {500 + counts.selection:,} images, {counts.selection:,} of which" in page
    assert f"So those of trial {best} were chosen." in page
    assert "as the best of 2 that were compared on them" in page
    ctrl_c_before(monkeypatch, Tuner, "run")
    remains(found, ts.fit(many, **(given | {"trials": 6})))


def test_time_that_was_kept_for_finals_goes_into_the_search_if_they_would_take_longer(
    session_in: Callable[..., contextlib.AbstractContextManager[Session]],
    candidate: Candidate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[float] = []

    def run(*given: Any, ends_at: float) -> Ended:
        ends.append(ends_at)
        ended = Ended(status="finished", reason="The budget is spent.")
        given[3].append(ended, elapsed=0.0)
        return ended

    monkeypatch.setattr(search, "_run", run)
    monkeypatch.setattr(search, "hold_finals", lambda *_, **__: None)
    with session_in(tmp_path, now=lambda: 0.0) as session:
        search.search(session, candidate, ends_at=1000.0, extended=False)
        whole_s = (1 - SHARE) * 1000
        held = len(candidate.prepared.for_search()[1])
        kept_s = reserved_s(candidate.chosen, held, 0.0, whole_s)
        assert kept_s > 0
        assert ends == pytest.approx([whole_s - kept_s, whole_s])
        # Of a search that is over, nothing was kept.
        search.search(session, candidate, ends_at=1000.0, extended=False)
        assert len(ends) == 2
