"""Tests of `tunesmith.jobs.training.compiling`."""

import logging
import math
import shutil
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from tunesmith.execution.threads import Threads
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trial
from tunesmith.jobs.training import compiling
from tunesmith.jobs.training.compiling import (
    AFTER,
    BEFORE,
    KILLED,
    Compiling,
    Contest,
    Stage,
    worth_s,
)
from tunesmith.jobs.training.pacing import Pacing
from tunesmith.jobs.training.slices import run_trial
from tunesmith.models.preprocess import Normalize
from tunesmith.training import epoch
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import loss_of
from tunesmith.training.slice import Checkpoint, Outcome, SliceResult

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="compiling needs a C++ compiler and Python's headers",
)


@torch.library.custom_op("tunesmith_tests::opaque", mutates_args=())
def opaque(x: Tensor) -> Tensor:
    """An operation of a user's that works, but tells the compiler nothing about its result."""
    return 2 * x


opaque.register_autograd(lambda _context, gradient: 2 * gradient)


class Small(nn.Module):
    """A convolution, a norm and dropout; perhaps an operation at the end."""

    def __init__(self, last: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GELU())
        self.head = nn.Linear(4, 2)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.head(nn.functional.dropout(self.features(x).mean((2, 3)), 0.1))
        return self.last(z) if self.last else z


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what was compiled, and keep what will be in a folder of the test's own."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "code"))
    monkeypatch.delenv("TORCH_COMPILE_DISABLE", raising=False)
    torch.compiler.reset()
    counters.clear()
    monkeypatch.setattr("tunesmith.jobs.training.pacing.cores", lambda: 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.compiler.reset()


@pytest.fixture
def session(
    session_in: Callable[..., AbstractContextManager[Session]], tmp_path: Path
) -> Iterator[Session]:
    now = iter(range(10**9))  # every look at the clock takes a tenth of a second
    given = {"model": "mine.py:small", "budget": 1000}
    with session_in(tmp_path, now=lambda: next(now) / 10, **given) as opened:
        yield opened


@pytest.fixture
def eager_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any time left is worth it, and any speed is good enough."""
    monkeypatch.setitem(compiling.WORTH_S, "cpu", 1.0)
    monkeypatch.setattr(compiling, "COMPILING_SHARE", 1e9)
    monkeypatch.setattr(compiling, "FASTER", 0.1)


def data_of(count: int = 64) -> TrainData:
    x = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8)
    y = (x.float().mean((1, 2, 3)) > 127).long()
    return TrainData(x_NCHW=x, y_N=y, rows=torch.arange(count), normalize=Normalize.of(x))


def trial(last: Callable[[Tensor], Tensor] | None = None, **options: Any) -> Trial:
    data = data_of()
    given: dict[str, Any] = {
        "name": "model",
        "build": lambda: Small(last),
        "begin": None,
        "config": TrainConfig(batch=16, optimizer="sgd", lr=0.05),
        "data": data,
        "loss": lambda config: loss_of(config, data.y_N, 2),
        "validate": None,
        "horizon": 6400,
        "images_per_s": 100.0,
        "ends_at": 900.0,
    }
    return Trial(**given | options)


def after(contest: Contest, rates: list[float], *, is_worth: bool = True) -> Contest:
    for rate in rates:
        contest = contest.before(1.0, is_worth=is_worth).after(rate)
    return contest.before(1.0, is_worth=is_worth)


def compiled_at(rate: float) -> Contest:
    return after(Contest(scale=1.0), [*[100.0] * BEFORE, 5.0, *[rate] * AFTER])


def test_compiling_waits_for_a_speed_to_compare_with() -> None:
    contest = Contest(scale=1.0)
    assert not after(contest, [100.0] * (BEFORE - 1)).is_compiled
    assert after(contest, [100.0] * BEFORE).stage is Stage.COMPILING
    assert not after(contest, [100.0] * 50, is_worth=False).is_compiled


@pytest.mark.parametrize(
    ("rate", "stage"),
    [(120.0, Stage.COMPILED), (104.0, Stage.COMPILED), (102.0, Stage.OFF), (50.0, Stage.OFF)],
)
def test_the_faster_way_goes_on(rate: float, stage: Stage) -> None:
    contest = compiled_at(rate)
    assert contest.stage is stage
    assert contest.speedup == pytest.approx(rate / 100)  # the slice that compiled does not count
    assert after(contest, [rate] * 20).stage is stage


def test_one_slow_slice_does_not_decide() -> None:
    rates = [*[100.0] * BEFORE, 5.0, 30.0, 120.0, 120.0]
    contest = after(Contest(scale=1.0), rates)
    assert contest.stage is Stage.COMPILED
    assert after(contest, [30.0, 120.0, 30.0, 120.0]).stage is Stage.COMPILED


def test_compiled_code_that_becomes_slow_is_left_and_tried_again_later() -> None:
    contest = after(compiled_at(120.0), [120.0, 20.0, 20.0])
    assert contest.stage is Stage.EAGER
    assert after(contest, [100.0] * BEFORE).stage is Stage.COMPILING


def test_each_image_size_is_decided_for_itself_unless_compiling_did_not_pay() -> None:
    larger = compiled_at(120.0).before(0.75, is_worth=True)
    assert larger == Contest(scale=0.75)
    assert compiled_at(90.0).before(0.75, is_worth=True).stage is Stage.OFF


def test_where_compiling_is_never_tried(
    session_in: Callable[..., AbstractContextManager[Session]],
    session: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (
        0
        < worth_s(session, "model", torch.device("cuda", 0))
        <= worth_s(session, "model", CPU)
        < math.inf
    )
    assert worth_s(session, "model", torch.device("mps")) == math.inf
    for trials, is_tried in ((1, False), (0, True)):  # without a search, all depends on the clock
        (tmp_path / str(trials)).mkdir()
        with session_in(tmp_path / str(trials), model="mine.py:small", trials=trials) as other:
            assert (worth_s(other, "model", CPU) < math.inf) == is_tried
    (tmp_path / "ours").mkdir()
    with session_in(tmp_path / "ours") as ours:  # of which it is known that it does not pay
        assert worth_s(ours, "convnet", CPU) == math.inf
        assert worth_s(ours, "convnet", torch.device("cuda", 0)) < math.inf
    with monkeypatch.context() as switch:
        switch.setenv("TORCH_COMPILE_DISABLE", "1")
        assert worth_s(session, "model", CPU) == math.inf
    begun(session)._give_up("it is slow")  # which a resumed training need not find out again
    assert worth_s(session, "model", CPU) == math.inf
    assert worth_s(session, "other", CPU) < math.inf


def begun(session: Session) -> Compiling:
    """Return one that has measured the speed without compiling, and compiles next."""
    pacing = Pacing(clock=session.clock, is_fixed=True)
    contest = Contest(scale=1.0, rates=(100.0,) * BEFORE)
    return Compiling(session=session, name="model", pacing=pacing, worth_s=9.0, contest=contest)


def result(outcome: Outcome = Outcome.DONE) -> SliceResult:
    empty = Checkpoint(seen=16, network={}, average={}, optimizer={})
    return SliceResult(outcome=outcome, row={}, checkpoint=empty)


def run(run: Compiling, train: compiling.TrainSlice, *, left_s: float = 10.0) -> SliceResult:
    return run.run(train, data_of(), scale=1.0, left_s=left_s, stop=lambda: False)


def test_too_little_time_left_is_not_spent_on_compiling(session: Session) -> None:
    runs: list[bool] = []

    def train(*, data: TrainData, stop: Callable[[], bool]) -> SliceResult:
        runs.append(data.compute.compiled)
        return result()

    slices = begun(session)
    run(slices, train, left_s=8.0)
    run(slices, train, left_s=10.0)
    assert runs == [False, True]


def test_other_processes_on_the_cores_keep_it_from_being_tried(session: Session) -> None:
    def train(*, data: TrainData, stop: Callable[[], bool]) -> SliceResult:
        assert not data.compute.compiled
        return result()

    slices = begun(session)
    slices.pacing.is_fixed = False
    slices.pacing.threads = Threads(cores=4, now=2)
    run(slices, train)
    assert slices.contest.stage is Stage.EAGER


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.OUT_OF_MEMORY])
def test_a_slice_that_fails_compiled_is_trained_again_without(
    session: Session, outcome: Outcome
) -> None:
    runs: list[bool] = []

    def train(*, data: TrainData, stop: Callable[[], bool]) -> SliceResult:
        runs.append(data.compute.compiled)
        return result(outcome if data.compute.compiled else Outcome.DONE)

    slices = begun(session)
    assert run(slices, train).outcome is Outcome.DONE
    assert run(slices, train).outcome is Outcome.DONE
    assert runs == [True, False, False]
    _, note = session.journal.history.notes
    assert note == f"model is trained without `torch.compile`: {outcome.value}."


def test_an_error_of_the_network_is_the_network_s(session: Session) -> None:
    def train(*, data: TrainData, stop: Callable[[], bool]) -> SliceResult:
        raise TypeError("conv2d(): wrong")

    with pytest.raises(TypeError, match="conv2d"):
        run(begun(session), train)


def test_an_interruption_is_no_failure(session: Session) -> None:
    def train(*, data: TrainData, stop: Callable[[], bool]) -> SliceResult:
        if data.compute.compiled:
            session.interrupted.set()  # Ctrl-C reaches the compiler as well
            raise RuntimeError("C++ compile error")
        return result(Outcome.STOPPED)

    assert run(begun(session), train).outcome is Outcome.STOPPED
    assert len(session.journal.history.notes) == 1
    assert worth_s(session, "model", CPU) < math.inf  # it is tried again


def test_compiling_for_too_long_is_given_up(session: Session) -> None:
    slices, batches = begun(session), 0

    def train(*, data: TrainData, stop: Callable[[], bool]) -> SliceResult:
        nonlocal batches
        while not stop():
            batches += 1
        return result(Outcome.STOPPED)

    run(slices, train, left_s=50.0)  # five seconds, of a tenth at each look
    slices.end(16)
    assert 30 < batches < 60
    assert slices.contest.stage is Stage.OFF
    assert not slices.counts
    assert "more than 10 % of the time left" in session.journal.history.notes[-1]


def test_warnings_of_the_compiler_are_silent(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    def train(*, data: TrainData, stop: Callable[[], bool]) -> SliceResult:
        warnings.warn("Graph break", stacklevel=1)
        logging.getLogger("torch._dynamo.convert_frame").warning("hit recompile_limit")
        return result()

    run(begun(session), train)
    assert capfd.readouterr().err == ""
    with pytest.warns(match="Graph break"):
        warnings.warn("Graph break", stacklevel=1)


@needs_compiler
@pytest.mark.usefixtures("eager_to_compile")
def test_a_training_is_compiled_once_for_each_image_size(session: Session) -> None:
    config = TrainConfig(batch=16, optimizer="sgd", lr=0.05, early_scale=0.75)
    trained = run_trial(session, trial(config=config, horizon=19200))
    assert counters["stats"]["unique_graphs"] == 2
    slices = session.journal.history.trials["model"].slices
    assert len(slices) > 2 * (BEFORE + 1 + AFTER)
    assert trained.checkpoint.seen == slices[-1].end == 19200
    weights = Small().state_dict().keys()
    assert trained.checkpoint.network.keys() == trained.checkpoint.average.keys() == weights
    notes = session.journal.history.notes
    words = ["75 %", "compiling took", "Compiled", "100 %", "compiling took", "Compiled"]
    assert [word in note for word, note in zip(words, notes, strict=True)] == [True] * 6


@needs_compiler
@pytest.mark.usefixtures("eager_to_compile")
def test_code_that_does_not_pay_is_left(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "FASTER", 100.0)
    trained = run_trial(session, trial())
    assert trained.checkpoint.seen == 6400
    assert "is trained without `torch.compile`: with it, it is" in session.journal.history.notes[2]


@pytest.mark.usefixtures("eager_to_compile")
def test_a_network_that_cannot_be_compiled_is_trained_as_it_is(session: Session) -> None:
    trained = run_trial(session, trial(opaque))
    assert trained.checkpoint.seen == 6400
    _, note = session.journal.history.notes
    assert "without `torch.compile`: TorchRuntimeError: RuntimeError when making fake" in note


@pytest.mark.usefixtures("eager_to_compile")
def test_a_compiler_that_fails_costs_nothing_but_time(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/bin/false",))
    trained = run_trial(session, trial())
    assert trained.checkpoint.seen == 6400
    slices = session.journal.history.trials["model"].slices
    assert [done.begin for done in slices] == [0, *(done.end for done in slices[:-1])]
    _, note = session.journal.history.notes
    assert note.startswith("model is trained without `torch.compile`: InductorError: ")
    assert "TORCHDYNAMO_VERBOSE" not in note


@pytest.mark.usefixtures("eager_to_compile")
def test_a_run_that_was_killed_while_compiling_does_not_compile_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_network: nn.Module) -> nn.Module:
        raise KeyboardInterrupt  # passes by every handler, as a kill does

    monkeypatch.setattr(epoch, "compiled", killed)
    with pytest.raises(KeyboardInterrupt):
        run_trial(session, trial())
    session.note("Something else.")  # words are for people
    assert worth_s(session, "other", CPU) == math.inf
    assert KILLED not in session.journal.history.notes
    trained = run_trial(session, trial())
    assert trained.checkpoint.seen == 6400
    assert session.journal.history.notes[-1] == KILLED
