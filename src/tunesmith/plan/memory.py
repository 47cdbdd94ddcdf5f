"""Expected memory of a training, and the batch that fits into it."""

from tunesmith.core.settings import Settings
from tunesmith.core.words import counted, megabytes
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.execution.machine import Machine
from tunesmith.plan.speeds import Speed
from tunesmith.training.config import TrainConfig

PROCESS_BYTES = 450_000_000  # of the libraries themselves
PER_WEIGHT = 8 * 4  # bytes: a weight, its gradient, its average, states of optimizer, checkpoints
PER_ACTIVATION = 2.5  # times its own size: its gradient too, and a workspace
HELD_SHARE = 0.25  # share of memory for pixels; beyond it, they are memory-mapped from disk
# Share of memory that a run may be expected to take; on CUDA, images may take most of the rest.
ROOM, CUDA_ROOM = 0.7, 0.5
# Share that a batch may take in any case: if other things fill the memory, a smaller batch does not
# help. And its fewest images: batch normalization needs two.
LEAST_ROOM, SMALLEST = 0.1, 2


def expected_bytes(data: Fingerprint, best: Speed, train: TrainConfig, machine: Machine) -> int:
    """Expected peak: libraries, pixels, weights, and the activations of a batch."""
    return _rest_bytes(data, best, machine) + train.batch * _activation_bytes(best, train.frozen)


def _rest_bytes(data: Fingerprint, best: Speed, machine: Machine) -> int:
    pixels = data.images * best.size[0] * best.size[1] * data.channels
    held = pixels if pixels <= HELD_SHARE * machine.memory_bytes else 0
    return PROCESS_BYTES + held + PER_WEIGHT * best.parameters


def _activation_bytes(best: Speed, frozen: float) -> int:
    """Memory for one image: frozen layers keep nothing, and are the first ones, with the largest.

    Of EfficientNet-Lite0, a third of the layers, frozen, had three fifths of the activations.
    """
    return round(PER_ACTIVATION * best.activation_bytes * (1 - frozen) ** 2)


def fitting(
    train: TrainConfig, data: Fingerprint, best: Speed, machine: Machine, settings: Settings
) -> TrainConfig:
    """Halve a planned batch until it is expected to fit into memory.

    A process that takes too much memory may be killed, and again when it resumes. A user's batch is
    kept, unless memory ran out when it was tried.

    Args:
        train: Training config.
        data: Fingerprint of the data.
        best: Measured network.
        machine: Resources of the machine.
        settings: User settings.
    """
    batch, each = train.batch, _activation_bytes(best, train.frozen)
    room = _room(data, best, machine, settings)
    while "batch" not in settings.train and batch >= 2 * SMALLEST and batch * each > room:
        batch //= 2
    while best.largest_batch and batch > best.largest_batch:
        batch //= 2
    return train.model_copy(update={"batch": batch})


def _room(data: Fingerprint, best: Speed, machine: Machine, settings: Settings) -> float:
    """Memory for the activations of a batch, in bytes: of the device that trains."""
    if whole := cuda_bytes(machine, settings):
        return max(CUDA_ROOM * whole - PER_WEIGHT * best.parameters, LEAST_ROOM * whole)
    whole = machine.memory_bytes
    return max(ROOM * whole - _rest_bytes(data, best, machine), LEAST_ROOM * whole)


def cuda_bytes(machine: Machine, settings: Settings) -> int | None:
    """Memory of the CUDA device that trains: 0 if it is unknown, None if no such device does."""
    if settings.device == "cuda" or (settings.device == "auto" and machine.cuda_bytes):
        return min(machine.cuda_bytes, default=0)
    return None


def memory_words(best: Speed, usual: TrainConfig, train: TrainConfig) -> tuple[str, ...]:
    """Say so if a batch is smaller than usual, so that it fits into memory."""
    if train.batch == usual.batch:
        return ()
    told = f"A batch has {counted(train.batch, 'image')} instead of {usual.batch}"
    if best.largest_batch and 2 * train.batch > best.largest_batch:
        return (f"{told}: with more, memory ran out when speeds were measured.",)
    whole = usual.batch * _activation_bytes(best, usual.frozen)
    return (f"{told}, whose activations would take about {megabytes(whole)} of memory.",)
