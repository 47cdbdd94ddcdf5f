"""How many cores this process may use."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cores(cgroup: Path = CGROUP) -> int:
    """Cores by affinity and, in a container, by quota."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = (cgroup / "cpu.max").read_text("ascii").split()
        return max(1, min(found or 1, int(quota) // int(period)))
    except (OSError, ValueError):
        return found or 1
