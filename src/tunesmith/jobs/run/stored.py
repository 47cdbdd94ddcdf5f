"""Save and load checkpoints of trainings."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from tunesmith.jobs.run.session import Session
from tunesmith.records import checkpoint as store
from tunesmith.training.slice import Checkpoint


def pack(checkpoint: Checkpoint) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Flatten a checkpoint to named tensors in main memory, and numbers.

    What torch has to do is done here, by the training thread: a device's tensors are copied. In the
    thread that writes, torch would start further threads; with more threads than cores, OpenMP lets
    the training threads sleep between operations instead of spinning, which costs a third of their
    speed. The other tensors are not copied: a slice never changes those that it returned.
    """
    parts = {
        "network": checkpoint.network,
        "average": checkpoint.average,
        "optimizer": checkpoint.optimizer,
    }
    tensors = {
        f"{part}:{name}": value.contiguous().cpu()
        for part, state in parts.items()
        for name, value in state.items()
    }
    return tensors, {"seen": checkpoint.seen}


def unpack(tensors: Mapping[str, Tensor], meta: Mapping[str, int]) -> Checkpoint:
    """Undo `pack`."""
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
    for path, value in tensors.items():
        part, _, name = path.partition(":")
        parts[part][name] = value
    return Checkpoint(seen=int(meta["seen"]), **parts)


def load_checkpoint(session: Session, name: str) -> Checkpoint | None:
    """Load the last checkpoint of a trial; None if it has not begun."""
    trial = session.journal.history.trials.get(name)
    if trial is None or trial.checkpoint is None:
        return None
    return unpack(*store.load(session.folder / "checkpoints", trial.checkpoint))


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint to a file of its own."""
    tensors, meta = pack(checkpoint)
    # Not `save_file`, whose error on a full disk is no OSError.
    path.write_bytes(save(tensors, {name: str(value) for name, value in meta.items()}))


def read_checkpoint(path: Path) -> Checkpoint:
    """Undo `write_checkpoint`."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return unpack(tensors, {"seen": int(file.metadata()["seen"])})
