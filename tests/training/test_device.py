"""Tests of `tunesmith.training.device`, with stand-ins for hardware that is not here."""

import functools

import pytest
import torch

from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import Device
from tunesmith.data.augment import shrink
from tunesmith.data.augmentation import Augmentation
from tunesmith.models.convnet import convnet
from tunesmith.models.preprocess import Normalize
from tunesmith.training import device
from tunesmith.training.averaging import update
from tunesmith.training.config import TrainConfig
from tunesmith.training.device import (
    CPU,
    Compute,
    choose_device,
    own_randomness,
    seed_random,
)
from tunesmith.training.epoch import TrainData, batches
from tunesmith.training.losses import GeneralizedCrossEntropy, LogitAdjusted
from tunesmith.training.slice import make_optimizers, place

DRAWINGS = Augmentation(shift=0.1, rotate=10, scale=0.1, brightness=0.1, contrast=0.1)
PHOTOGRAPHS = Augmentation(shift=0.1, flip=True, flip_vertical=True, cutout=0.2)
CUDA, META = torch.device("cuda", 0), torch.device("meta")


@pytest.fixture
def no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with one CUDA device, as far as torch's questions about it go."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (1000, 2000))
    return monkeypatch


@pytest.mark.usefixtures("no_devices")
def test_without_a_device_the_processor_is_taken() -> None:
    assert choose_device("auto").device == choose_device("cpu").device == CPU.device


@pytest.mark.usefixtures("no_devices")
@pytest.mark.parametrize("asked", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_told(asked: Device) -> None:
    with pytest.raises(SettingsError, match=f"no {asked} device here; there is: cpu. Choose"):
        choose_device(asked)


@pytest.mark.usefixtures("no_devices")
@pytest.mark.parametrize(
    ("has", "autocast"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": False, "avx512_f": True}, None),
        ({}, None),
    ],
)
def test_a_processor_multiplies_in_bfloat16_where_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], autocast: torch.dtype | None
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert choose_device("auto").autocast == autocast


@pytest.mark.parametrize(
    ("capability", "autocast"),
    [
        ((9, 0), torch.bfloat16),
        ((8, 0), torch.bfloat16),
        ((7, 5), torch.float16),
        ((7, 0), torch.float16),
        ((6, 1), None),
    ],
)
def test_the_precision_is_what_the_hardware_has(
    cuda: pytest.MonkeyPatch, capability: tuple[int, int], autocast: torch.dtype | None
) -> None:
    def has_bfloat16(*, including_emulation: bool) -> bool:
        return including_emulation or capability >= (8, 0)

    cuda.setattr(torch.cuda, "is_bf16_supported", has_bfloat16)
    cuda.setattr(torch.cuda, "get_device_capability", lambda: capability)
    before = torch.get_float32_matmul_precision()
    try:
        assert (
            choose_device("auto")
            == choose_device("cuda")
            == Compute(device=CUDA, autocast=autocast)
        )
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps"])
def test_random_states_are_those_of_the_own_device(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """To ask CUDA for its state would take its memory, also where the CPU trains."""
    asked: list[tuple[object, ...]] = []

    def ask(*call: object) -> str:
        asked.append(call)
        return "the state before"

    for name in ("cuda", "mps"):
        for call in ("get_rng_state", "set_rng_state", "manual_seed"):
            monkeypatch.setattr(getattr(torch, name), call, functools.partial(ask, name, call))
    before, here = torch.get_rng_state(), torch.device(kind)
    with own_randomness(here):
        drawn = []
        for seed in (3, 4, 3):
            seed_random(seed, here)
            drawn.append(float(torch.rand(1)))
    assert drawn[0] == drawn[2] != drawn[1]
    assert torch.equal(torch.get_rng_state(), before)
    seeded = [(kind, "manual_seed", seed) for seed in (3, 4, 3)]
    restored = kind, "set_rng_state", "the state before"
    expected = [(kind, "get_rng_state"), *seeded, restored]
    assert asked == ([] if kind == "cpu" else expected)


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(("size", "fits"), [(400, True), (401, False)])
def test_images_live_on_a_device_that_has_room(size: int, *, fits: bool) -> None:
    images = torch.zeros(size, dtype=torch.uint8)
    assert Compute(device=CUDA).holds(images) is fits
    assert CPU.holds(images)
    assert not Compute(device=torch.device("mps")).holds(images)  # it does not say


def test_memory_that_torch_keeps_for_later_is_free(cuda: pytest.MonkeyPatch) -> None:
    kept = [600]  # bytes of networks that are gone
    cuda.setattr(torch.cuda, "mem_get_info", lambda _device: (1000 - sum(kept), 2000))
    cuda.setattr(torch.cuda, "empty_cache", kept.clear)
    assert Compute(device=CUDA).holds(torch.zeros(400, dtype=torch.uint8))


def test_batches_are_sent_once() -> None:
    x = torch.zeros(3)
    assert CPU.send(x) is x
    assert Compute(device=META).send(x).device == META


def test_batches_for_cuda_go_through_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def pin(x: torch.Tensor) -> torch.Tensor:
        calls.append("pinned")
        return x

    def to(x: torch.Tensor, target: torch.device, *, non_blocking: bool) -> torch.Tensor:
        calls.append((target, non_blocking))
        return x

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", to)
    Compute(device=CUDA).send(torch.zeros(1))
    assert calls == ["pinned", (CUDA, True)]


def test_mixed_precision_is_for_products_only() -> None:
    a = torch.eye(2)
    with Compute(device=torch.device("cpu"), autocast=torch.bfloat16).precision(mixed=True):
        assert (a @ a).dtype == torch.bfloat16
        assert (a + a).dtype == torch.float32
    with CPU.precision(mixed=True):
        assert (a @ a).dtype == torch.float32


@pytest.mark.parametrize("room", [True, False])
@pytest.mark.parametrize("augmentation", [DRAWINGS, PHOTOGRAPHS])
def test_a_step_on_a_device_mixes_it_with_no_other(
    monkeypatch: pytest.MonkeyPatch, augmentation: Augmentation, *, room: bool
) -> None:
    """The meta device computes no values, but refuses operations with tensors from elsewhere."""
    monkeypatch.setattr(device, "free_bytes", lambda _device: 10**6 * room)
    x, y = torch.zeros(40, 3, 32, 32, dtype=torch.uint8), torch.arange(40) % 4
    config = TrainConfig(batch=16, augmentation=augmentation, early_scale=0.75)
    data = TrainData.on(Compute(device=META), x, y, torch.arange(30), Normalize.of(x))
    assert data.x_NCHW.device == (META if room else CPU.device)
    network = place(convnet(4, 3, size=(32, 32), width=8), data, config)
    optimizers = make_optimizers(config, network, data.compute)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    loss = LogitAdjusted(GeneralizedCrossEntropy(0.5, 0.1), torch.zeros(4))
    for _, x_NCHW, y_N in batches(data, config, 0, 32):
        with data.compute.precision(mixed=True):
            value = loss(network, shrink(x_NCHW, 0.75), y_N)
        value.backward()
        optimizers.step()
        update(average, network, decay=0.9)
    assert value.device == average["head.linear.weight"].device == META
