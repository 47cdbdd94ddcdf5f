"""What every step of a run shares: its folder, its clock, its journal, and when to stop."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import torch

from tunesmith.core.clock import Clock
from tunesmith.core.settings import Settings
from tunesmith.records.events import Event, Noted
from tunesmith.records.journal import Journal
from tunesmith.report.terminal import Terminal


@final
@dataclass(frozen=True, kw_only=True)
class Session:
    """One process working on a run.

    Attributes:
        settings: User settings.
        folder: The run's folder.
        clock: Clock of the run.
        journal: Journal of the run: the only state that outlives the process.
        terminal: Terminal that shows progress.
        command: Command line, or "".
        interrupted: Event that Ctrl-C and SIGTERM set: finish with the best model so far.
    """

    settings: Settings
    folder: Path
    clock: Clock
    journal: Journal
    terminal: Terminal
    command: str = ""
    interrupted: threading.Event = field(default_factory=threading.Event)

    def record(self, event: Event) -> None:
        """Append an event to the journal, stamped with the run's clock."""
        # In the middle of a phase too: what the journal does not book, it does not know of.
        phases = self.clock.phases_so_far()
        self.journal.append(event, elapsed=self.clock.elapsed(), phases=phases)

    def note(self, text: str, *, lasting: bool = True) -> None:
        """Show a message to the user, and record it once for the report.

        Args:
            text: The message.
            lasting: Whether it holds whatever comes out of later sessions.
        """
        if text not in self.journal.history.notes:  # by an earlier session, say
            self.record(Noted(text=text, lasting=lasting))
        self.terminal.say(text)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Show a phase, and record its duration."""
        self.terminal.phase(name, self.clock.elapsed())
        with self.clock.phase(name):
            yield


@contextmanager
def computing(cores: int) -> Iterator[None]:
    """Set torch's number of threads, and flush denormals to zero, for the duration of a run.

    Both are settings of the whole process, so they are reset for the caller afterwards. So is the
    precision of matrix products, which `choose_device` sets.
    """
    before, precision = torch.get_num_threads(), None
    with suppress(RuntimeError):  # set by torch's newer interface, which this one cannot read
        precision = torch.get_float32_matmul_precision()
    torch.set_num_threads(cores)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
        if precision is not None:
            torch.set_float32_matmul_precision(precision)
