"""Progress for the user: a live display or plain lines, and always a log file.

None of it can end a run. A stream that fails (a closed pipe, a full disk) is given up silently.
"""

import contextlib
import datetime as dt
import io
import math
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tunesmith.core.words import duration
from tunesmith.report.streams import CarefulStream, divert_stderr

PLAIN_EVERY_S = 5.0  # seconds between progress lines where there is no terminal
REFRESH_PER_S = 4
BARS = "▁▂▃▄▅▆▇█"
REMEMBERED = 16  # losses in the small curve


@final
@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a training.

    Attributes:
        phase: Current phase.
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


def remaining(left_s: float) -> str:
    """Say what is left of the budget, or by how much it is exceeded.

    Example:
        >>> remaining(8.25), remaining(-3)
        ('8.2 s left', 'finishing, 3.0 s over')

    """
    return f"{duration(left_s)} left" if left_s >= 0 else f"finishing, {duration(-left_s)} over"


def line(p: Progress) -> str:
    """Format a training's progress as one plain line.

    Example:
        >>> line(Progress(phase="training", left_s=42, examples=500, horizon=1000,
        ...     images_per_s=2500, loss=0.5, best_score=0.9912))
        'training · 50 % · 42.0 s left · 2,500 images/s · loss 0.500 · best 99.12 %'

    """
    best = "" if p.best_score is None else f" · best {100 * p.best_score:.2f} %"
    return (
        f"{p.phase} · {100 * p.examples / max(1, p.horizon):.0f} % · "
        f"{remaining(p.left_s)} · {p.images_per_s:,.0f} images/s · "
        f"loss {p.loss:.3f}{best}"
    )


def sparkline(values: deque[float]) -> str:
    """Draw values as a row of bars; values that are not finite are gaps.

    Example:
        >>> sparkline(deque([3.0, 2.0, float("nan"), 1.0]))
        '█▅ ▁'

    """
    finite = [v for v in values if abs(v) < float("inf")]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((v - low) * scale)] if abs(v) < float("inf") else " " for v in values)


def _details(p: Progress, losses: deque[float]) -> Table:
    best = "-" if p.best_score is None else f"{100 * p.best_score:.2f} %"
    rows = Table.grid(expand=True)
    rows.add_row(ProgressBar(total=max(1, p.horizon), completed=p.examples))
    rows.add_row(
        Text.assemble(
            ("best ", "dim"),
            (best, "bold green"),
            (f"  {100 * p.examples / max(1, p.horizon):.0f} %", "bold"),
            (" trained", "dim"),
            f"  {p.images_per_s:,.0f}",
            (" images/s", "dim"),
            ("  loss ", "dim"),
            f"{p.loss:.3f} ",
            (sparkline(losses), "cyan"),
            no_wrap=True,
            overflow="ellipsis",
        )
    )
    return rows


@final
@dataclass(kw_only=True)
class Terminal:
    """Shows progress and keeps the log. It never ends a run: failures to write are ignored.

    Args:
        budget: Time budget in seconds; infinite if there is none.
        log_path: Log file of all lines, with timestamps.
        quiet: Whether to show nothing.
        to_stderr: Show progress on standard error, and keep standard output for programs.
        now: A monotonic clock, in seconds. Tests pass their own.
    """

    budget: float
    log_path: Path
    quiet: bool = False
    to_stderr: bool = False
    now: Callable[[], float] = time.monotonic
    _console: Console | None = field(init=False, default=None)
    _live: Live | None = field(init=False, default=None)
    _log: io.FileIO | None = field(init=False, default=None)
    _phase: str = field(init=False, default="")
    _counted: str = field(init=False, default="")
    _phase_began: float = field(init=False, default=0.0)
    _ends_at: float = field(init=False, default=0.0)
    _last_plain: float = field(init=False, default=float("-inf"))
    _progress: Progress | None = field(init=False, default=None)
    _losses: deque[float] = field(init=False, default_factory=lambda: deque(maxlen=REMEMBERED))
    _at_close: ExitStack = field(init=False, default_factory=ExitStack)
    _spinner: Spinner = field(init=False, default_factory=lambda: Spinner("dots", style="cyan"))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def start(self) -> None:
        """Open the log, and a live display if the stream is a terminal."""
        self._ends_at = self.now() + self.budget
        with contextlib.suppress(OSError):
            # Unbuffered: a line is in the file when it is written, and nothing is left to fail.
            self._log = self.log_path.open("ab", buffering=0)
        if self.quiet:
            return
        stream = CarefulStream(sys.stderr if self.to_stderr else sys.stdout)
        self._console = Console(file=stream, highlight=False)  # type: ignore[arg-type]  # it is one
        if stream.isatty() and self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._display,
                refresh_per_second=REFRESH_PER_S,
                transient=True,
                redirect_stdout=not self.to_stderr,
            )
            self._live.start()
            if self._log and not self.to_stderr:
                self._at_close.callback(divert_stderr(self._log.fileno()))

    def close(self) -> None:
        """End the display and the log; harmless when called twice."""
        self._end_phase()
        if self._live:
            self._live.stop()
        self._at_close.close()
        with contextlib.suppress(OSError):
            if self._log:
                self._log.close()
        self._console = self._live = self._log = None

    def phase(self, name: str, spent: float) -> None:
        """Show that a phase begins, ``spent`` seconds into the run."""
        self._end_phase()
        self._ends_at = self.now() + self.budget - spent
        self._phase, self._phase_began = name, self.now()
        self._write(f"{name} (after {duration(spent)})")
        if self._live is None:
            self._print(f"{name} ...")

    def row(self, progress: Progress) -> None:
        """Show a training's progress."""
        now = self.now()
        if self._progress is None or self._progress.phase != progress.phase:
            self._losses.clear()
        self._losses.append(progress.loss)
        self._progress, self._ends_at = progress, now + progress.left_s
        self._write(line(progress))
        if self._live is None and now - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = now
            self._print(line(progress))

    def count(self, done: int, total: int) -> None:
        """Show the progress of a phase that goes through many items."""
        now = self.now()
        self._counted = f"{self._phase} · {done:,} of {total:,}"
        if self._live is None and now - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = now
            self._print(self._counted)

    def say(self, text: str) -> None:
        """Show a message that stays on the screen."""
        self._write(text)
        self._print(text)

    def _end_phase(self) -> None:
        """Leave a line on the screen for a phase that is over."""
        if self._phase and self._live:
            took = duration(self.now() - self._phase_began)
            self._print(Text.assemble(("✓ ", "green"), self._phase, (f"  {took}", "dim")))
        self._phase, self._counted, self._progress = "", "", None

    def _display(self) -> Group | Text:
        """Draw the moving part; called by `Live`, four times a second."""
        if not self._phase:
            return Text("")
        left_s = self._ends_at - self.now()
        whole = f" of {duration(self.budget)}" if left_s >= 0 else " the budget"
        p = self._progress
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column()
        head.add_column(ratio=1, no_wrap=True)
        head.add_column(justify="right", no_wrap=True)
        head.add_row(
            self._spinner,
            Text(p.phase if p else self._counted or self._phase, style="bold", overflow="ellipsis"),
            Text()
            if math.isinf(self.budget)
            else Text.assemble((remaining(left_s), "bold"), (whole, "dim")),
        )
        return Group(head, _details(p, self._losses)) if p else Group(head)

    def _print(self, text: str | Text) -> None:
        if self._console:
            # A terminal's lines break at words; a pipe's are left whole.
            self._console.print(text, markup=False, soft_wrap=self._live is None)

    def _write(self, text: str) -> None:
        if self._log:
            stamp = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
            lines = f"{stamp} {text}\n".encode("utf-8", "backslashreplace")
            with contextlib.suppress(OSError):
                self._log.write(lines)
