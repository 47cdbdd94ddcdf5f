"""A machine, and the speeds of networks on it, for which tests make plans."""

from tunesmith.execution.machine import Machine
from tunesmith.plan import Speed

MACHINE = Machine(
    cores=2,
    memory_bytes=8 * 10**9,
    disk_free_bytes=10**11,
    system="Linux x86_64",
    cpu="a processor",
    cuda=(),
    cuda_bytes=(),
)


def speed(width: int, images_per_s: float, *, channels_last: bool = True) -> Speed:
    """Return the speed of a network of some width on images of 28 x 28 pixels."""
    return Speed(
        width=width,
        size=(28, 28),
        channels_last=channels_last,
        images_per_s=images_per_s,
        answers_per_s=3 * images_per_s,
        parameters=width * width * 500,
        activation_bytes=width * 40_000,
    )


SPEEDS = [speed(8, 10_000), speed(16, 4000), speed(32, 1200), speed(64, 350)]
