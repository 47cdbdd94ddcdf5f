"""The only loop over training batches."""

import math
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast, final

import torch
from torch import Tensor, nn

from tunesmith.core.seeds import derive
from tunesmith.core.spread import spread
from tunesmith.data.augment import augment, shrink
from tunesmith.models.layout import arranged
from tunesmith.models.preprocess import Normalize
from tunesmith.training import averaging
from tunesmith.training.config import TrainConfig
from tunesmith.training.device import CPU, Compute, seed_random
from tunesmith.training.layers import set_training
from tunesmith.training.losses import Loss
from tunesmith.training.optimizers import Optimizers
from tunesmith.training.schedule import Segment, highest_ahead, multiplier

FINE_BELOW = 0.5  # multiplier of the learning rate up to which images have their full size


@final
@dataclass(frozen=True, kw_only=True)
class TrainData:
    """Training images and labels, ready for the loop.

    The tensors may hold images of other splits as well: a subset is a list of rows, and nothing is
    copied.

    Attributes:
        x_NCHW: Images, uint8, channels last in memory.
        y_N: Labels, int64, on the same device as the images.
        rows: Indices of the training images, on the same device.
        normalize: Mean and standard deviation of the training images, on the compute device.
        compute: Device that trains; the images may be elsewhere.
    """

    x_NCHW: Tensor
    y_N: Tensor
    rows: Tensor
    normalize: Normalize
    compute: Compute = CPU

    @classmethod
    def on(
        cls, compute: Compute, x_NCHW: Tensor, y_N: Tensor, rows: Tensor, normalize: Normalize
    ) -> Self:
        """Move the images to the device if they fit; otherwise, batches are sent one by one."""
        where = compute.device if compute.holds(x_NCHW) else x_NCHW.device
        return cls(
            x_NCHW=x_NCHW.to(where),
            y_N=y_N.to(where),
            rows=rows.to(where),
            normalize=normalize.to(compute.device),
            compute=compute,
        )

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, count: int) -> Tensor:
        """Return up to ``count`` of the training images, normalized, contiguous in memory."""
        rows = torch.from_numpy(spread(self.rows.cpu().numpy(), count)).to(self.rows.device)
        x_NCHW = self.normalize(self.compute.send(self.x_NCHW[rows]))
        return arranged(x_NCHW, channels_last=False)


@final
@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where the loop stopped, and the mean loss up to there."""

    seen: int
    loss: float


def places(seed: int, size: int, begin: int, end: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the training images from position ``begin`` to ``end``, epoch by epoch.

    Positions count examples over all epochs. Each epoch has a permutation that depends on (seed,
    epoch) alone, so training can resume at any position without replaying what came before.

    Yields:
        The epoch, and the indices ``[M]`` of its images in the training set.

    Example:
        >>> [(epoch, len(at)) for epoch, at in places(0, 10, 8, 13)]
        [(0, 2), (1, 3)]

    """
    while begin < end:
        epoch, first = divmod(begin, size)
        generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        order = torch.randperm(size, generator=generator)
        last = min(size, first + end - begin)
        yield epoch, order[first:last]
        begin += last - first


def batches(
    data: TrainData, config: TrainConfig, begin: int, end: int
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield augmented, normalized batches from position ``begin`` to ``end``.

    Yields:
        The position, images ``(N, C, H, W)`` float32, and labels ``(N,)``.
    """
    stream = [(e, at) for e, at in places(config.seed, len(data), begin, end)]
    index = torch.cat([at for _, at in stream])
    epoch = torch.cat([torch.full_like(at, e) for e, at in stream])
    for offset in range(0, end - begin, config.batch):
        index_N = index[offset : offset + config.batch]
        rows_N = data.rows[index_N.to(data.rows.device)]
        x_NCHW = augment(
            data.normalize(data.compute.send(data.x_NCHW[rows_N])),
            config.augmentation,
            index_N=index_N,
            epoch_N=epoch[offset : offset + config.batch],
            seed=config.seed,
            position=begin + offset,
        )
        y_N = data.compute.send(data.y_N[rows_N])
        yield begin + offset, arranged(x_NCHW, channels_last=config.channels_last), y_N


def scale_at(config: TrainConfig, segments: Sequence[Segment], seen: int) -> float:
    """Side of the training images, relative to their own: progressive resizing.

    Large steps need no detail (Howard 2018, fast.ai's entry to DAWNBench), and small images cost
    less. It follows the learning rate, and through it the progress on the clock.
    """
    return config.early_scale if highest_ahead(segments, seen) > FINE_BELOW else 1.0


def rescaled_at(config: TrainConfig, segments: Sequence[Segment], seen: int) -> int:
    """Return the position at which images get another size than at ``seen``, or the plan's end.

    Example:
        >>> from tunesmith.training.schedule import warmup_decay
        >>> config, plan = TrainConfig(early_scale=0.75), warmup_decay(1000, warmup=0.0)
        >>> rescaled_at(config, plan, 100), rescaled_at(config, plan, 600)
        (500, 1000)

    """
    now, ahead = scale_at(config, segments, seen), range(seen, segments[-1].end)
    return seen + bisect_left(ahead, x=True, key=lambda at: scale_at(config, segments, at) != now)


def compiled(network: nn.Module) -> nn.Module:
    """Return a network that runs the same weights by compiled code.

    The first batch is slow: it compiles, as does the first one of each other shape. The code is
    kept as long as the process lives, and networks of equal structure share it, so that a slice
    need not compile again. ``network`` is unchanged, and the only one to take weights from: in the
    other one, their names differ.
    """
    return cast("nn.Module", torch.compile(network, dynamic=False))


def train_batches(
    network: nn.Module,
    optimizers: Optimizers,
    average: Mapping[str, Tensor],
    *,
    data: TrainData,
    config: TrainConfig,
    loss: Loss,
    segments: Sequence[Segment],
    begin: int,
    until: int,
    stop: Callable[[], bool],
    infinite: Collection[str] = (),
) -> Progress:
    """Train in place from position ``begin`` to ``until``, or until ``stop()`` or a bad loss.

    The moving average copies what is named as ``infinite``; see `averaging.update`.

    Returns:
        Where it stopped. The loss is not finite if, and only if, training diverged.
    """
    set_training(network, config.frozen)
    fast = compiled(network) if data.compute.compiled else network
    usual = config.batch, scale_at(config, segments, begin)
    total, steps, seen = 0.0, 0, begin
    ready = next(stream := batches(data, config, begin, until), None)
    while ready is not None and not stop():
        position, batch_NCHW, y_N = ready
        # Dropout is a function of (seed, position) too, so that no random state needs storing.
        seed_random(derive(config.seed, "step", position), data.compute.device)
        optimizers.scale(multiplier(segments, position))
        x_NCHW = shrink(batch_NCHW, scale := scale_at(config, segments, position))
        # Batches of another shape come at the end of a slice, and are too few to compile for.
        forward = fast if (len(y_N), scale) == usual else network
        with data.compute.precision(mixed=config.mixed_precision):
            value = loss(forward, x_NCHW, y_N)
        optimizers.zero_grad()
        optimizers.backward(value)
        with data.compute.precision(mixed=config.mixed_precision):
            optimizers.step()
        # Before the loss is read: a GPU goes on computing meanwhile, and has no work left after it.
        ready = next(stream, None)
        seen, steps, total = position + len(y_N), steps + 1, total + float(value.detach())
        if not math.isfinite(total):
            break
        _update(average, network, config, position, infinite, is_last=seen >= segments[-1].end)
    return Progress(seen=seen, loss=total / steps if steps else 0.0)


def _update(
    average: Mapping[str, Tensor],
    network: nn.Module,
    config: TrainConfig,
    position: int,
    infinite: Collection[str],
    *,
    is_last: bool,
) -> None:
    """Average the weights in, now and then; the last ones too: of a few steps they count most."""
    updates, due = divmod(position // config.batch, averaging.EVERY)
    if due == 0 or is_last:
        decay = averaging.decay_after(updates, longest=config.ema_decay)
        averaging.update(average, network, decay=decay, infinite=infinite)
