"""Streams whose failure cannot end a run, and the output of C libraries."""

import contextlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO, final

STDERR = 2  # the descriptor that C libraries write to


@final
@dataclass
class CarefulStream(io.TextIOBase):
    """A text stream that never raises: at the first failure it falls silent.

    Args:
        stream: Stream to write to, or None to discard everything.
    """

    stream: TextIO | None

    def write(self, text: str) -> int:
        """Write what the stream's encoding can, with question marks for the rest."""
        if self.stream is not None:
            try:
                self.stream.write(text)
            except UnicodeError:
                code = self.stream.encoding or "ascii"
                with contextlib.suppress(OSError, ValueError):
                    self.stream.write(text.encode(code, "replace").decode(code))
            except (OSError, ValueError):
                self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush, if there is still something to flush to."""
        if self.stream is not None:
            try:
                self.stream.flush()
            except (OSError, ValueError):
                self._give_up()

    def isatty(self) -> bool:
        """Whether a person is watching."""
        try:
            return self.stream is not None and self.stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """Return the descriptor, which tells how wide the window is."""
        if self.stream is None:
            raise OSError("no stream")
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute in the base class
        """The stream's encoding: it decides which characters bars are made of."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def _give_up(self) -> None:
        """Discard what is still buffered: Python would fail on it when the process ends."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())  # type: ignore[union-attr]  # suppressed
            os.close(nowhere)
        self.stream = None


def escape_unencodable(stream: TextIO | None) -> None:
    """Let a stream escape what its encoding lacks, as standard error does, instead of raising."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def divert_stderr(to: int) -> Callable[[], None]:
    """Redirect what C libraries print, such as libpng about a damaged file, to a descriptor.

    It would garble a live display. What Python prints goes through the display anyway.

    Returns:
        A function that undoes the redirection.
    """
    try:
        kept = os.dup(STDERR)
    except OSError:  # it is closed
        return lambda: None
    os.dup2(to, STDERR)

    def undo() -> None:
        os.dup2(kept, STDERR)
        os.close(kept)

    return undo
