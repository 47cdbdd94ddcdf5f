"""Cool down the best trials of a search, and choose one of them.

Trials of a search keep a constant learning rate, so that any of them may be paused. How good a
config is shows once the rate has fallen, and its value in the search is partly luck. So the best
few are cooled down, and compared on further images.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import final

import numpy as np

from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.core.spread import spread
from tunesmith.evaluation.calibration import weighted_losses
from tunesmith.evaluation.predict import logits
from tunesmith.execution.executor import Executor
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.stored import read_checkpoint
from tunesmith.jobs.search.cooldowns import FEWEST, MOST, affordable
from tunesmith.jobs.search.slices import COOLING, STATE, TRIALS, cooling
from tunesmith.jobs.search.space import applied
from tunesmith.records.folder import write_atomic, writing
from tunesmith.records.journal import FILE as JOURNAL
from tunesmith.records.journal import Journal, read_history
from tunesmith.tuning.asha import ASHA
from tunesmith.tuning.failures import found_in
from tunesmith.tuning.folders import at_unit, is_gone
from tunesmith.tuning.protocols import History, Trial
from tunesmith.tuning.repeats import Listed
from tunesmith.tuning.search import Search
from tunesmith.tuning.timing import ranked
from tunesmith.tuning.tuner import Tuner

COOLED, RESULT = "cooled", "finals.json"  # folder of a search's finals, and what came of them
SLICE = "tunesmith.jobs.search.slices:cool"
IN_TURN = ASHA(first=1.0, block=1 / COOLING)  # one after the other, a unit at a time


@final
@dataclass(frozen=True, kw_only=True)
class Finals:
    """The best trials of a search, as good as they are once cooled down.

    Attributes:
        losses: Calibrated log loss of each, by its number in the search, the best of that first;
            weighted as in `weighted_losses`.
        images: Number of images that it was measured on.
        unseen: Number of these that the search never saw.
    """

    losses: Mapping[int, float]
    images: int
    unseen: int

    @property
    def best(self) -> int:
        """Number of the trial with the lowest loss."""
        return min(self.losses, key=lambda number: self.losses[number])

    @property
    def compared(self) -> int:
        """How many were compared on images that the search never saw."""
        return len(self.losses) if self.unseen else 1


def finalists(history: History, trials: Path) -> list[int]:
    """Numbers of the best trials other than the plan's, the best first, whose state is there."""
    return [
        number
        for number in ranked(history, first=1, may_have_failed=False)
        if not is_gone(at_unit(trials, number, history.trials[number].at))
    ][:MOST]


def hold_finals(
    session: Session,
    candidate: Candidate,
    search: Search,
    history: History,
    *,
    folder: Path,
    executor: Callable[[int], Executor],
    workers: int,
    spent_s: float,
    ends_at: float,
) -> Finals | None:
    """Cool the best trials of a search down, and compare them; what was done before is kept.

    Args:
        session: Session of this process.
        candidate: Plan whose config was searched around, and its network.
        search: Search that was run.
        history: History of the search, with the seconds that its trials took.
        folder: Folder of the search.
        executor: Makes an executor of so many workers.
        workers: Number of workers of the search.
        spent_s: Seconds that the search took; those of its finals add to these.
        ends_at: Deadline on the run's clock, in seconds.

    Returns:
        The comparison; None if there are too few trials, or too little time.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    numbers = finalists(history, folder / TRIALS)
    trials = [history.trials[number] for number in numbers]
    place = folder / (COOLED + "".join(f"-{n}.{history.trials[n].at}" for n in numbers))
    if (known := recorded(place / RESULT)) or session.interrupted.is_set():
        return known
    _remove(set(folder.glob(f"{COOLED}-*")) - {place})  # of a search that went on since
    left_s, done = ends_at - session.clock.elapsed(), _units_done(place, len(trials))
    given = {"scale": candidate.chosen.train.early_scale, "left_s": left_s}
    count = affordable(search, trials, done, workers=workers, **given)
    if not (count or place.is_dir()):
        return None
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    done = _cooled_down(
        session,
        _cooldowns(search, numbers, trials, count=count),
        place,
        executor=executor(min(workers, max(1, count))),
        spent_s=spent_s,
        left_s=left_s,
    )
    cooled = {numbers[turn]: at_unit(place, turn, COOLING) for turn in done}
    if len(cooled) < FEWEST or session.interrupted.is_set():
        return None
    finals = judge(candidate, history, cooled, metric=session.settings.metric)
    write_atomic(place / RESULT, json.dumps(asdict(finals)))
    _remove(path.parent for path in cooled.values())  # large, and of no use any more
    return finals


def _units_done(place: Path, count: int) -> list[int]:
    """Units of the cooldown of each of so many finalists that an earlier session has trained."""
    past = read_history(place).trials if (place / JOURNAL).exists() else {}
    return [past[turn].seen if turn in past else 0 for turn in map(str, range(count))]


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def recorded(path: Path) -> Finals | None:
    """Read the result of finals that were held before; None if it is not there, or damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
        losses = {int(number): loss for number, loss in found.pop("losses").items()}
        return Finals(losses=losses, **found)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _cooldowns(
    search: Search, numbers: Sequence[int], trials: Sequence[Trial], *, count: int
) -> Search:
    """Define a search that cools the first few of the finalists down, each to the end."""
    configs = [cooling(t.config, n, t.at) for n, t in zip(numbers, trials, strict=True)]
    return replace(
        search,
        function=SLICE,
        sampler=Listed(configs),
        scheduler=IN_TURN,
        horizon=COOLING,
        block=1,
        trials=count,
        units=None,
        repeats=True,
        reserves_time_to_finish=False,
        disk_bytes=math.inf,  # all of them are needed, and only for a while
    )


def _cooled_down(
    session: Session,
    definition: Search,
    place: Path,
    *,
    executor: Executor,
    spent_s: float,
    left_s: float,
) -> list[int]:
    """Cool finalists down while there is time; return which of them were, by their order."""
    with Journal(place) as journal:
        spent_s = max(spent_s, journal.history.elapsed)
        tuner = Tuner(
            definition,
            folder=place,
            executor=executor,
            clock=Clock(budget=spent_s + left_s, spent=spent_s),
            journal=journal,
            say=lambda _: None,  # their values say little to the user
            interrupted=session.interrupted,
        )
        if sum(trial.is_over(COOLING) for trial in tuner.history.trials) < (definition.trials or 0):
            session.terminal.say("The best settings go on while their learning rates fall to 0.")
        try:
            if left_s > 0:
                tuner.run()
        except SettingsError as error:  # all of them failed, unlike in the search
            session.note(f"The best settings were not compared: {found_in(error)}", lasting=False)
        return [
            turn
            for turn, trial in enumerate(tuner.history.trials)
            if trial.failed is None
            and trial.at == COOLING
            and not is_gone(at_unit(place, turn, COOLING))
        ]


def judge(
    candidate: Candidate, history: History, cooled: Mapping[int, Path], *, metric: str
) -> Finals:
    """Compare finalists on all images that they were not trained on, but for the test set.

    The search chose them by a part of these, which is why others have to be among them. The
    folds of few images leave no others: then those that are chosen by in the end never take part.

    Args:
        candidate: Plan whose config was searched around, and its network.
        history: History of the search.
        cooled: Folder of each finalist, once it is cooled down.
        metric: The user's metric.
    """
    prepared, plan = candidate.prepared, candidate.chosen.search
    assert plan is not None
    seen_N = spread(prepared.for_search()[1], plan.validated)
    x_NCHW, y_N = prepared.part(np.concatenate([seen_N, prepared.split.selection]))
    losses = {}
    for number, folder in cooled.items():
        chosen = applied(candidate.chosen, history.trials[number].config)
        network = replace(candidate, chosen=chosen).load(read_checkpoint(folder / STATE).average)
        z_NK = logits(
            network,
            x_NCHW,
            normalize=prepared.train.normalize,
            channels_last=chosen.train.channels_last,
        )
        losses[number] = float(weighted_losses(metric, z_NK, y_N).mean())
    return Finals(losses=losses, images=len(y_N), unseen=len(y_N) - len(seen_N))
