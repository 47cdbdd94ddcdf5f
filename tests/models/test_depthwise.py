"""Tests of `tunesmith.models.depthwise`."""

import itertools
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tunesmith.models.depthwise import depthwise

CHANNELS = 6
CASES = list(itertools.product((3, 5, 7), (1, 2), (4, 9, 12), (True, False)))


def _inputs(kernel: int, side: int, *, bias: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Values that bfloat16 holds exactly, so that only sums are rounded."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        drawn = torch.randn(shape, generator=generator).bfloat16().float()
        return drawn.requires_grad_()

    x_NCHW = draw(4, CHANNELS, side, side + 1)
    return x_NCHW, draw(CHANNELS, 1, kernel, kernel), draw(CHANNELS) if bias else None


@pytest.mark.parametrize(("kernel", "stride", "side", "bias"), CASES)
def test_in_mixed_precision_its_gradients_are_those_of_torch(
    kernel: int, stride: int, side: int, *, bias: bool
) -> None:
    x_NCHW, weight, shift = _inputs(kernel, side, bias=bias)
    wanted = [value for value in (x_NCHW, weight, shift) if value is not None]
    y_NCHW = F.conv2d(x_NCHW, weight, shift, stride, kernel // 2, groups=CHANNELS)
    up = torch.randn(y_NCHW.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    theirs = torch.autograd.grad(y_NCHW, wanted, up.float())
    with torch.autocast("cpu", torch.bfloat16):
        mixed = depthwise(x_NCHW, weight, shift, stride=stride, padding=kernel // 2)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), y_NCHW, rtol=0.02, atol=0.05)
    ours = torch.autograd.grad(mixed, wanted, up)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype
        assert (mine - other).norm() < 0.01 * other.norm()


@pytest.mark.parametrize(("kernel", "stride", "side", "bias"), CASES)
def test_in_full_precision_it_is_that_of_torch(
    kernel: int, stride: int, side: int, *, bias: bool
) -> None:
    x_NCHW, weight, shift = _inputs(kernel, side, bias=bias)
    wanted = [value for value in (x_NCHW, weight, shift) if value is not None]
    theirs = F.conv2d(x_NCHW, weight, shift, stride, kernel // 2, groups=CHANNELS)
    ours = depthwise(x_NCHW, weight, shift, stride=stride, padding=kernel // 2)
    assert torch.equal(ours, theirs)
    up = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    gradients = (torch.autograd.grad(y_NCHW, wanted, up) for y_NCHW in (ours, theirs))
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_gradients_are_right_by_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    x_NCHW, weight, shift = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 3, 4, 5), (3, 1, 5, 5), (3,))
    )
    for stride, padding in ((1, 2), (2, 2), (2, 0), (1, 4)):
        x = F.pad(x_NCHW, (2, 2, 2, 2)) if padding == 0 else x_NCHW
        bound = partial(depthwise, stride=stride, padding=padding)
        assert torch.autograd.gradcheck(bound, (x, weight, shift))


@pytest.mark.parametrize("mixed", [True, False])
def test_what_needs_no_gradient_gets_none(*, mixed: bool) -> None:
    x_NCHW, weight = (value.detach() for value in _inputs(5, 8, bias=False)[:2])
    weight.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        depthwise(x_NCHW, weight, None, stride=1, padding=2).sum().backward()
    assert x_NCHW.grad is None
    assert weight.grad is not None
