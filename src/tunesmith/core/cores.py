"""Number of CPU cores that this process may use."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cores(cgroup: Path = CGROUP) -> int:
    """Number of usable cores, by CPU affinity and the container's CPU quota."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = (cgroup / "cpu.max").read_text("ascii").split()
        return max(1, min(found or 1, int(quota) // int(period)))
    except (OSError, ValueError):
        return found or 1
