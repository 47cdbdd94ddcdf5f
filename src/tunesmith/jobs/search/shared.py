"""What the worker processes of a search share: memory-mapped images, and the plan.

The main process writes a folder once (`share`), and workers map the images from it, so that these
are in memory only once, however many workers there are. The folder holds what the search may see:
its training and validation images, and none that are used later for selection or test.
"""

import functools
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tunesmith import plan as planning
from tunesmith.core.errors import CodeChangedError, RunFolderError
from tunesmith.core.spread import spread
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.jobs.run.candidate import Candidate
from tunesmith.jobs.run.limits import Limits
from tunesmith.jobs.run.prepare import tensor
from tunesmith.jobs.run.stored import read_checkpoint, write_checkpoint
from tunesmith.models.build import Family, find_family
from tunesmith.models.preprocess import Normalize
from tunesmith.records.atomic_folder import new_folder, put_in_place
from tunesmith.records.folder import write_atomic, writing
from tunesmith.training.device import choose_device
from tunesmith.training.epoch import TrainData
from tunesmith.training.probe import activation_bytes
from tunesmith.training.slice import Checkpoint

FLOAT_BYTES = 4
CHUNK = 4096  # images copied at once
HANDED_ON = 150  # operations that take as long as writing and reading one activation
DATA, IMAGES, LABELS, JOB, BEGIN = (
    "data", "images.npy", "labels.npy", "job.json", "begin.safetensors"
)  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True)
class Shared:
    """What every slice of a search needs.

    Attributes:
        family: Network family.
        classes: Number of classes.
        chosen: Plan whose config is searched around.
        data: Training data.
        x_NCHW: Validation images.
        y_N: Their labels.
        metric: Metric of the averaged weights on them: the value of a slice.
        examples: Examples of a full training with the plan's config.
        work: Cost of the plan's network for one image; see `work`.
        begin: Initial checkpoint of a pretrained network; None to train from scratch.
        limits: Limits on the exported graph; perhaps none.
    """

    family: Family
    classes: int
    chosen: planning.Plan
    data: TrainData
    x_NCHW: Tensor
    y_N: NDArray[np.int64]
    metric: str
    examples: int
    work: int
    begin: Checkpoint | None
    limits: Limits


def share(
    folder: Path, candidate: Candidate, data: TrainData, held: NDArray[np.int64], **job: Any
) -> None:
    """Write what workers need; if it is there, only what each session may change.

    Args:
        folder: Target folder.
        candidate: Plan whose config is searched around, and its network.
        data: Training data.
        held: Indices of the validation images, in the same tensors.
        job: The rest: ``metric``, ``device``, ``limit`` and ``threads``.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    if folder.is_dir() and _renewed(folder / JOB, job):
        return
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = new_folder(folder)
        try:
            _write(part, candidate, data, held, job)
            put_in_place(part, folder)
        except (OSError, RunFolderError):  # the disk is full, perhaps because of this alone
            shutil.rmtree(part, ignore_errors=True)
            raise


def _write(
    folder: Path,
    candidate: Candidate,
    data: TrainData,
    held: NDArray[np.int64],
    job: Mapping[str, Any],
) -> None:
    chosen, source = candidate.chosen, candidate.family.source
    assert chosen.search is not None
    validated = torch.from_numpy(spread(held, chosen.search.validated))
    _write_images(folder, data, torch.cat([data.rows.cpu(), validated]))
    if candidate.family.pretrained:
        write_checkpoint(folder / BEGIN, candidate.begin(data))
    written = {
        **job,
        "family": f"{source.path}:{source.function}" if source else candidate.family.name,
        "sha256": source.sha256 if source else None,
        "classes": candidate.classes,
        "plan": chosen.model_dump(mode="json"),
        "normalize": {n: value.flatten().tolist() for n, value in data.normalize.named_buffers()},
        "training": len(data),
        "work": work(candidate.untrained(data), data),
    }
    (folder / JOB).write_text(json.dumps(written), "utf-8")


def _renewed(path: Path, job: Mapping[str, Any]) -> bool:
    """Update what is not part of a run's identity, and may differ in each session.

    Returns:
        Whether the file could be updated; if not, it is missing or damaged.
    """
    try:
        written = {**json.loads(path.read_text("utf-8"))}
    except (FileNotFoundError, TypeError, ValueError):  # also if it is no JSON, or not even text
        return False
    renewed = {**written, "device": job["device"], "threads": job["threads"]}
    if renewed != written:
        write_atomic(path, json.dumps(renewed))
    return True


def _write_images(folder: Path, data: TrainData, places: Tensor) -> None:
    """Write some images and their labels, in this order.

    Nothing is memory-mapped here: writing to a mapped file kills the process if the disk is full.
    """
    x_NHWC = data.x_NCHW.permute(0, 2, 3, 1)
    shape = (len(places), *x_NHWC.shape[1:])
    with (folder / IMAGES).open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for at in range(0, len(places), CHUNK):
            rows = places[at : at + CHUNK].to(x_NHWC.device)
            file.write(np.ascontiguousarray(x_NHWC[rows].cpu().numpy()).data)
    classes = io.BytesIO()  # writing to the file directly, NumPy hides why it failed
    np.save(classes, data.y_N[places.to(data.y_N.device)].cpu().numpy())
    (folder / LABELS).write_bytes(classes.getvalue())


def work(network: nn.Module, data: TrainData) -> int:
    """Estimate what training a network costs for one image, in operations.

    Activations count too: depthwise convolutions do so little with each of them that memory traffic
    dominates. By operations alone, such a network would look several times as fast as it is.
    """
    with FlopCounterMode(display=False) as counter:
        handed_on = activation_bytes(network.cpu(), data.some(1).cpu()) // FLOAT_BYTES
    return int(counter.get_total_flops()) + HANDED_ON * handed_on


@functools.lru_cache(maxsize=1)
def opened(folder: Path) -> Shared:
    """Memory-map what `share` wrote.

    Raises:
        CodeChangedError: The file of the user's network was changed since.
    """
    keep_freed_memory()
    job = json.loads((folder / JOB).read_text("utf-8"))
    family = find_family(job["family"])
    if family.source and family.source.sha256 != job["sha256"]:
        raise CodeChangedError(
            f"{family.source.path} was changed while a search with it ran, so the search was "
            "stopped. Undo that."
        )
    chosen = planning.Plan.model_validate(job["plan"])
    assert chosen.search is not None
    # Mapped for writing, which torch requires; nothing is written. A private mapping ("c") would
    # count in full against the memory limit of the process; this one does not.
    x_NCHW = tensor(np.load(folder / IMAGES, mmap_mode="r+"))
    y_N = torch.from_numpy(np.load(folder / LABELS))
    count = job["training"]
    normalize = Normalize(*(torch.tensor(job["normalize"][name]) for name in ("mean", "std")))
    data = TrainData.on(choose_device(job["device"]), x_NCHW, y_N, torch.arange(count), normalize)
    begin = folder / BEGIN
    return Shared(
        family=family,
        classes=job["classes"],
        chosen=chosen,
        data=data,
        x_NCHW=x_NCHW[count:],
        y_N=y_N[count:].numpy(),
        metric=job["metric"],
        examples=chosen.search.examples,
        work=job["work"],
        begin=read_checkpoint(begin) if begin.is_file() else None,
        limits=Limits(most=job["limit"], threads=job["threads"]),
    )
