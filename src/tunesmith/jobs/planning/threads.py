"""Find the number of threads that suits a machine with other work."""

from collections.abc import Callable

import torch

from tunesmith import plan as planning
from tunesmith.execution.threads import ALONE


def with_fitting_threads(
    once: Callable[[], list[planning.Speed]], again: Callable[[planning.Speed], planning.Speed]
) -> list[planning.Speed]:
    """Halve the number of threads as long as that is faster; see `execution.threads`.

    Other processes slow all measurements down: the cheapest network is measured again, and the
    others only if that is faster.
    """
    speeds, threads = once(), torch.get_num_threads()
    # The widest have most work per thread: if nothing else runs, they keep all threads busy.
    while threads > 1 and max(speed.share for speed in speeds) < ALONE:
        torch.set_num_threads(threads // 2)
        if again(speeds[0]).images_per_s <= speeds[0].images_per_s:
            torch.set_num_threads(threads)
            break
        speeds, threads = once(), threads // 2
    return speeds
