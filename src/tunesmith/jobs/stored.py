"""Checkpoints between a training and its folder."""

from collections.abc import Mapping

from torch import Tensor

from tunesmith.jobs.session import Session
from tunesmith.records import checkpoint as store
from tunesmith.training.slice import Checkpoint


def pack(checkpoint: Checkpoint) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Flatten a checkpoint to named tensors and numbers."""
    parts = {
        "network": checkpoint.network,
        "average": checkpoint.average,
        "optimizer": checkpoint.optimizer,
    }
    tensors = {f"{part}:{name}": v for part, state in parts.items() for name, v in state.items()}
    return tensors, {"seen": checkpoint.seen}


def unpack(tensors: Mapping[str, Tensor], meta: Mapping[str, int]) -> Checkpoint:
    """Undo `pack`."""
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
    for path, value in tensors.items():
        part, _, name = path.partition(":")
        parts[part][name] = value
    return Checkpoint(seen=int(meta["seen"]), **parts)


def load_checkpoint(session: Session, name: str) -> Checkpoint | None:
    """The last checkpoint of a trial, or None if it has not begun."""
    trial = session.journal.history.trials.get(name)
    if trial is None or trial.checkpoint is None:
        return None
    return unpack(*store.load(session.folder / "checkpoints", trial.checkpoint))
