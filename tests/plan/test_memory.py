"""Tests of `tunesmith.plan.memory`."""

import dataclasses
from typing import Any

import pytest

from tunesmith.core.settings import Settings
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.execution.machine import Machine
from tunesmith.plan.memory import HELD_SHARE, ROOM, expected_bytes, fitting, memory_words
from tunesmith.plan.plan import plan
from tunesmith.plan.speeds import Speed
from tunesmith.training.config import TrainConfig

from .conftest import MACHINE, speed

GB = 10**9
LARGE = speed(128, 20).model_copy(update={"size": (256, 256), "activation_bytes": 10_500_000})


def fitted(data: Fingerprint, machine: Machine, train: TrainConfig, **given: Any) -> TrainConfig:
    return fitting(train, data, LARGE, machine, Settings.make(given))


def of_memory(memory_gb: float, *cuda_gb: float) -> Machine:
    cuda = tuple(round(GB * each) for each in cuda_gb)
    return dataclasses.replace(MACHINE, memory_bytes=round(GB * memory_gb), cuda_bytes=cuda)


@pytest.mark.parametrize(("memory_gb", "batch"), [(64, 512), (16, 256), (8, 128), (2, 16)])
def test_a_batch_is_halved_until_it_is_expected_to_fit(
    mnist: Fingerprint, memory_gb: float, batch: int
) -> None:
    machine, usual = of_memory(memory_gb), TrainConfig(batch=512)
    train = fitted(mnist, machine, usual)
    assert train == usual.model_copy(update={"batch": batch})
    assert expected_bytes(mnist, LARGE, train, machine) <= ROOM * machine.memory_bytes
    if batch < 512:
        twice = train.model_copy(update={"batch": 2 * batch})
        assert expected_bytes(mnist, LARGE, twice, machine) > ROOM * machine.memory_bytes
        (words,) = memory_words(LARGE, usual, train)
        assert words.startswith(f"A batch has {batch} images instead of 512, whose activations")
        assert "13,440.0 MB" in words


def test_the_memory_counts_where_it_trains(mnist: Fingerprint) -> None:
    usual = TrainConfig(batch=512)
    assert fitted(mnist, of_memory(8, 80), usual).batch == 512
    assert fitted(mnist, of_memory(64, 80, 8), usual).batch == 128
    assert fitted(mnist, of_memory(8, 80), usual, device="cpu").batch == 128


def test_a_user_s_batch_and_one_that_fits_are_kept(mnist: Fingerprint) -> None:
    usual = TrainConfig(batch=512)
    set_by_user = Settings.make({"train": {"batch": 512}})
    assert fitting(usual, mnist, LARGE, of_memory(1), set_by_user) == usual
    assert memory_words(LARGE, usual, usual) == ()


@pytest.mark.parametrize("given", [{}, {"train": {"batch": 512}}])
def test_no_batch_is_larger_than_memory_had_room_for(
    mnist: Fingerprint, given: dict[str, Any]
) -> None:
    """Whatever was expected, and whoever set it."""
    usual, settings = TrainConfig(batch=512), Settings.make(given)
    for largest, batch in ((39, 32), (1, 1), (600, 512)):
        found = speed(8, 20).model_copy(update={"largest_batch": largest})
        train = fitting(usual, mnist, found, MACHINE, settings)
        assert train.batch == batch
        words = memory_words(found, usual, train)
        assert [each for each in words if "instead of 512: with more, memory ran out" in each] == [
            *words
        ]
        assert len(words) == (batch < 512)


def test_what_a_smaller_batch_does_not_help_leaves_it_some_room(mnist: Fingerprint) -> None:
    least = fitted(mnist, of_memory(0.3), TrainConfig(batch=64))  # less than the libraries take
    assert least.batch == 2
    small = speed(8, 20)
    settings = Settings.make({})
    assert fitting(TrainConfig(batch=32), mnist, small, of_memory(0.3), settings).batch == 32


def test_images_on_disk_take_no_memory(mnist: Fingerprint) -> None:
    """Those of a batch aside, of course."""
    many = dataclasses.replace(mnist, images=10**6)
    pixels = many.images * 256 * 256
    machine = dataclasses.replace(MACHINE, memory_bytes=round(pixels / HELD_SHARE))
    fewer = dataclasses.replace(machine, memory_bytes=machine.memory_bytes - 8)
    train = TrainConfig(batch=64)
    held, mapped = (expected_bytes(many, LARGE, train, each) for each in (machine, fewer))
    assert held - mapped == pixels


def test_frozen_layers_keep_no_activations(mnist: Fingerprint) -> None:
    machine, train = of_memory(8), TrainConfig(batch=512)
    frozen = train.model_copy(update={"frozen": 0.5})
    assert expected_bytes(mnist, LARGE, frozen, machine) < expected_bytes(
        mnist, LARGE, train, machine
    )
    assert fitted(mnist, machine, frozen).batch > fitted(mnist, machine, train).batch


def test_a_plan_is_made_for_the_smaller_batch_and_says_so(mnist: Fingerprint) -> None:
    def made(speeds: list[Speed]) -> tuple[int, int, str]:
        settings, defaults = Settings.make({"budget": "10h"}), TrainConfig()
        chosen = plan(mnist, MACHINE, speeds, settings, spent=1.0, defaults=defaults)
        assert chosen.horizon % chosen.train.batch == 0
        return chosen.train.batch, chosen.memory_bytes, " ".join(chosen.reasons)

    batch, memory, reasons = made([LARGE])
    assert (batch, "A batch has 128 images instead of 512" in reasons) == (128, True)
    assert memory <= ROOM * MACHINE.memory_bytes
    batch, memory, reasons = made([speed(16, 4000)])
    assert (batch, "A batch has" in reasons) == (512, False)
