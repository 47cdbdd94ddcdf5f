"""What the user watches: a live display, or plain lines, and always a log file."""

import contextlib
import datetime
import io
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO, final

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunesmith.core.words import duration

PLAIN_EVERY_S = 5.0  # seconds between progress lines where there is no terminal


@final
@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training is.

    Attributes:
        phase: What is being done.
        left_s: Seconds left of the budget.
        examples: Examples seen.
        horizon: Examples at the expected end.
        images_per_s: Throughput of the last slice.
        loss: Training loss of the last slice.
        best_score: Best validation accuracy so far, if it was measured.
    """

    phase: str
    left_s: float
    examples: int
    horizon: int
    images_per_s: float
    loss: float
    best_score: float | None


def line(p: Progress) -> str:
    """A training's progress in one plain line.

    Example:
        >>> line(Progress(phase="training", left_s=42, examples=500, horizon=1000,
        ...     images_per_s=2500, loss=0.5, best_score=0.9912))
        'training · 50 % · 42.0 s left · 2,500 images/s · loss 0.500 · best 99.12 %'

    """
    best = "" if p.best_score is None else f" · best {100 * p.best_score:.2f} %"
    return (
        f"{p.phase} · {100 * p.examples / max(1, p.horizon):.0f} % · "
        f"{duration(max(0.0, p.left_s))} left · {p.images_per_s:,.0f} images/s · "
        f"loss {p.loss:.3f}{best}"
    )


@final
@dataclass(kw_only=True)
class Terminal:
    """Shows progress and keeps the log. It never ends a run: where it cannot write, it is silent.

    Args:
        budget: Seconds granted.
        log_path: Where every line goes, with its time.
        quiet: Show nothing.
        to_stderr: Show it on standard error.
    """

    budget: float
    log_path: Path
    quiet: bool = False
    to_stderr: bool = False
    _console: Console = field(init=False)
    _live: Live | None = field(init=False, default=None)
    _log: TextIO | None = field(init=False, default=None)
    _phase: str = field(init=False, default="")
    _last_plain: float = field(init=False, default=float("-inf"))

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            self._log = self.log_path.open("a", encoding="utf-8")
        stream = sys.stderr if self.to_stderr else sys.stdout
        self._console = Console(file=io.StringIO() if self.quiet else stream, highlight=False)
        if self._console.is_terminal and not self.quiet:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            with contextlib.suppress(OSError, ValueError):
                self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._live:
                self._live.stop()
        with contextlib.suppress(OSError, ValueError):
            if self._log:
                self._log.close()

    def phase(self, name: str, spent: float) -> None:
        """Show that a phase begins, ``spent`` seconds into the run."""
        self._phase = name
        self._write(f"{name} (after {duration(spent)})")
        self._show(Text.assemble((name, "bold"), f"  {duration(self.budget - spent)} left"))
        if self._live is None:
            self._print(f"{name} ...")

    def row(self, progress: Progress) -> None:
        """Show a training's progress."""
        text = line(progress)
        self._write(text)
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            ProgressBar(total=max(1, progress.horizon), completed=progress.examples, width=24),
            Text(text),
        )
        self._show(grid)
        now = time.monotonic()
        if self._live is None and now - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = now
            self._print(text)

    def say(self, text: str) -> None:
        """Say something that stays on the screen."""
        self._write(text)
        self._print(text)

    def _show(self, what: Text | Table) -> None:
        if self._live:
            with contextlib.suppress(OSError, ValueError):
                self._live.update(what)

    def _print(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._console.print(text, markup=False, soft_wrap=True)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._log:
                stamp = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
                self._log.write(f"{stamp} {text}\n")
                self._log.flush()
