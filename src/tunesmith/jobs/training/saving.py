"""Save checkpoints in parallel to training; a slice counts once its checkpoint is on disk."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import final

from tunesmith.jobs.run.session import Session
from tunesmith.jobs.run.stored import pack
from tunesmith.records import checkpoint as store
from tunesmith.records.events import SliceDone
from tunesmith.training.slice import Checkpoint


@final
@dataclass(kw_only=True)
class Saving:
    """Saves one checkpoint at a time.

    Attributes:
        session: Session of this process.
        saver: Thread that writes.
        unsaved: The slice whose checkpoint is being written, and the name that it will have.
    """

    session: Session
    saver: ThreadPoolExecutor
    unsaved: tuple[SliceDone, Future[str]] | None = None

    def begin(self, done: SliceDone, checkpoint: Checkpoint) -> None:
        """Begin to save the checkpoint of a slice, once that of the last one is saved."""
        self.settle()
        folder = self.session.folder / "checkpoints"
        self.unsaved = done, self.saver.submit(store.save, folder, *pack(checkpoint))

    def settle(self) -> None:
        """Wait until the last checkpoint is on disk, then record its slice."""
        if self.unsaved:
            done, name = self.unsaved
            self.session.record(replace(done, checkpoint=name.result()))
            trials = self.session.journal.history.trials.values()
            keep = {t.checkpoint for t in trials if t.checkpoint is not None}
            self.session.journal.flush()
            store.prune(self.session.folder / "checkpoints", keep=keep)
        self.unsaved = None
