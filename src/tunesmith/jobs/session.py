"""What every step of a run shares: its folder, its clock, its journal, and when to stop."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
        settings: What the user decided.
        folder: The run's folder.
        clock: The one clock.
        journal: The only memory that outlives the process.
        terminal: What the user watches.
        command: What was typed, or "".
        interrupted: Set by Ctrl-C and SIGTERM: finish with the best so far.
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
        self.journal.append(event, elapsed=self.clock.elapsed(), phases=self.clock.phases)

    def note(self, text: str) -> None:
        """Tell the user something that the report repeats, once."""
        if text not in self.journal.history.notes:  # by an earlier session, say
            self.record(Noted(text=text))
        self.terminal.say(text)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Show a phase and book its seconds."""
        self.terminal.phase(name, self.clock.elapsed())
        with self.clock.phase(name):
            yield


@contextmanager
def computing(cores: int) -> Iterator[None]:
    """Let torch use the cores, and treat numbers next to zero as zero, for as long as a run lasts.

    Both are settings of the whole process, which belongs to the caller again afterwards.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
