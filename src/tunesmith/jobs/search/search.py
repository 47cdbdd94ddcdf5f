"""Search for a better config than the plan's, in a subfolder of the run."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tunesmith import plan as planning
from tunesmith.core.clock import Clock
from tunesmith.core.cores import cores
from tunesmith.core.errors import SettingsError
from tunesmith.core.seeds import derive
from tunesmith.core.space import Float, Space
from tunesmith.core.words import counted
from tunesmith.evaluation.metrics import METRICS
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.limits import COSTLY, KINDS
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.search.cooldowns import reserved_s
from tunesmith.jobs.search.finals import COOLED, RESULT, Finals, hold_finals, recorded
from tunesmith.jobs.search.followers import followers
from tunesmith.jobs.search.repeats import train_again
from tunesmith.jobs.search.search_setup import (
    SCHEDULERS,
    disk_bytes,
    forget_failures,
    method,
    remember,
    sampler_named,
)
from tunesmith.jobs.search.searched import Searched
from tunesmith.jobs.search.shared import DATA, share
from tunesmith.jobs.search.slices import TRIALS
from tunesmith.jobs.search.space import BATCH, training_space
from tunesmith.jobs.search.workers import choose_workers, chosen_workers, processes
from tunesmith.plan.search import given_workers
from tunesmith.records.events import Ended
from tunesmith.records.history import History as Past
from tunesmith.records.journal import FILE as JOURNAL
from tunesmith.records.journal import Journal, read_history
from tunesmith.tuning.failures import found_in
from tunesmith.tuning.near import Near
from tunesmith.tuning.portfolio import Portfolio
from tunesmith.tuning.protocols import History, Sampler
from tunesmith.tuning.recorded import recall, resumptions
from tunesmith.tuning.repeats import SHARE, TIMES, Noise
from tunesmith.tuning.search import Search
from tunesmith.tuning.timing import best_trial
from tunesmith.tuning.tuner import Tuner
from tunesmith.tuning.within import Within

FOLDER = "search"
SLICE = "tunesmith.jobs.search.slices:train"
LEAST_S = 1.0  # seconds for a search in any case, however late it is
MEMORY_SHARE = 0.8  # share of the machine's memory, for all workers together


def search(session: Session, candidate: Candidate, *, ends_at: float, extended: bool) -> Searched:
    """Start or resume the search, until a deadline; a finished search is not run again.

    Args:
        session: Session of this process.
        candidate: Plan whose config is searched around, and its network.
        ends_at: Deadline on the run's clock, in seconds.
        extended: Whether the run got a larger budget since, so that a finished search continues.
    """
    folder = session.folder / FOLDER
    cooled_at = ends_at - SHARE * (ends_at - session.clock.elapsed())
    _share(session, candidate, folder / DATA)
    what = _search(session, candidate)
    remember(folder, what)
    with Journal(folder) as journal:
        ended, kept_s = journal.history.ended, 0.0
        if ended is None or ended.status != "finished" or extended:
            forget_failures(journal, folder / TRIALS)
            left_s = cooled_at - session.clock.elapsed()
            held = len(candidate.prepared.for_search()[1])
            kept_s = reserved_s(candidate.chosen, held, journal.history.elapsed, left_s)
            ended = _run(session, candidate, what, journal, ends_at=cooled_at - kept_s)
        past = journal.history
        workers = chosen_workers(given_workers(session.settings), past)
        finals = _finals(session, candidate, what, past, workers=workers, ends_at=cooled_at)
        if finals is None and kept_s and not session.interrupted.is_set():
            # The best trials take longer than was expected: that time goes into the search.
            ended = _run(session, candidate, what, journal, ends_at=cooled_at)
            past = journal.history
    history = recall(past, horizon=what.horizon, sign=what.sign, is_timed=what.units is None)
    return Searched(
        space=what.space,
        history=history,
        names=_names(candidate, history),
        finals=finals,
        number=_best(history) if finals is None else finals.best,
        sign=what.sign,
        resumed=resumptions(past),
        seconds=past.elapsed,
        reason=_reason(session, ended, history),
        method=what.method,
        noise=_noise(session, candidate, what, history, past, workers=workers, ends_at=ends_at),
    )


def _finals(
    session: Session,
    candidate: Candidate,
    what: Search,
    past: Past,
    *,
    workers: int,
    ends_at: float,
) -> Finals | None:
    """Compare the best trials; an interrupted search that went on keeps its former comparison."""
    folder = session.folder / FOLDER
    former = [recorded(path) for path in folder.glob(f"{COOLED}-*/{RESULT}")]
    finals = hold_finals(
        session,
        candidate,
        what,
        recall(past, horizon=what.horizon, sign=what.sign, is_timed=True),
        folder=folder,
        executor=partial(processes, folder=folder, memory_share=MEMORY_SHARE),
        workers=workers,
        spent_s=past.elapsed,
        ends_at=ends_at,
    )
    if finals is None and session.interrupted.is_set():
        return next(filter(None, former), None)
    return finals


def _names(candidate: Candidate, history: History) -> list[str]:
    return [replace(candidate, number=n or None).name for n in range(len(history.trials))]


def _reason(session: Session, ended: Ended, history: History) -> str:
    """Explain why the search ended; the user is told at once if it did not come to anything."""
    if any(trial.is_tried for trial in history.trials) or session.interrupted.is_set():
        return ended.reason
    asked = session.settings.trials
    were = "" if asked is None else f" ({counted(asked, 'was', 'were')} asked for)"
    reason = f"No setting was tried: the budget was too short for a search{were}."
    session.note(reason, lasting=False)
    return reason


def _best(history: History) -> int | None:
    """Number of the best trial that is not the plan's; its config must train to the end."""
    return best_trial(history, first=1, may_have_failed=False)


def unrecorded_seconds(folder: Path, past: Past) -> float:
    """Seconds of a killed search, which its own journals know alone.

    Args:
        folder: Folder of the run.
        past: History of the run.
    """
    places = [folder / FOLDER, *(folder / FOLDER).glob(f"{COOLED}-*")]
    told = [read_history(place).elapsed for place in places if (place / JOURNAL).exists()]
    return max(0.0, max(told, default=0.0) - past.phases.get("search", 0.0))


def _run(
    session: Session, candidate: Candidate, what: Search, journal: Journal, *, ends_at: float
) -> Ended:
    """Run the tuner, on a clock that counts the seconds of the search alone."""
    assert candidate.chosen.search is not None
    folder = session.folder / FOLDER
    given = given_workers(session.settings)
    workers = given or candidate.chosen.search.workers
    # What followed an earlier search, such as its finals, counts like that in the run's journal.
    spent = max(journal.history.elapsed, session.journal.history.phases.get("search", 0.0))
    left = max(LEAST_S, ends_at - session.clock.elapsed())
    clock = Clock(budget=spent + left, spent=spent)

    def tuner(what: Search, workers: int) -> Tuner:
        return Tuner(
            what,
            folder=folder / TRIALS,
            executor=processes(workers, folder, memory_share=MEMORY_SHARE),
            clock=clock,
            journal=journal,
            say=session.terminal.say,
            interrupted=session.interrupted,
        )

    try:
        if given is None:
            workers = choose_workers(
                what, workers, tuner, journal=journal, clock=clock, say=session.note
            )
        reason = tuner(what, workers).run()
    except SettingsError as error:  # a common cause, or changed code: what was found remains
        reason = _why(error)
        session.note(reason, lasting=False)
    status = "interrupted" if session.interrupted.is_set() else "finished"
    ended = Ended(status=status, reason=reason)
    journal.append(ended, elapsed=clock.elapsed())
    return ended


def _why(error: SettingsError) -> str:
    """Explain why a search was stopped within a run, which goes on without it, and is finished."""
    return (
        f"{found_in(error)} The run goes on with what was found. Once the cause is mended, the "
        "same command with a larger --budget, or more --trials, goes on with the search."
    )


def _noise(
    session: Session,
    candidate: Candidate,
    what: Search,
    history: History,
    past: Past,
    *,
    workers: int,
    ends_at: float,
) -> Noise | None:
    """Train the plan's config and the best other one again, with other seeds."""
    if not history.trials:
        return None
    folder, seed = session.folder / FOLDER, candidate.chosen.train.seed
    return train_again(
        what,
        history,
        past,
        _best(history),
        [{"train.seed": derive(seed, "again", n)} for n in range(TIMES)],
        folder=folder,
        executor=processes(workers, folder, memory_share=MEMORY_SHARE),
        clock=Clock(budget=ends_at, spent=session.clock.elapsed()),
        interrupted=session.interrupted,
    )


def _search(session: Session, candidate: Candidate) -> Search:
    planned, settings = candidate.chosen.search, session.settings
    assert planned is not None
    space = training_space(candidate.family, candidate.chosen, settings)
    trials, is_whole = planned.trials, settings.scheduler == "none"
    each = planning.UNITS if is_whole else planning.UNITS_EACH
    return Search(
        function=SLICE,
        space=space,
        horizon=planning.UNITS,
        sign=-1 if METRICS[settings.metric].greater_is_better else 1,
        sampler=_sampler(session, candidate, space),
        scheduler=SCHEDULERS[settings.scheduler],
        block=planning.UNITS if is_whole else 1,
        trials=trials,
        units=None if trials is None else each * trials,
        reserves_time_to_finish=False,  # the final model is trained afterwards
        disk_bytes=disk_bytes(session.folder / FOLDER / TRIALS, is_timed=trials is None),
        method=method(settings.sampler, settings.scheduler),
        seed=settings.seed,
    )


def _sampler(session: Session, candidate: Candidate, space: Space) -> Sampler:
    """Build the sampler: known configs, then near the plan; within limits, time and memory."""
    # The order of cost of a user's network is unknown: only equal params are compared. Fractions
    # are never equal, and are mostly such as dropout, on which no cost depends.
    is_own = candidate.family.source is not None
    costly: tuple[str, ...] = () if is_own else COSTLY
    whole = [name for name, field in space.items() if not isinstance(field.range, Float)]
    kinds = tuple(n for n in whole if n.startswith("params.")) if is_own else KINDS
    small = Within(Near(sampler_named(session.settings.sampler)), costly=costly, kinds=kinds)
    memory = "memory", "killed"
    # A larger batch takes more memory.
    fitting = Within(small, costly=(*costly, BATCH), kinds=kinds, failures=memory)
    is_scratch = not is_own and candidate.family.pretrained is None
    return Portfolio([{}, *followers(space)] if is_scratch else [{}], then=fitting)


def _share(session: Session, candidate: Candidate, folder: Path) -> None:
    settings, (data, held) = session.settings, candidate.prepared.for_search()
    job: dict[str, Any] = {"metric": settings.metric, "device": settings.device}
    job |= {"limit": dict(settings.limit), "threads": cores()}
    share(folder, candidate, data, held, **job)
