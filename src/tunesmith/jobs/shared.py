"""Slices of image trainings in worker processes, on data that all of them share.

The process that searches writes a folder once (`share`); workers map the images from it, so that
however many there are, the images are in memory once. What lies there is what the search may see:
images to train on and to validate on, and none of those that decide or test later.
"""

import functools
import io
import json
import math
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
from tunesmith.core.spread import spread
from tunesmith.evaluation.calibration import softmax
from tunesmith.evaluation.metrics import METRICS
from tunesmith.evaluation.predict import logits
from tunesmith.execution.allocator import keep_freed_memory
from tunesmith.jobs.candidate import Candidate
from tunesmith.jobs.limits import Limits
from tunesmith.jobs.prepare import builder, tensor
from tunesmith.jobs.session import computing
from tunesmith.jobs.space import applied
from tunesmith.jobs.stored import read_checkpoint, write_checkpoint
from tunesmith.models.build import Family, find_family
from tunesmith.models.preprocess import Normalize
from tunesmith.records.folder import write_atomic, writing
from tunesmith.training.device import choose_device
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import loss_of
from tunesmith.training.probe import activation_bytes
from tunesmith.training.schedule import Segment
from tunesmith.training.slice import Checkpoint, Outcome, place, train_slice

WARMUP = 0.05  # of a whole training; from then on the rate is constant, so that any pause is fair
VALIDATED = 500  # images to validate on, or as many as a slice trains on if that is more
FLOAT_BYTES = 4
CHUNK = 4096  # images copied at once
HANDED_ON = 150  # operations that take as long as a number that one layer writes and the next reads
IMAGES, LABELS, JOB, BEGIN, STATE = (
    "images.npy", "labels.npy", "job.json", "begin.safetensors", "state.safetensors"
)  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True)
class Shared:
    """What every slice of a search needs.

    Attributes:
        family: Kind of the network.
        classes: Number of classes.
        chosen: The plan whose settings are searched around.
        data: What to train on.
        x_NCHW: Images to validate on.
        y_N: Their classes.
        metric: Of the averaged weights on them: the value of a slice.
        examples: Of a whole training with the plan's settings.
        work: Of the plan's network, for one image.
        begin: Where a pretrained network starts; None for one from scratch.
        limits: What the graph may take; nothing where it may take what it likes.
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
    """Write what workers need; in a folder that is there, only what each start may change.

    Args:
        folder: Where to.
        candidate: The plan whose settings are searched around, and the network.
        data: What to train on.
        held: Places of the images to validate on, in the same tensors.
        job: The rest: ``metric``, ``device``, ``limit`` and ``threads``.

    Raises:
        RunFolderError: There is no space, or no permission.
    """
    if folder.is_dir():
        _renew(folder / JOB, job)
        return
    part = folder.with_suffix(".part")
    with writing(folder):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            _write(part, candidate, data, held, job)
        except OSError:  # the disk is full, perhaps of this alone
            shutil.rmtree(part, ignore_errors=True)
            raise
        part.rename(folder)


def _write(
    folder: Path,
    candidate: Candidate,
    data: TrainData,
    held: NDArray[np.int64],
    job: Mapping[str, Any],
) -> None:
    chosen, source = candidate.chosen, candidate.family.source
    assert chosen.search is not None
    most = max(VALIDATED, chosen.search.examples // planning.UNITS)
    _write_images(folder, data, torch.cat([data.rows.cpu(), torch.from_numpy(spread(held, most))]))
    if candidate.family.pretrained:
        write_checkpoint(folder / BEGIN, candidate.begin(data))
    written = {
        **job,
        "family": f"{source.path}:{source.function}" if source else candidate.family.name,
        "classes": candidate.classes,
        "plan": chosen.model_dump(mode="json"),
        "normalize": {n: value.flatten().tolist() for n, value in data.normalize.named_buffers()},
        "training": len(data),
        "work": work(candidate.builder(data)(), data),
    }
    (folder / JOB).write_text(json.dumps(written), "utf-8")


def _renew(path: Path, job: Mapping[str, Any]) -> None:
    """Write anew what is no part of a run's identity: each start may be given something else."""
    written = json.loads(path.read_text("utf-8"))
    renewed = {**written, "device": job["device"], "threads": job["threads"]}
    if renewed != written:
        write_atomic(path, json.dumps(renewed))


def _write_images(folder: Path, data: TrainData, places: Tensor) -> None:
    """Write some images and their classes, in this order.

    Nothing is mapped here: to write into a mapped file ends the process where the disk is full.
    """
    x_NHWC = data.x_NCHW.permute(0, 2, 3, 1)
    shape = (len(places), *x_NHWC.shape[1:])
    with (folder / IMAGES).open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for at in range(0, len(places), CHUNK):
            rows = places[at : at + CHUNK].to(x_NHWC.device)
            file.write(np.ascontiguousarray(x_NHWC[rows].cpu().numpy()).data)
    classes = io.BytesIO()  # into a file, NumPy writes without saying why it failed
    np.save(classes, data.y_N[places.to(data.y_N.device)].cpu().numpy())
    (folder / LABELS).write_bytes(classes.getvalue())


def work(network: nn.Module, data: TrainData) -> int:
    """What a network's training costs for one image, in operations.

    Numbers that layers hand on count too: filters of one channel each do so little with them that
    the time goes into memory. By operations alone such a network would look several times as fast
    as it is.
    """
    with FlopCounterMode(display=False) as counter:
        handed_on = activation_bytes(network.cpu(), data.some(1).cpu()) // FLOAT_BYTES
    return int(counter.get_total_flops()) + HANDED_ON * handed_on


@functools.lru_cache(maxsize=1)
def opened(folder: Path) -> Shared:
    """Map what `share` wrote."""
    keep_freed_memory()
    job = json.loads((folder / JOB).read_text("utf-8"))
    chosen = planning.Plan.model_validate(job["plan"])
    assert chosen.search is not None
    # Mapped for writing, which torch asks for; nobody writes. A private mapping ("c") would count
    # in full against the memory that the process may hold; this one does not.
    x_NCHW = tensor(np.load(folder / IMAGES, mmap_mode="r+"))
    y_N = torch.from_numpy(np.load(folder / LABELS))
    count = job["training"]
    normalize = Normalize(*(torch.tensor(job["normalize"][name]) for name in ("mean", "std")))
    data = TrainData.on(choose_device(job["device"]), x_NCHW, y_N, torch.arange(count), normalize)
    begin = folder / BEGIN
    return Shared(
        family=find_family(job["family"]),
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


def train(config: Mapping[str, Any], folder: Path, start: int, until: int) -> float:
    """Train a slice of a search; see `tunesmith.tuning.slice`.

    A whole training costs every config what it costs the plan's: a network that takes twice the
    work sees half of the images.

    Returns:
        The metric of the averaged weights on validation images.

    Raises:
        MemoryError: The batch does not fit.
        LimitError: The network is not within the limits.
    """
    shared = opened(folder.parents[2] / "data")
    chosen = applied(shared.chosen, config)
    build = builder(shared.family, shared.data, classes=shared.classes, params=chosen.params)
    if not start and shared.limits.most:
        channels = shared.data.x_NCHW.shape[1]
        shared.limits.check(build(), channels=channels, size=shared.chosen.size, folder=folder)
    with computing(torch.get_num_threads()):
        examples = shared.examples * shared.work / work(build(), shared.data)
        batches = max(planning.UNITS, round(examples / chosen.train.batch))
        end = until * batches // planning.UNITS * chosen.train.batch
        result = train_slice(
            chosen.train,
            build,
            shared.data,
            loss_of(chosen.train, shared.data.y_N[shared.data.rows], shared.classes),
            start=read_checkpoint(folder / STATE) if start else shared.begin,
            segments=_segments(batches * chosen.train.batch),
            until=end,
        )
        if result.outcome is Outcome.OUT_OF_MEMORY:
            raise MemoryError
        if result.outcome is Outcome.DIVERGED or result.checkpoint is None:
            return math.nan
        write_checkpoint(folder / STATE, result.checkpoint)
        return _value(shared, place(build(), shared.data, chosen.train), result.checkpoint)


def _segments(end: int) -> tuple[Segment, ...]:
    """The learning rate rises, and stays: a training may be paused and judged at any moment."""
    top = max(1, int(WARMUP * end))
    return (
        Segment(begin=0, end=top, first=0.0, last=1.0),
        Segment(begin=top, end=end + 1, first=1.0, last=1.0),
    )


def _value(shared: Shared, network: nn.Module, checkpoint: Checkpoint) -> float:
    network.load_state_dict(checkpoint.average)
    z_NK = logits(network.eval(), shared.x_NCHW, normalize=shared.data.normalize)
    return METRICS[shared.metric].function(softmax(z_NK, 1.0), shared.y_N)
