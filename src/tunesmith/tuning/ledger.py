"""What is known of a search's trials, in the journal, in memory and on disk: always the same."""

from collections.abc import Iterable
from pathlib import Path
from typing import final

from tunesmith.core.clock import Clock
from tunesmith.core.space import Config
from tunesmith.records.events import Event, Noted, SliceDone, TrialEnded, TrialStarted
from tunesmith.records.history import History as Past
from tunesmith.records.journal import Journal
from tunesmith.tuning import folders
from tunesmith.tuning.protocols import History
from tunesmith.tuning.recorded import DROPPED, points, recall
from tunesmith.tuning.running import Running


@final
class Ledger:
    """Keeps the journal, the trials and their folders in step.

    What happens is in the journal before anything follows from it, so that whatever a crash cuts
    off is made up for when the journal is read again.

    Args:
        folder: Of all trials' folders.
        journal: Of the search; the trials go on from what it says.
        clock: Of the run.
        horizon: Units of a full training.
        sign: 1 if values are to be minimized, -1 if maximized.
        is_timed: Whether training costs the seconds it took, or one for each unit.

    Attributes:
        history: The trials.
        sizes: Bytes of what trials left, by number.
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
        self._folder, self._journal, self._clock = folder, journal, clock
        self._horizon, self._sign, self._is_timed = horizon, sign, is_timed
        self.history = self.recalled(is_timed=is_timed)
        trials = enumerate(self.history.trials)
        kept = {n: t.at for n, t in trials if t.failed is None and not t.is_dropped}
        folders.tidy(folder, kept)
        self.sizes = {n: folders.size(folders.at_unit(folder, n, at)) for n, at in kept.items()}

    @property
    def past(self) -> Past:
        """What the journal says."""
        return self._journal.history

    def recalled(self, *, is_timed: bool) -> History:
        """The trials as the journal has them; see `recall`."""
        return recall(self.past, horizon=self._horizon, sign=self._sign, is_timed=is_timed)

    def start(self, config: Config, *, until: int) -> int:
        """Begin a trial, which trains until some unit; return its number."""
        number = len(self.history.trials)
        self._record(TrialStarted(trial=str(number), config=config))
        self.history = self.history.started(config, until=until)
        return number

    def go_on(self, number: int, *, until: int) -> None:
        """Let a trial train on until some unit."""
        self.history = self.history.resumed(number, until=until)

    def opened(self, number: int, *, start: int, until: int, is_cut: bool) -> Running:
        """Make a slice's folder, with what the one before it left.

        Raises:
            RunFolderError: There is no space, or no permission.
        """
        folder = folders.opened(self._folder, number, start=start, until=until)
        return Running(trial=number, start=start, until=until, folder=folder, is_cut=is_cut)

    def left_by(self, number: int) -> Path:
        """What a trial's last slice left."""
        return folders.at_unit(self._folder, number, self.history.trials[number].at)

    def take(self, running: Running, done: SliceDone) -> None:
        """Write down what a slice brought; what it left is the trial's from then on."""
        number = running.trial
        folders.closed(running.folder)
        self._record(done)
        seconds = done.seconds if self._is_timed else float(done.end - done.begin)
        curve = points(done, sign=self._sign)
        self.history = self.history.observed(number, curve, seconds=seconds)
        folders.tidy_trial(self._folder, number, running.until)
        self.sizes[number] = folders.size(self.left_by(number))

    def put_back(self, running: Running) -> None:
        """Let a trial pause where it was before a slice that came to nothing."""
        self.history = self.history.observed(running.trial, (), seconds=0.0)
        folders.tidy_trial(self._folder, running.trial, running.start)

    def set_aside(self, number: int, reason: str) -> None:
        """Let a trial rest that may have failed: nothing is removed, and nothing written down."""
        self.history = self.history.failed(number, reason)

    def end(self, number: int, reason: str) -> None:
        """Write down that a trial has failed, and remove what it left."""
        self._record(TrialEnded(trial=str(number), reason=reason))
        self.history = self.history.failed(number, reason)
        self._remove(number)

    def make_room(self, superfluous: Iterable[int]) -> list[int]:
        """Remove what trials left; return those that could have gone on, and are given up now."""
        given_up = []
        for number in superfluous:
            if number in self.history.paused():
                self._record(TrialEnded(trial=str(number), reason=DROPPED))
                self.history = self.history.dropped(number)
                given_up.append(number)
            self._remove(number)
        return given_up

    def tidy(self, number: int) -> None:
        """Remove what a trial's last slice did not leave."""
        at = self.history.trials[number].at if number in self.sizes else -1
        folders.tidy_trial(self._folder, number, at)

    def explain(self, number: int, text: str) -> Path:
        """Write down beside a trial's folders why it failed."""
        return folders.explain(self._folder, number, text)

    def note(self, text: str) -> bool:
        """Write down something that the user should know; False if it is there already."""
        if text in self.past.notes:
            return False
        self._record(Noted(text=text))
        return True

    def _remove(self, number: int) -> None:
        folders.tidy_trial(self._folder, number, -1)
        self.sizes.pop(number, None)

    def _record(self, event: Event) -> None:
        """Write down what happened, and wait until it is on disk."""
        self._journal.append(event, elapsed=self._clock.elapsed(), phases=self._clock.phases)
        self._journal.flush()
