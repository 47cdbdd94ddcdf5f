"""Where networks run, and in which precision."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import Device
from tunesmith.training.scaling import Scaler

PROCESSORS_BFLOAT16 = ("amx_bf16", "avx512_bf16")  # capabilities, as torch calls them
TENSOR_CORES = (7, 0)  # compute capability from which on CUDA devices are fast in float16
HELD_SHARE = 0.4  # share of a device's free memory for the images; the rest is for the network


@final
@dataclass(frozen=True, kw_only=True)
class Compute:
    """A device and how to use it.

    Attributes:
        device: Where networks and batches live.
        autocast: Type of matrix products in mixed precision; None for float32.
        compiled: Whether networks train compiled (`torch.compile`).
    """

    device: torch.device
    autocast: torch.dtype | None = None
    compiled: bool = False

    def precision(self, *, mixed: bool) -> AbstractContextManager[object]:
        """Return a context for mixed precision: fast matrix products, float32 sums and weights.

        Args:
            mixed: Whether to use mixed precision; otherwise all is float32.

        Example:
            >>> compute = Compute(device=torch.device("cpu"), autocast=torch.bfloat16)
            >>> with compute.precision(mixed=True):
            ...     (torch.eye(2) @ torch.eye(2)).dtype
            torch.bfloat16

        """
        if self.autocast is None or not mixed:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast)

    def products(self, *, mixed: bool) -> torch.dtype:
        """Type of matrix products, in mixed precision or not."""
        return self.autocast if self.autocast and mixed else torch.float32

    def scaler(self, *, mixed: bool) -> Scaler:
        """Return a loss scaler, which scales in float16 alone: only that has a smaller range."""
        return Scaler(self.device, enabled=self.products(mixed=mixed) is torch.float16)

    def holds(self, images: Tensor) -> bool:
        """Whether all images fit on the device."""
        if self.device.type == "cpu":
            return True
        free = free_bytes(self.device)
        return free is not None and images.numel() * images.element_size() <= HELD_SHARE * free

    def send(self, x: Tensor) -> Tensor:
        """Move a batch to the device; to CUDA asynchronously, from pinned memory."""
        if x.device.type == self.device.type:
            return x
        if self.device.type == "cuda":
            return x.pin_memory().to(self.device, non_blocking=True)
        return x.to(self.device)


CPU = Compute(device=torch.device("cpu"))


def seed_random(seed: int, device: torch.device) -> None:
    """Seed torch's random numbers on the CPU and on a device.

    `torch.manual_seed` would seed all devices, which takes as long as a small step of training.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Restore torch's random states of the CPU and of a device, after what happens inside.

    Others are left alone: to read CUDA's would take its memory, also where the CPU trains.
    """
    module = None if device.type == "cpu" else torch.get_device_module(device)
    before = module and module.get_rng_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            if module:
                module.set_rng_state(before)


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a device, in bytes; None if it is unknown."""
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()  # or what probes have freed, which torch keeps, would count as used
    return torch.cuda.mem_get_info(device)[0]


def choose_device(asked: Device) -> Compute:
    """Return the requested device, or the best available one, with its best precision.

    That is bfloat16 if the hardware multiplies matrices in it (NVIDIA from Ampere on, processors
    with AMX or AVX-512 BF16): it has the range of float32 and needs no loss scaling. It is float16
    on NVIDIA's Volta and Turing, which have it alone. Elsewhere it is float32, with TF32 for matrix
    products if available; most processors only emulate the others.

    Raises:
        SettingsError: The device is not available.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked in found and not found[asked]:
        there = [name for name, ok in found.items() if ok]
        raise SettingsError(
            f"`device`: torch finds no {asked} device here; there is: "
            f"{', '.join(['cpu', *there])}. Choose one of these or auto; for CUDA, torch must be a "
            "CUDA build (pip's default on Linux) and the driver must be installed."
        )
    kind = asked if asked != "auto" else next((name for name, ok in found.items() if ok), "cpu")
    if kind == "cuda":
        torch.set_float32_matmul_precision("high")
    place = (
        torch.device("cuda", torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)
    )
    return Compute(device=place, autocast=_fast_type(kind))


def _fast_type(kind: str) -> torch.dtype | None:
    """Type in which a kind of device multiplies matrices fastest; None for float32."""
    if kind == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16
        return torch.float16 if torch.cuda.get_device_capability() >= TENSOR_CORES else None
    ask = getattr(torch.cpu, "get_capabilities", dict[str, bool])  # newer than torch 2.10
    has_bfloat16 = kind == "cpu" and any(ask().get(name, False) for name in PROCESSORS_BFLOAT16)
    return torch.bfloat16 if has_bfloat16 else None
