"""Tests of `tunesmith.jobs.training.slices`, on a clock of their own."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tunesmith.core.ending import EndReason
from tunesmith.core.errors import ModelError
from tunesmith.core.settings import Settings
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.trial import Trial
from tunesmith.jobs.training import slices
from tunesmith.jobs.training.slices import run_trial
from tunesmith.models.preprocess import Normalize
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import Loss, loss_of
from tunesmith.training.slice import Checkpoint


class Moody(nn.Module):
    """A linear network that fails, in one way or another, in its first few training batches."""

    def __init__(self, moods: list[str]) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 2)
        self.moods = moods

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.linear(x.flatten(1))
        mood = self.moods.pop(0) if self.training and self.moods else "good"
        if mood == "hungry":
            z = z + torch.empty(2**60)
        return z * torch.nan if mood == "nan" else z


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """On a clock that is not the processor's, a training looks starved, and tries fewer threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data() -> TrainData:
    x = torch.randint(0, 256, (64, 1, 8, 8), dtype=torch.uint8)
    y = (x.float().mean((1, 2, 3)) > 127).long()
    return TrainData(x_NCHW=x, y_N=y, rows=torch.arange(64), normalize=Normalize.of(x))


@pytest.fixture
def session(
    session_in: Callable[..., AbstractContextManager[Session]], tmp_path: Path
) -> Iterator[Session]:
    now = iter(range(10**9))  # every look at the clock takes a tenth of a second
    with session_in(tmp_path, now=lambda: next(now) / 10, budget=1000) as opened:
        yield opened


def trial(data: TrainData, moods: list[str], *, horizon: int = 640) -> Trial:
    return Trial(
        name="model",
        build=lambda: Moody(moods),
        begin=None,
        config=TrainConfig(batch=16, optimizer="sgd", lr=0.05),
        data=data,
        loss=lambda config: loss_of(config, data.y_N, 2),
        validate=lambda _weights: {"accuracy": 0.5, "log_loss": 1.0},
        horizon=horizon,
        images_per_s=200.0,
        ends_at=900.0,
    )


def test_a_training_ends_at_its_horizon(session: Session, data: TrainData) -> None:
    trained = run_trial(session, trial(data, []))
    assert trained.checkpoint.seen == 640
    history = session.journal.history.trials["model"]
    assert history.seen == 640
    assert history.slices[-1].rows[-1]["rate"] == 0.0
    assert history.blocks[-1].at == 640
    assert history.ended == trained.reason
    assert trained.reason is EndReason.HORIZON


def test_only_the_last_checkpoint_is_kept(session: Session, data: TrainData) -> None:
    run_trial(session, trial(data, []))
    assert len(list((session.folder / "checkpoints").iterdir())) == 1


def test_divergence_steps_back_with_half_the_rate(session: Session, data: TrainData) -> None:
    good_first = ["good"] * 8
    trained = run_trial(session, trial(data, [*good_first, "nan", "good", "nan"]))
    assert trained.checkpoint.seen == 640
    notes = session.journal.history.notes
    assert 1 <= len(notes) <= 2
    assert "half the learning rate" in notes[0]
    assert all(torch.isfinite(v).all() for v in trained.checkpoint.network.values())


def test_endless_divergence_is_told(session: Session, data: TrainData) -> None:
    with pytest.raises(ModelError, match=r"no finite number after 0 examples"):
        run_trial(session, trial(data, ["nan"] * 1000))


def test_what_was_good_before_an_endless_divergence_is_kept(
    session: Session, data: TrainData
) -> None:
    trained = run_trial(session, trial(data, [*["good"] * 20, *["nan"] * 1000]))
    assert 0 < trained.checkpoint.seen < 640
    assert trained.reason is EndReason.DIVERGED
    assert all(torch.isfinite(v).all() for v in trained.checkpoint.average.values())
    history = session.journal.history
    assert history.trials["model"].ended == trained.reason
    assert history.trials["model"].blocks[-1].at == trained.checkpoint.seen
    assert "even with a learning rate 32 times smaller" in history.notes[-1]
    again = run_trial(session, trial(data, []))  # an end for good
    assert again.checkpoint.seen == trained.checkpoint.seen
    assert again.reason is trained.reason


def test_want_of_memory_halves_the_batch(session: Session, data: TrainData) -> None:
    trained = run_trial(session, trial(data, ["hungry", "hungry"]))
    assert trained.config.batch == 4
    assert trained.checkpoint.seen == 640
    assert session.journal.history.notes[0] == "Memory ran out: the batch is now 8 images."
    moods = ["hungry"] * 99
    longer = run_trial(session, trial(data, moods[:1], horizon=1280), extended=True)
    assert longer.config.batch == 2  # halved from what it was in the end, not from the plan's
    again = run_trial(session, trial(data, []))
    assert again.config.batch == 2
    with pytest.raises(ModelError, match="batch of one image"):
        run_trial(session, dataclasses.replace(trial(data, moods), name="other"))


def test_what_was_good_before_memory_ran_out_is_kept(
    session: Session, data: TrainData, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(session.interrupted, "wait", waits.append)
    trained = run_trial(session, trial(data, [*["good"] * 20, *["hungry"] * 99]))
    assert 0 < trained.checkpoint.seen < 640
    assert trained.reason is EndReason.MEMORY
    assert waits == [slices.WAIT_S] * 4  # from 16 images to 1, as 16 had fit before
    assert "even with a batch of one image" in session.journal.history.notes[-1]
    assert session.journal.history.trials["model"].ended is None
    again = run_trial(session, trial(data, []))  # there is memory again
    assert again.checkpoint.seen == 640
    assert again.config.batch == 16


def test_a_halved_batch_leaves_no_smaller_last_one(session: Session, data: TrainData) -> None:
    """Of one image, batch normalization would have single values."""
    seen = []

    class Counting(Moody):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return super().forward(x)

    odd = dataclasses.replace(
        trial(data, [], horizon=70),
        build=partial(Counting, moods := ["hungry"]),
        config=TrainConfig(batch=7, optimizer="sgd", lr=0.05),
    )
    trained = run_trial(session, odd)
    assert moods == []
    assert {*seen} == {7, 3}
    assert trained.checkpoint.seen == 72
    assert trained.reason is EndReason.HORIZON


def test_an_interruption_ends_after_the_slice(session: Session, data: TrainData) -> None:
    session.interrupted.set()
    trained = run_trial(session, trial(data, []))
    assert 0 < trained.checkpoint.seen < 640
    assert trained.reason is EndReason.INTERRUPTED


def test_a_finished_training_is_not_repeated_but_can_be_extended(
    session: Session, data: TrainData
) -> None:
    first = run_trial(session, trial(data, []))
    again = run_trial(session, trial(data, []))
    assert again.reason is first.reason is EndReason.HORIZON
    assert again.checkpoint.seen == 640
    longer = run_trial(session, trial(data, [], horizon=1280), extended=True)
    assert longer.checkpoint.seen == 1280
    rates = [done.rows[-1]["rate"] for done in session.journal.history.trials["model"].slices]
    assert max(rates[-8:]) > 0.0
    assert rates[-1] == 0.0


def test_a_short_extension_keeps_the_learning_rate_low(session: Session, data: TrainData) -> None:
    run_trial(session, trial(data, []))
    slow = dataclasses.replace(trial(data, [], horizon=704), images_per_s=16.0)  # a step a slice
    run_trial(session, slow, extended=True)
    slices = session.journal.history.trials["model"].slices
    rates = [done.rows[-1]["rate"] for done in slices if done.begin >= 640]
    assert slices[-1].end == 704
    assert 0 < max(rates) < 0.1


def test_wrong_labels_are_forgiven_once_they_have_shown(session: Session, data: TrainData) -> None:
    shares = iter([0.9])  # at a time when the network knows nothing yet
    told = {"accuracy": 0.5, "log_loss": 1.0}

    def validate(_weights: object) -> dict[str, float]:
        return {**told, "surest_contradicted": next(shares, 0.31)}

    noisy = dataclasses.replace(trial(data, [], horizon=6400), validate=validate)
    trained = run_trial(session, noisy)
    assert trained.config.robust > 0
    assert trained.config.label_smoothing < noisy.config.label_smoothing
    (note,) = session.journal.history.notes
    assert "31 % or more bear another label" in note


def noisy(session: Session, data: TrainData, *, horizon: int = 3200) -> Trial:
    """A training whose labels look wrong until its loss forgives: then, it learns some of them."""

    def validate(_weights: object) -> dict[str, float]:
        share = 0.055 if any(robust_of(session)) else 0.31
        return {"accuracy": 0.5, "log_loss": 1.0, "surest_contradicted": share}

    return dataclasses.replace(trial(data, [], horizon=horizon), validate=validate)


def robust_of(session: Session) -> list[bool]:
    """Whether the loss forgave wrong labels in each slice."""
    past = session.journal.history.trials.get("model")
    return [done.robust for done in past.slices] if past else []


def test_what_was_forgiven_stays_so_in_an_extension(session: Session, data: TrainData) -> None:
    first, again = (run_trial(session, noisy(session, data)) for _ in range(2))
    longer = run_trial(session, noisy(session, data, horizon=16_000), extended=True)
    assert longer.checkpoint.seen == 16_000
    assert first.config.robust > 0
    assert first.config == again.config == longer.config
    found = robust_of(session)
    assert found == sorted(found)  # once it forgives, it goes on
    assert len(session.journal.history.notes) == 1


def test_what_was_forgiven_stays_so_after_an_interruption(
    session_in: Callable[..., AbstractContextManager[Session]], data: TrainData, tmp_path: Path
) -> None:
    """And the weights are those of a training that nothing has interrupted."""

    def interrupt(session: Session, planned: Trial) -> Trial:
        def loss(config: TrainConfig) -> Loss:
            if any(robust_of(session)):
                session.interrupted.set()
            return planned.loss(config)

        return dataclasses.replace(planned, loss=loss)

    found = []
    for name in ("undisturbed", "interrupted"):
        folder, now = tmp_path / name, iter(range(10**9))
        folder.mkdir()
        with session_in(folder, now=lambda now=now: next(now) / 10, budget=1000) as session:
            planned = noisy(session, data, horizon=6400)
            if name == "interrupted":
                stopped = run_trial(session, interrupt(session, planned))
                assert stopped.reason is EndReason.INTERRUPTED
                session.interrupted.clear()
            found.append(run_trial(session, planned))
            assert any(robust_of(session))
    one, other = found
    assert other.config == one.config
    assert other.checkpoint.seen == one.checkpoint.seen == planned.horizon
    torch.testing.assert_close(
        other.checkpoint.network, one.checkpoint.network, rtol=1e-4, atol=1e-6
    )


def test_what_shows_only_at_the_end_is_not_told_to_be_forgiven(
    session: Session, data: TrainData
) -> None:
    trained = run_trial(session, noisy(session, data, horizon=1920))
    is_told = bool(session.journal.history.notes)
    assert (trained.config.robust > 0) == any(robust_of(session)) == is_told


def test_a_training_of_few_epochs_does_not_learn_wrong_labels_by_heart(
    session: Session, data: TrainData
) -> None:
    told = {"accuracy": 0.5, "log_loss": 1.0, "surest_contradicted": 0.31}
    brief = dataclasses.replace(trial(data, [], horizon=896), validate=lambda _: told)  # 14 epochs
    assert run_trial(session, brief).config == brief.config
    assert session.journal.history.notes == ()


def test_few_contradictions_and_the_user_leave_the_loss_alone(
    session: Session, data: TrainData
) -> None:
    told = {"accuracy": 0.5, "log_loss": 1.0, "surest_contradicted": 0.04}
    clean = dataclasses.replace(trial(data, [], horizon=6400), validate=lambda _: told)
    assert run_trial(session, clean).config == clean.config
    kept = Settings.make({"budget": 1000, "train": {"robust": 0.0}})
    told["surest_contradicted"] = 0.86  # by a network that has learned nothing
    starved = dataclasses.replace(clean, name="starved")
    assert run_trial(session, starved).config == starved.config
    told["surest_contradicted"] = 0.3
    own = dataclasses.replace(clean, name="own")
    assert run_trial(dataclasses.replace(session, settings=kept), own).config == own.config
    # Nor may the clock decide where nothing else depends on it.
    counted = Settings.make({"budget": 1000, "trials": 3})
    same = dataclasses.replace(clean, name="counted")
    assert run_trial(dataclasses.replace(session, settings=counted), same).config == same.config


@pytest.mark.parametrize(("trials", "is_fixed"), [(None, False), (0, False), (3, True)])
def test_threads_are_fixed_where_nothing_may_depend_on_the_clock(
    session: Session, data: TrainData, *, trials: int | None, is_fixed: bool
) -> None:
    """Without a search, all depends on it."""
    given = Settings.make({"budget": 1000, "trials": trials})
    found = slices._is_fixed(dataclasses.replace(session, settings=given), trial(data, []))
    assert found is is_fixed


def test_a_balanced_network_contradicts_frequent_labels_by_design(
    session: Session, data: TrainData
) -> None:
    told = {"accuracy": 0.5, "log_loss": 1.0, "surest_contradicted": 0.31}
    plain = trial(data, [], horizon=6400)
    config = plain.config.model_copy(update={"balance": 1.0})
    balanced = dataclasses.replace(plain, config=config, validate=lambda _: told)
    assert run_trial(session, balanced).config == config
    assert session.journal.history.notes == ()


def test_a_paused_training_goes_on_where_it_was(session: Session, data: TrainData) -> None:
    whole = trial(data, [])
    paused = run_trial(session, whole.paused(session.clock.elapsed() + 3))
    history = session.journal.history.trials["model"]
    assert 0 < paused.checkpoint.seen < 640
    assert history.ended is None
    assert history.blocks[-1].at == paused.checkpoint.seen  # so that it can be compared
    trained = run_trial(session, whole)
    slices = session.journal.history.trials["model"].slices
    assert trained.checkpoint.seen == slices[-1].end == 640
    assert [done.begin for done in slices] == [0, *(done.end for done in slices[:-1])]
    assert paused.checkpoint.seen in {done.end for done in slices}


def test_a_training_may_begin_elsewhere_than_from_scratch(
    session: Session, data: TrainData
) -> None:
    zeros = {"linear.weight": torch.zeros(2, 64), "linear.bias": torch.tensor([5.0, -5.0])}
    start = Checkpoint(seen=0, network=zeros, average=zeros, optimizer={})
    begun = dataclasses.replace(trial(data, []), begin=lambda: start)
    untouched = run_trial(session, dataclasses.replace(begun, ends_at=0.0))
    assert untouched.checkpoint.seen == 0
    torch.testing.assert_close(untouched.checkpoint.average, zeros)


def test_after_an_interruption_a_training_goes_on(session: Session, data: TrainData) -> None:
    session.interrupted.set()
    stopped = run_trial(session, trial(data, []))
    assert 0 < stopped.checkpoint.seen < 640
    assert session.journal.history.trials["model"].ended is None
    session.interrupted.clear()
    trained = run_trial(session, trial(data, []))
    assert trained.checkpoint.seen == 640
    assert trained.reason != stopped.reason


def test_a_rise_that_was_cut_short_goes_on_to_its_top(session: Session, data: TrainData) -> None:
    slow = dataclasses.replace(
        trial(data, [], horizon=6400), config=TrainConfig(batch=16, optimizer="sgd", warmup=0.5)
    )
    paused = run_trial(session, slow.paused(session.clock.elapsed() + 3))
    assert 0 < paused.checkpoint.seen < 1600
    run_trial(session, slow)
    slices = session.journal.history.trials["model"].slices
    rates = [done.rows[-1]["rate"] for done in slices]
    assert max(rates) > 0.8
    assert rates[-1] == 0.0
