"""Short measurements on this machine and these data, before time is committed."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunesmith.data.augment import shift_pixels, translate, turn
from tunesmith.data.augmentation import Augmentation
from tunesmith.evaluation.early import chance, counting
from tunesmith.evaluation.memory import is_out_of_memory
from tunesmith.evaluation.metrics import METRICS, confusion_matrix
from tunesmith.evaluation.predict import BATCH, logits
from tunesmith.evaluation.swaps import swapped
from tunesmith.execution.threads import ALONE, share_of
from tunesmith.models.layout import arranged
from tunesmith.models.preprocess import Normalize
from tunesmith.training.averaging import update
from tunesmith.training.config import TrainConfig, halved
from tunesmith.training.device import own_randomness, seed_random
from tunesmith.training.epoch import TrainData, train_batches
from tunesmith.training.findings import SHIFT, Harm, Measured, beyond_chance
from tunesmith.training.losses import CrossEntropy, loss_of
from tunesmith.training.schedule import Segment
from tunesmith.training.slice import copied, make_optimizers, place

FOREVER = 2**40  # examples; the clock ends a probe
WARM = 3  # readings of the clock around two batches, of which the first warms up
SLOW = 10  # times as long as a measurement should take: a first batch that does counts alone
BRIEF_BATCH = 64  # batch size: in a few seconds, more steps teach more than larger ones
# Images that are answered to measure how fast, at least; by a CPU beside another device, at most.
ANSWERED = 32
PARTS, TURNS = 3, 3  # parts of a probe training; times as long that it may take
# Accuracy beyond chance: enough to notice a change; enough to end early.
NOTICES, KNOWS_ALL = 0.2, 0.98
# At most, in radians: clearly visible, and within what a hand-held camera does.
ROTATION = math.radians(15)
# From images, and angles to rotate them by, to images.
View = Callable[[Tensor, Tensor], Tensor]
VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "flip": lambda x_NCHW, _: x_NCHW.flip(-1),
        "flip_vertical": lambda x_NCHW, _: x_NCHW.flip(-2),
        "rotate": lambda x_NCHW, angle_N: turn(x_NCHW.float(), angle_N),
        "shift": lambda x_NCHW, _: _shifted(x_NCHW.float()),
    }
)
MIRRORINGS = ("flip", "flip_vertical")


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

    The first batch does not count: it includes memory allocation and kernel setup. On a CPU, it
    counts alone if it takes ten times as long. If memory runs out, smaller batches are tried.

    Raises:
        OutOfMemoryError: Memory runs out with a batch of one image, too.
    """
    usual, asked = config.batch, max(ANSWERED, config.batch)
    while True:
        try:
            found = _measured(build, data, config, seconds=seconds, asked=asked)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            config, asked = halved(config), asked // 2
        else:
            return found if config.batch == usual else replace(found, largest_batch=config.batch)


def _measured(
    build: Callable[[], nn.Module],
    data: TrainData,
    config: TrainConfig,
    *,
    seconds: float,
    asked: int,
) -> Measured:
    """Measure with one batch in training, and one of ``asked`` images in inference."""
    with own_randomness(data.compute.device):
        network = place(build(), data, config)
        held = activation_bytes(network, data.some(1))
        rate, share = _rate(network, data, config, seconds)
        answering = _answering_rate(network, data, asked, channels_last=config.channels_last)
    return Measured(
        images_per_s=rate,
        share=share,
        answers_per_s=answering,
        parameters=sum(p.numel() for p in network.parameters()),
        activation_bytes=held,
    )


@torch.no_grad()
def _answering_rate(
    network: nn.Module, data: TrainData, batch: int, *, channels_last: bool
) -> float:
    """Measure inference throughput in images per second: the faster of two batches.

    It is that of the CPU, whatever trains: there the exported graph is compared and tested.
    """
    if data.compute.device.type != "cpu":
        network, batch = network.cpu(), min(batch, ANSWERED)
    network.eval()
    x_NCHW = arranged(data.some(batch).cpu(), channels_last=channels_last)
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        network(x_NCHW)
        times.append(time.perf_counter() - begin)
    return len(x_NCHW) / max(1e-9, min(times))


def _rate(
    network: nn.Module, data: TrainData, config: TrainConfig, seconds: float
) -> tuple[float, float]:
    """Measure training throughput in images per second, and the threads' share of the cores."""
    optimizers = make_optimizers(config, network, data.compute)
    average = copied(network.state_dict())
    segments = [Segment(begin=0, end=FOREVER, first=0.1, last=0.1)]
    ends = [(time.perf_counter(), time.process_time())]
    # One warms up, if that is not all: elsewhere than on a CPU, kernels are loaded in it.
    most = SLOW * seconds if data.compute.device.type == "cpu" else math.inf
    while (past := ends[-1][0] - ends[0][0]) < seconds or (len(ends) < WARM and past <= most):
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
    took_S, used_S = np.diff(ends[1:] if len(ends) >= WARM else ends, axis=0).T
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
    views: Mapping[str, View] = VIEWS,
) -> Harm:
    """Train briefly on images as they are, then evaluate on mirrored, rotated and shifted ones.

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
        views: Changes to evaluate on, by name; with none, the harm is the plain metric alone.
    """
    batch = min(BRIEF_BATCH, config.batch)
    config = config.model_copy(update={"augmentation": Augmentation(), "batch": batch})
    most, seen = max(1, min(12 * len(data), 200_000) // batch) * batch, 0
    with own_randomness(data.compute.device):
        seed_random(config.seed, data.compute.device)
        network = place(build(), data, config)
        average = copied(network.state_dict())
        optimizers = make_optimizers(config, network, data.compute)
        judge = _Judge(data.normalize, metric, valid_NCHW, valid_y.cpu().numpy(), config.seed)
        guessed = chance(metric, judge.y_N)
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
            plain_NK = judge.answers(network.eval())
            knows = beyond_chance(judge(plain_NK), guessed)
            if knows >= (KNOWS_ALL if part + 1 < PARTS else NOTICES) or seen >= most:
                break
        return judge.harm(network, plain_NK, guessed, views)


def _is_past(deadline: float) -> bool:
    return time.perf_counter() > deadline


def _shifted(x_NCHW: Tensor) -> Tensor:
    """Shift images as the augmentation would."""
    pixels = shift_pixels(SHIFT, x_NCHW)
    return translate(x_NCHW, pixels, torch.Generator().manual_seed(0))


def _unchanged(x_NCHW: Tensor, _: Tensor) -> Tensor:
    return x_NCHW


@final
@dataclass(frozen=True)
class _Judge:
    """Asks a network about validation images, as they are or changed, and scores its answers.

    Attributes:
        normalize: Mean and standard deviation of the training images.
        metric: Name of the metric.
        x_NCHW: Images, uint8.
        y_N: Their classes.
        seed: Random seed of the angles that they are rotated by.
    """

    normalize: Normalize
    metric: str
    x_NCHW: Tensor
    y_N: NDArray[np.int64]
    seed: int

    def answers(self, network: nn.Module, view: View = _unchanged) -> NDArray[np.floating[Any]]:
        """Return logits."""
        generator = torch.Generator().manual_seed(self.seed)
        angle_N = (torch.rand(len(self.x_NCHW), generator=generator) * 2 - 1) * ROTATION
        # One batch at a time: a view of all images, as floats, takes gigabytes if they are large.
        parts = zip(self.x_NCHW.split(BATCH), angle_N.split(BATCH), strict=True)
        seen = (view(x_NCHW, angle.to(x_NCHW.device)) for x_NCHW, angle in parts)
        ask = partial(logits, normalize=self.normalize, channels_last=True)
        return np.concatenate([ask(network, x_NCHW) for x_NCHW in seen])

    def __call__(self, z_NK: NDArray[np.floating[Any]]) -> float:
        return METRICS[self.metric].function(z_NK, self.y_N)

    def harm(
        self,
        network: nn.Module,
        plain_NK: NDArray[np.floating[Any]],
        guessed: float,
        views: Mapping[str, View],
    ) -> Harm:
        """Return what the changes do, given the answers on unchanged images."""
        moved = shift_pixels(SHIFT, self.x_NCHW) > 0
        seen = {name: view for name, view in views.items() if moved or name != "shift"}
        z_NK = {name: self.answers(network, view) for name, view in seen.items()}
        plain_KK = confusion_matrix(plain_NK, self.y_N)
        mirrored = [name for name in MIRRORINGS if name in z_NK]
        return Harm(
            plain=self(plain_NK),
            chance=guessed,
            changed={name: self(z) for name, z in z_NK.items()},
            swapped={n: swapped(plain_KK, confusion_matrix(z_NK[n], self.y_N)) for n in mirrored},
            images=counting(self.metric, self.y_N),
        )
