"""Checkpoints: tensors and metadata in files named by their hash, written atomically."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tunesmith.core.errors import RunFolderError
from tunesmith.records.folder import write_atomic, writing

SUFFIX = ".safetensors"


def save(folder: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> str:
    """Write a checkpoint atomically.

    Args:
        folder: Folder of the checkpoints; created if missing.
        tensors: Contiguous tensors on the CPU.
        meta: Metadata to store with them, as JSON values.

    Returns:
        Reference of the checkpoint: the SHA-256 of its bytes.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    from safetensors.torch import save as to_bytes

    data = to_bytes(dict(tensors), metadata={"meta": json.dumps(dict(meta))})
    reference = hashlib.sha256(data).hexdigest()
    with writing(folder):
        folder.mkdir(exist_ok=True)
    path = folder / f"{reference}{SUFFIX}"
    if not path.exists():
        write_atomic(path, data)
    return reference


def load(folder: Path, reference: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint and verify its hash.

    Raises:
        RunFolderError: The checkpoint is missing or damaged.
    """
    from safetensors.torch import load as from_bytes

    path = folder / f"{reference}{SUFFIX}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunFolderError(
            f"The checkpoint {path} cannot be read: {error.strerror}. Pass another --out."
        ) from None
    if hashlib.sha256(data).hexdigest() != reference:
        raise RunFolderError(
            f"The checkpoint {path} is damaged: its bytes do not match its name. Pass another "
            "--out; this run cannot go on."
        )
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return from_bytes(data), json.loads(header["__metadata__"]["meta"])


def prune(folder: Path, *, keep: set[str]) -> None:
    """Remove all checkpoints except ``keep``, and leftovers of an interrupted `save`."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.suffix == ".part" or path.name.removesuffix(SUFFIX) not in keep:
            path.unlink(missing_ok=True)
