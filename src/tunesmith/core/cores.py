"""Limits of the control groups (cgroup v2) of this process, and the cores that it may use."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def cgroup_limits(name: str, cgroup: Path = CGROUP, own: Path = OWN) -> list[str]:
    """Limits that hold for this process: of its group, and of all groups around it.

    A container has one group; a batch system or systemd nests some.

    Args:
        name: File of a limit, such as ``cpu.max``.
        cgroup: Folder of the outermost group.
        own: File that names this process's group, in a line that begins with ``0::/``.

    Returns:
        Contents of the files that there are, the innermost first.
    """
    group = next((line[4:] for line in _text(own).splitlines() if line.startswith("0::/")), "")
    folders = [cgroup / group, *(cgroup / group).parents]
    texts = [_text(folder / name) for folder in folders if folder.is_relative_to(cgroup)]
    return [text for text in texts if text]


def cores(cgroup: Path = CGROUP, own: Path = OWN) -> int:
    """Number of usable cores, by CPU affinity and the quotas of control groups."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    least = found or 1
    for limit in cgroup_limits("cpu.max", cgroup, own):
        quota, *period = limit.split()
        if quota.isdecimal() and period:
            least = min(least, int(quota) // int(period[0]))
    return max(1, least)


def _text(path: Path) -> str:
    """Content of a file; empty if it cannot be read."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
