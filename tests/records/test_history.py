"""Tests of `tunesmith.records.history` and `tunesmith.records.events`."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.ending import EndReason
from tunesmith.core.errors import RunFolderError
from tunesmith.records import events
from tunesmith.records.events import Event, SliceDone, Stored, decode, encode
from tunesmith.records.history import History, fold, replay

slices = st.builds(
    lambda trial, begin, length: SliceDone(
        trial=trial,
        begin=begin * 10,
        end=(begin + length) * 10,
        seconds=1.0,
        checkpoint=f"{begin}+{length}",
        rows=({"loss": 1.0},),
    ),
    st.sampled_from(["model", "fold-1"]),
    st.integers(0, 5),
    st.integers(1, 3),
)
others = st.one_of(
    st.builds(
        lambda b, n: events.SessionStarted(budget=b, trials=n),
        st.floats(1, 100),
        st.none() | st.integers(0, 20),
    ),
    st.builds(
        lambda t, lasting: events.Noted(text=t, lasting=lasting), st.text(max_size=5), st.booleans()
    ),
    st.builds(
        lambda at: events.BlockDone(trial="model", at=at, metrics={"accuracy": 0.5}),
        st.integers(0, 60),
    ),
    st.just(events.TestOpened()),
    st.just(events.WorkersChosen(workers=2, reason="faster")),
    st.just(events.TrialEnded(trial="model", reason="done")),
    st.just(events.CompilingChanged(trial="model", state="begun")),
    st.just(events.Planned(plan={"a": [1, 2]})),
    st.just(events.TrialStarted(trial="fold-1", config={"lr": 0.1})),
    st.just(events.Ended(status="finished", reason="done")),
    st.just(events.Stopped(reason="broken")),
)
stored = st.builds(
    lambda e, t: Stored(event=e, elapsed=t, phases={"train": t}),
    st.one_of(slices, others),
    st.floats(0, 1000),
)


@given(st.lists(stored, max_size=30))
def test_replay_equals_live(journal: list[Stored]) -> None:
    live = History()
    for item in journal:
        live = fold(live, item)
    read = [
        Stored(event=decode(*encode(s.event)), elapsed=s.elapsed, phases=s.phases) for s in journal
    ]
    assert replay(read) == live


@given(st.lists(stored, max_size=30))
def test_a_trial_s_slices_are_one_unbroken_chain(journal: list[Stored]) -> None:
    for trial in replay(journal).trials.values():
        ends = [0, *(s.end for s in trial.slices)]
        assert [s.begin for s in trial.slices] == ends[:-1]


@given(st.lists(slices, max_size=30))
def test_it_is_known_when_each_slice_was_recorded(done: list[SliceDone]) -> None:
    numbered = [Stored(event=e, elapsed=float(n), phases={}) for n, e in enumerate(done)]
    for trial in replay(numbered).trials.values():
        assert len(trial.told_s) == len(trial.slices)
        assert [done[int(at)] for at in trial.told_s] == list(trial.slices)


@given(st.lists(slices, max_size=20))
def test_a_slice_told_twice_counts_once(done: list[SliceDone]) -> None:
    def tell(events: list[SliceDone]) -> History:
        return replay(Stored(event=e, elapsed=0.0, phases={}) for e in events)

    assert tell([e for e in done for _ in range(2)]).trials == tell(done).trials


def at(event: Event) -> Stored:
    return Stored(event=event, elapsed=0.0, phases={})


def make(begin: int, end: int) -> Stored:
    return at(SliceDone(trial="m", begin=begin, end=end, seconds=1, checkpoint=f"{end}", rows=()))


def test_a_step_back_drops_what_it_replaces() -> None:
    history = replay([make(0, 10), make(10, 20), make(20, 30), make(10, 25)])
    assert [s.end for s in history.trials["m"].slices] == [10, 25]
    assert history.trials["m"].checkpoint == "25"


def test_training_on_after_the_end_reopens_a_trial() -> None:
    ended = at(events.TrialEnded(trial="m", reason="done"))
    assert replay([make(0, 10), ended]).trials["m"].ended == "done"
    assert replay([make(0, 10), ended, make(10, 20)]).trials["m"].ended is None


def test_openings_of_the_test_part_are_counted() -> None:
    assert replay([at(events.TestOpened()), at(events.TestOpened())]).test_openings == 2


def test_a_run_that_ended_is_extended_by_more_than_it_had() -> None:
    given = events.SessionStarted(budget=60.0, trials=3)
    more = (
        events.SessionStarted(budget=61.0, trials=3),
        events.SessionStarted(budget=60.0, trials=4),
        events.SessionStarted(budget=1.0, trials=4),
    )
    begun = replay([at(given)])
    assert not any(map(begun.is_extended_by, more))
    # Killed once a training had ended, which had no more time than that.
    cut, over = (
        at(events.TrialEnded(trial="a", reason=reason, for_good=reason.is_for_good))
        for reason in (EndReason.INTERRUPTED, EndReason.TIME)
    )
    assert not any(map(fold(begun, cut).is_extended_by, more))
    killed = fold(begun, over)
    assert all(map(killed.is_extended_by, more))
    assert not killed.is_extended_by(given)
    assert fold(fold(killed, at(more[0])), over).is_extended_by(more[0])
    ended = fold(begun, at(events.Ended(status="finished", reason="done")))
    assert all(map(ended.is_extended_by, more))
    assert not ended.is_extended_by(given)
    assert not ended.is_extended_by(events.SessionStarted(budget=1.0))
    # What was killed has not ended: the same is still more than the run had when it did.
    assert fold(ended, at(more[1])).is_extended_by(more[1])
    # What was interrupted has not been done either.
    stopped = [at(more[1]), at(events.Ended(status="interrupted", reason="stopped"))]
    assert functools.reduce(fold, stopped, ended).is_extended_by(more[1])
    assert not functools.reduce(fold, stopped, replay([])).is_extended_by(more[1])


def test_a_plan_is_of_the_session_that_made_it_first() -> None:
    killed, first, later = (events.SessionStarted(budget=budget) for budget in (1.0, 2.0, 3.0))
    planned = at(events.Planned(plan={}))
    assert replay([at(killed), at(first)]).planned is None
    assert replay([at(killed), at(first), planned, at(later), planned]).planned == first


@pytest.mark.parametrize("content", ['{"text": "hello", "mood": "good"}', "{}"])
def test_an_event_with_other_fields_is_refused(content: str) -> None:
    with pytest.raises(RunFolderError, match=r"an event 'noted' that .* cannot read .* Update"):
        decode("noted", content)


@pytest.mark.parametrize(
    ("kind", "content"),
    [("noted", ""), ("noted", '{"text": "he'), ("noted", "[]"), ("slice done", '{"rows": 1}')],
)
def test_an_event_that_is_damaged_is_told(kind: str, content: str) -> None:
    with pytest.raises(RunFolderError, match=rf"damaged: its event '{kind}' .* Put back a copy"):
        decode(kind, content)


def test_what_came_out_of_a_session_is_noted_until_the_next() -> None:
    noted = [events.Noted(text="It is small."), events.Noted(text="It came last.", lasting=False)]
    begun = replay([at(events.SessionStarted(budget=9.0)), *map(at, noted)])
    assert begun.notes == ("It is small.", "It came last.")
    resumed = fold(begun, at(events.SessionStarted(budget=9.0)))
    assert resumed.notes == ("It is small.",)
    assert fold(resumed, at(noted[1])).notes == begun.notes
    assert decode("noted", '{"text": "An earlier version"}') == events.Noted(
        text="An earlier version"
    )


def test_an_error_counts_until_the_next_session() -> None:
    begun = replay([at(events.SessionStarted(budget=9.0)), at(events.Stopped(reason="broken"))])
    assert begun.stopped == "broken"
    assert fold(begun, at(events.SessionStarted(budget=9.0))).stopped is None


def test_why_so_many_processes_search_is_told() -> None:
    event = events.WorkersChosen(workers=2, reason="Two are faster.")
    stored = [
        Stored(event=each, elapsed=0.0, phases={}) for each in (events.Noted(text="a"), event)
    ]
    assert replay(stored).notes == ("Two are faster.", "a")
