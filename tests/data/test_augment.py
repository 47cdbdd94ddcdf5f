"""Tests of `tunesmith.data.augment`."""

import math
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tunesmith.data.augment import (
    augment,
    cutout,
    interpolate,
    mirror,
    relight,
    shrink,
    translate,
    turn,
    warp,
)
from tunesmith.data.augmentation import Augmentation


@pytest.fixture
def x() -> Tensor:
    return torch.randn(16, 3, 12, 10, generator=Generator().manual_seed(0))


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def run(x: Tensor, how: Augmentation, *, epoch: int = 0, position: int = 0) -> Tensor:
    index = torch.arange(len(x))
    epochs = torch.full((len(x),), epoch)
    return augment(x, how, index_N=index, epoch_N=epochs, seed=3, position=position)


def test_nothing_asked_nothing_changed(x: Tensor) -> None:
    assert run(x, Augmentation()) is x


@pytest.mark.parametrize(
    "how",
    [
        Augmentation(shift=0.2),
        Augmentation(rotate=20),
        Augmentation(scale=0.2),
        Augmentation(flip=True),
        Augmentation(flip_vertical=True),
        Augmentation(brightness=0.3),
        Augmentation(contrast=0.3),
        Augmentation(cutout=0.4),
    ],
)
def test_each_change_depends_on_seed_and_position_alone(x: Tensor, how: Augmentation) -> None:
    before, state = x.clone(), torch.get_rng_state()
    first = run(x, how)
    assert first.shape == x.shape
    assert torch.equal(first, run(x, how))
    assert not torch.equal(first, x)
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())
    if not how.flip:
        assert not torch.equal(first, run(x, how, position=16))


def test_parts_turned_by_their_angles_are_the_whole_warped(x: Tensor) -> None:
    angle = (torch.rand(len(x), generator=seeded()) * 2 - 1) * math.radians(20)
    parts = [turn(*some) for some in zip(x.split(5), angle.split(5), strict=True)]
    whole = warp(x, rotate=20, scale=0.0, shift=0.0, generator=seeded())
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("size", [(12, 10), (7, 16), (1, 5), (8, 1)])
def test_border_padding_is_the_same_where_the_device_has_none(size: tuple[int, int]) -> None:
    x = torch.randn(8, 3, *size, generator=seeded())
    grid = torch.rand(8, 20, 20, 2, generator=seeded()) * 4 - 2  # half of it beside the image
    native, own = (interpolate(x, grid, has_border=has) for has in (True, False))
    torch.testing.assert_close(own, native, atol=1e-4, rtol=0)


class AsOnAppleGpu(Tensor):
    """Says that it is on one: here, there is none."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("mps")


class WithoutBorder(TorchDispatchMode):
    """Refuses border padding, as Apple's GPUs do before torch 2.13."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "grid_sampler" in str(func) and args[3] == 1:
            raise RuntimeError("MPS: Unsupported Border padding mode")
        return func(*args, **(kwargs or {}))


def test_apples_gpus_are_asked_for_no_border_padding(x: Tensor) -> None:
    angle = torch.full((len(x),), 0.4)
    with WithoutBorder():  # type: ignore[no-untyped-call]
        with pytest.raises(RuntimeError, match="Unsupported Border"):
            turn(x, angle)
        found = turn(x.as_subclass(AsOnAppleGpu), angle)
    torch.testing.assert_close(found.as_subclass(Tensor), turn(x, angle), atol=1e-4, rtol=0)


def test_two_epochs_show_both_sides_of_every_image(x: Tensor) -> None:
    how = Augmentation(flip=True)
    even, odd = run(x, how, epoch=0), run(x, how, epoch=1)
    torch.testing.assert_close(even, odd.flip(-1))
    mirrored = (even != x).flatten(1).any(1)
    assert 0 < mirrored.sum() < len(x)


def test_shifted_images_are_windows_of_the_reflected_image(x: Tensor) -> None:
    shifted = translate(x, 2, seeded())
    padded = torch.nn.functional.pad(x, (2,) * 4, mode="reflect")
    windows = [padded[:, :, i : i + 12, j : j + 10] for i in range(5) for j in range(5)]
    found = torch.stack([(w == shifted).flatten(1).all(1) for w in windows]).any(0)
    assert found.all()
    assert translate(x, 0, seeded()) is x


def test_no_rotation_is_the_identity(x: Tensor) -> None:
    same = warp(x, rotate=0.0, scale=0.0, shift=0.0, generator=seeded())
    torch.testing.assert_close(same, x, atol=1e-5, rtol=1e-5)


def test_a_rotated_disc_is_a_disc() -> None:
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    disc = ((rows - 7.5) ** 2 + (columns - 7.5) ** 2).sqrt()[None, None]
    turned = warp(disc.repeat(4, 1, 1, 1), rotate=45.0, scale=0.0, shift=0.0, generator=seeded())
    inside = disc < 6
    assert (turned - disc)[inside.repeat(4, 1, 1, 1)].abs().max() < 0.3


def test_a_mirror_image_twice_is_the_image(x: Tensor) -> None:
    chosen = torch.arange(16) % 2 == 0
    torch.testing.assert_close(mirror(mirror(x, chosen, -1), chosen, -1), x)
    torch.testing.assert_close(mirror(x, chosen, -1)[1::2], x[1::2])


def test_cutout_hides_a_square_and_no_more() -> None:
    hidden = (cutout(torch.ones(64, 2, 20, 20), 0.3, seeded()) == 0).float()
    share = hidden.mean((1, 2, 3))
    assert share.max() <= (7 / 20) ** 2
    assert share.min() > 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])


def test_light_changes_all_pixels_alike(x: Tensor) -> None:
    lit = relight(x, brightness=0.5, contrast=0.0, generator=seeded())
    offset = (lit - x).flatten(1)
    torch.testing.assert_close(offset, offset[:, :1].expand_as(offset), atol=1e-5, rtol=1e-5)
    assert offset.abs().max() <= 0.5 + 1e-5


def test_shrinking_averages_and_keeps_the_memory_layout(x: Tensor) -> None:
    assert shrink(x, 1.0) is x
    half = shrink(x.contiguous(memory_format=torch.channels_last), 0.5)
    assert half.shape == (16, 3, 6, 5)
    assert half.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(half.mean((2, 3)), x.mean((2, 3)), atol=0.1, rtol=0)
    flat = torch.full((1, 1, 8, 8), 0.3)
    torch.testing.assert_close(shrink(flat, 0.75), torch.full((1, 1, 6, 6), 0.3))
