"""State of a search's trials: consistent in the journal, in memory and on disk."""

import math
import operator
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import final

from tunesmith.core.clock import Clock
from tunesmith.core.space import Config
from tunesmith.records.events import Event, Noted, SliceDone, TrialEnded, TrialStarted
from tunesmith.records.history import History as Past
from tunesmith.records.journal import Journal
from tunesmith.tuning import folders
from tunesmith.tuning.protocols import History, Trial
from tunesmith.tuning.recorded import DROPPED, points, recall
from tunesmith.tuning.running import Running

RECENT = 15  # slices by which it is measured what one takes beside the training


def _leaves_state(trial: Trial) -> bool:
    """Whether what a trial's last slice left is of use: to go on from, or as the result."""
    return not trial.is_dropped and (trial.failed is None or math.isfinite(trial.last))


def _without_what_is_gone(history: History, root: Path) -> History:
    """Let no trial go on, or be the result, whose folder was removed since.

    That is not recorded: the folder may be there again another time.
    """
    for number, trial in enumerate(history.trials):
        left = folders.at_unit(root, number, trial.at)
        if trial.curve and not trial.is_dropped and folders.is_gone(left):
            if number in history.paused():
                history = history.failed(number, folders.gone_words(left), "raised")
            history = history.dropped(number)
    return history


def _extremes(past: Past) -> dict[int, tuple[SliceDone, SliceDone]]:
    """Find the quickest and the slowest slice of each number of units."""
    found: dict[int, tuple[SliceDone, SliceDone]] = {}
    for trial in past.trials.values():
        for done in trial.slices:
            _compare(found, done)
    return found


def _compare(extremes: dict[int, tuple[SliceDone, SliceDone]], done: SliceDone) -> None:
    """Keep a slice if it is the quickest or the slowest of so many units."""
    units, seconds = done.end - done.begin, operator.attrgetter("seconds")
    known = (*extremes.get(units, ()), done)
    extremes[units] = min(known, key=seconds), max(known, key=seconds)


@final
class Ledger:
    """Keeps the journal, the trials and their folders in step.

    Events are journaled before anything follows from them, so that what a crash cuts off is made up
    for when the journal is read again.

    Args:
        folder: Folder of all trial folders.
        journal: Journal of the search, from which the trials are restored.
        clock: Clock of the run.
        horizon: Units of a full training.
        sign: 1 if values are to be minimized, -1 if maximized.
        is_timed: Whether the cost of training is the seconds it took; else it is one second per
            unit.

    Attributes:
        folder: Folder of all trial folders.
        history: The trials.
        seconds: Seconds that each trial took, also where its cost is counted in units.
        extremes: Quickest and slowest slice so far, by their number of units; see `preparing_s`.
        sizes: Size of trial folders in bytes, by trial number.
        suspended: Numbers of the trials that count as failed for now, and may go on another time,
            and when each of them failed, in seconds of the run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        journal: Journal,
        clock: Clock,
        horizon: int,
        sign: int,
        is_timed: bool,
    ) -> None:
        self.folder, self._journal, self._clock = folder, journal, clock
        self._sign, self._is_timed = sign, is_timed
        self.suspended: dict[int, float] = {}
        self._beside_s = deque[float](maxlen=RECENT)
        recalled = recall(self.past, horizon=horizon, sign=sign, is_timed=is_timed)
        self.history = _without_what_is_gone(recalled, folder)
        self.seconds = [trial.seconds for trial in self.past.trials.values()]
        self.extremes = _extremes(self.past)
        kept = {n: t.at for n, t in enumerate(self.history.trials) if _leaves_state(t)}
        folders.tidy(folder, kept)
        self.sizes = {n: folders.size(folders.at_unit(folder, n, at)) for n, at in kept.items()}

    @property
    def past(self) -> Past:
        """History in the journal."""
        return self._journal.history

    def start(self, config: Config, *, until: int) -> int:
        """Start a trial, to train until ``until`` units; return its number."""
        number = len(self.history.trials)
        self._record(TrialStarted(trial=str(number), config=config))
        self.history = self.history.started(config, until=until)
        self.seconds.append(0.0)
        return number

    def go_on(self, number: int, *, until: int) -> None:
        """Resume a trial, to train until ``until`` units."""
        self.history = self.history.resumed(number, until=until)

    def opened(self, number: int, *, start: int, until: int, is_cut: bool) -> Running:
        """Create the working folder of a slice, with the state that the previous one left.

        Raises:
            TrialFolderError: The trial's folder cannot be used.
            RunFolderError: There is no space, or the disk fails.
        """
        began_s = self._clock.elapsed()
        folder = folders.opened(self.folder, number, start=start, until=until)
        return Running(
            trial=number,
            start=start,
            until=until,
            folder=folder,
            is_cut=is_cut,
            began_s=began_s,
        )

    def first(self, number: int) -> SliceDone:
        """First slice of a trial that had trained."""
        return self.past.trials[str(number)].slices[0]

    def left_by(self, number: int) -> Path:
        """Folder that a trial's last slice left."""
        return folders.at_unit(self.folder, number, self.history.trials[number].at)

    def take(self, running: Running, done: SliceDone) -> None:
        """Record a finished slice; its working folder becomes the trial's folder.

        Raises:
            TrialFolderError: The folder cannot be used; nothing is recorded.
            RunFolderError: There is no space, or the disk fails.
        """
        number = running.trial
        folders.closed(running.folder)
        self._record(done)
        cost = done.seconds if self._is_timed else float(done.end - done.begin)
        curve = points(done, sign=self._sign)
        self.history = self.history.observed(number, curve, seconds=cost)
        self.seconds[number] += done.seconds
        _compare(self.extremes, done)
        folders.tidy_trial(self.folder, number, running.until)
        self.sizes[number] = folders.size(self.left_by(number))
        beside_s = self._clock.elapsed() - running.began_s - done.seconds
        self._beside_s.append(max(0.0, beside_s) / (done.end - done.begin))

    @property
    def beside_s(self) -> float:
        """Seconds that a unit takes beside its training: to copy, to record, to wait."""
        # The lower quartile: the first slice of a process also takes what it imports.
        return sorted(self._beside_s)[len(self._beside_s) // 4] if self._beside_s else 0.0

    def put_back(self, running: Running) -> None:
        """Pause a trial where it was before a slice without result."""
        self.history = self.history.observed(running.trial, (), seconds=0.0)
        folders.tidy_trial(self.folder, running.trial, running.start)

    def set_aside(self, number: int, reason: str, failure: str = "") -> None:
        """Suspend a trial that may have failed: nothing is removed, and nothing recorded."""
        self.history = self.history.failed(number, reason, failure)
        self.suspended[number] = self._clock.elapsed()

    def end(self, number: int, reason: str, failure: str = "") -> None:
        """Record that a trial has failed; what its last finished slice left is kept."""
        self._record(TrialEnded(trial=str(number), reason=reason, failure=failure))
        self.history = self.history.failed(number, reason, failure)
        was_suspended = self.suspended.pop(number, None) is not None
        if not self.history.trials[number].curve:
            self._remove(number)
        elif not was_suspended:  # then it is tidy, and perhaps a probe runs there
            self.tidy(number)

    def make_room(self, superfluous: Iterable[int]) -> list[int]:
        """Remove trial folders; return the trials that could have continued, and are given up."""
        given_up = []
        for number in superfluous:
            if number in self.history.paused():
                self._record(TrialEnded(trial=str(number), reason=DROPPED))
                self.history = self.history.dropped(number)
                given_up.append(number)
            self._remove(number)
        return given_up

    def tidy(self, number: int) -> None:
        """Remove all of a trial's folders except that of its last slice."""
        at = self.history.trials[number].at if number in self.sizes else -1
        folders.tidy_trial(self.folder, number, at)

    def explain(self, number: int, text: str) -> Path:
        """Write beside a trial's folders why it failed."""
        return folders.explain(self.folder, number, text)

    def note(self, text: str) -> bool:
        """Record a note to the user; False if it was recorded before."""
        if text in self.past.notes:
            return False
        self._record(Noted(text=text))
        return True

    def _remove(self, number: int) -> None:
        folders.tidy_trial(self.folder, number, -1)
        self.sizes.pop(number, None)

    def _record(self, event: Event) -> None:
        """Record an event in the journal, and wait until it is on disk."""
        self._journal.append(event, elapsed=self._clock.elapsed(), phases=self._clock.phases)
        self._journal.flush()
