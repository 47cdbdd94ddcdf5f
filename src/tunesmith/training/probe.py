"""Short measurements on this machine and these data, before time is committed."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith.data.augment import mirror, warp
from tunesmith.data.augmentation import Augmentation
from tunesmith.evaluation.early import chance, counting
from tunesmith.evaluation.memory import is_out_of_memory
from tunesmith.evaluation.metrics import METRICS
from tunesmith.evaluation.predict import logits
from tunesmith.execution.threads import ALONE, share_of
from tunesmith.models.preprocess import Normalize
from tunesmith.training.averaging import update
from tunesmith.training.config import TrainConfig
from tunesmith.training.epoch import TrainData, train_batches
from tunesmith.training.findings import Harm, Measured, beyond_chance
from tunesmith.training.losses import CrossEntropy, loss_of
from tunesmith.training.schedule import Segment
from tunesmith.training.slice import make_optimizers, place

FOREVER = 2**40  # examples; the clock ends a probe
BRIEF_BATCH = 64  # batch size: in a few seconds, more steps teach more than larger ones
PARTS, TURNS = 3, 3  # parts of a probe training; times as long that it may take
# Accuracy beyond chance: enough to notice a change; enough to end early.
NOTICES, KNOWS_ALL = 0.2, 0.98
ROTATION = 15.0  # degrees: clearly visible, and within what a hand-held camera does


def activation_bytes(network: nn.Module, x_NCHW: Tensor) -> int:
    """Bytes of all leaf modules' outputs for one image."""
    total = 0

    def count(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal total
        total += output.numel() * output.element_size() if isinstance(output, Tensor) else 0

    leaves = [m for m in network.modules() if not list(m.children())]
    handles = [m.register_forward_hook(count) for m in leaves]
    with torch.no_grad():
        network.eval()(x_NCHW)
    for handle in handles:
        handle.remove()
    return total


def measure(
    build: Callable[[], nn.Module], data: TrainData, config: TrainConfig, *, seconds: float
) -> Measured:
    """Train a throwaway network for about ``seconds``, two batches at least; measure its speed.

    The first batch does not count: it includes memory allocation and kernel setup.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            network = place(build(), data, config)
            held = activation_bytes(network, data.some(1))
            rate, share = _rate(network, data, config, seconds)
            answering = _answering_rate(network, data, config.batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return Measured(
                images_per_s=0, share=1.0, answers_per_s=0, parameters=0, activation_bytes=0
            )
    count = sum(p.numel() for p in network.parameters())
    return Measured(
        images_per_s=rate,
        share=share,
        answers_per_s=answering,
        parameters=count,
        activation_bytes=held,
    )


@torch.no_grad()
def _answering_rate(network: nn.Module, data: TrainData, batch: int) -> float:
    """Measure inference throughput in images per second: the faster of two batches."""
    network.eval()
    x_NCHW = data.some(batch).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        network(x_NCHW).sum().item()  # the value is there once the device is done
        times.append(time.perf_counter() - begin)
    return len(x_NCHW) / max(1e-9, min(times))


def _rate(
    network: nn.Module, data: TrainData, config: TrainConfig, seconds: float
) -> tuple[float, float]:
    """Measure training throughput in images per second, and the threads' share of the cores."""
    optimizers = make_optimizers(config, network)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    segments = [Segment(begin=0, end=FOREVER, first=0.1, last=0.1)]
    network.train()
    ends = [(time.perf_counter(), time.process_time())]
    while ends[-1][0] - ends[0][0] < seconds or len(ends) < 3:  # noqa: PLR2004 (one warms up)
        step = len(ends) - 1
        train_batches(
            network,
            optimizers,
            average,
            data=data,
            config=config,
            loss=CrossEntropy(config.label_smoothing),
            segments=segments,
            begin=step * config.batch,
            until=(step + 1) * config.batch,
            stop=lambda: False,
        )
        update(average, network, decay=config.ema_decay)
        ends.append((time.perf_counter(), time.process_time()))
    took_S, used_S = np.diff(ends[1:], axis=0).T
    share = share_of(float(used_S.sum()), float(took_S.sum()), torch.get_num_threads())
    # The fastest step: other load can only add time. If that never stops, all steps count.
    return config.batch / float(took_S.min() if share >= ALONE else took_S.mean()), share


def transform_harm(
    build: Callable[[], nn.Module],
    data: TrainData,
    valid_NCHW: Tensor,
    valid_y: Tensor,
    config: TrainConfig,
    *,
    classes: int,
    metric: str,
    seconds: float,
) -> Harm:
    """Train briefly on upright images, then evaluate on mirrored and rotated ones.

    If a change alters the meaning (a mirrored digit), the metric drops; if not (a mirrored cat), it
    hardly does. A network that has learned next to nothing cannot tell: it trains on, up to `TURNS`
    times as long. One that is nearly perfect is evaluated early. Takes about ``seconds`` per turn.

    Args:
        build: Builds the untrained network.
        data: Training images.
        valid_NCHW: Validation images.
        valid_y: Their classes ``(N,)``.
        config: Training config.
        classes: Number of classes.
        metric: ``"accuracy"`` or ``"balanced_accuracy"``.
        seconds: Seconds per turn.
    """
    batch = min(BRIEF_BATCH, config.batch)
    config = config.model_copy(update={"augmentation": Augmentation(shift=0.05), "batch": batch})
    most, seen = max(1, min(12 * len(data), 200_000) // batch) * batch, 0
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(config.seed)
        network = place(build(), data, config)
        average = {name: value.detach().clone() for name, value in network.state_dict().items()}
        optimizers = make_optimizers(config, network)
        y_N = valid_y.cpu().numpy()
        judged, guessed = partial(_score, data.normalize, metric, y_N), chance(metric, y_N)
        for part in range(TURNS * PARTS):
            seen = train_batches(
                network,
                optimizers,
                average,
                data=data,
                config=config,
                loss=loss_of(config, data.y_N[data.rows], classes),
                segments=[Segment(begin=0, end=FOREVER, first=0.5, last=0.5)],
                begin=seen,
                until=most,
                stop=partial(_is_past, time.perf_counter() + seconds / PARTS),
            ).seen
            knows = beyond_chance(judged(network.eval(), valid_NCHW.float()), guessed)
            if knows >= (KNOWS_ALL if part + 1 < PARTS else NOTICES) or seen >= most:
                break
        found = _judge(judged, network, valid_NCHW, config.seed)
    plain, images = found.pop("plain"), counting(metric, y_N)
    return Harm(plain=plain, chance=guessed, changed=found, images=images)


def _is_past(deadline: float) -> bool:
    return time.perf_counter() > deadline


def _score(
    normalize: Normalize,
    metric: str,
    y_N: NDArray[np.int64],
    network: nn.Module,
    x_NCHW: Tensor,
) -> float:
    return METRICS[metric].function(logits(network, x_NCHW, normalize=normalize), y_N)


def _judge(
    score: Callable[[nn.Module, Tensor], float], network: nn.Module, valid_NCHW: Tensor, seed: int
) -> dict[str, float]:
    """Evaluate on unchanged and on changed images."""
    every = torch.ones(len(valid_NCHW), dtype=torch.bool, device=valid_NCHW.device)
    generator = torch.Generator().manual_seed(seed)
    x_NCHW = valid_NCHW.float()
    views: dict[str, Callable[[], Tensor]] = {  # made one at a time: each is as large as the images
        "plain": lambda: x_NCHW,
        "flip": lambda: mirror(x_NCHW, every, dim=-1),
        "flip_vertical": lambda: mirror(x_NCHW, every, dim=-2),
        "rotate": lambda: warp(x_NCHW, rotate=ROTATION, scale=0.0, shift=0.0, generator=generator),
    }
    return {name: score(network, view()) for name, view in views.items()}
