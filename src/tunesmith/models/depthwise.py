"""Depthwise convolution that trains fast on a CPU.

EfficientNet spent up to two thirds of a step in the gradients of these convolutions, some of which
oneDNN computes by a slow reference. That of the input is itself a convolution, with turned filters,
and these are fast. That of the filters is slow in bfloat16 if they are wider than 3 pixels: it is
put together from filters of 3 x 3 pixels. It is also slow if filters are wider than the images: so
these are padded before.
"""

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

FAST = 3  # side of the largest filter whose gradient is fast in bfloat16


def depthwise(
    x_NCHW: Tensor, weight_C1kk: Tensor, bias_C: Tensor | None, *, stride: int, padding: int
) -> Tensor:
    """Convolve each channel with its own filter, as `torch.nn.functional.conv2d` does.

    Shape:
        - input: ``(N, C, H, W)``
        - filters: ``(C, 1, k, k)``
        - output: ``(N, C, H', W')``

    Args:
        x_NCHW: Images.
        weight_C1kk: Filters.
        bias_C: What is added to each channel, or None.
        stride: Step between pixels, the same in both directions.
        padding: Zeros on each side, fewer than the filter has pixels.
    """
    if x_NCHW.device.type != "cpu" or not torch.is_grad_enabled():
        return F.conv2d(x_NCHW, weight_C1kk, bias_C, stride, padding, groups=len(weight_C1kk))
    given = [x_NCHW, weight_C1kk, bias_C]
    if torch.is_autocast_enabled("cpu"):
        low = torch.get_autocast_dtype("cpu")
        given = [value if value is None else value.to(low) for value in given]
    y_NCHW: Tensor = _Depthwise.apply(*given, (stride, padding))  # type: ignore[no-untyped-call]
    return y_NCHW


class _Depthwise(torch.autograd.Function):
    """The convolution; its gradients by the fastest way to each."""

    @staticmethod
    def forward(
        ctx: Any, x_NCHW: Tensor, weight: Tensor, bias: Tensor | None, steps: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x_NCHW, weight)
        ctx.steps = steps
        stride, padding = steps
        return F.conv2d(x_NCHW, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, g_NCHW: Tensor) -> tuple[Tensor | None, ...]:
        x_NCHW, weight = ctx.saved_tensors
        stride, padding = ctx.steps
        need_x, need_weight, need_bias, _ = ctx.needs_input_grad
        summed = torch.promote_types(weight.dtype, torch.float32)
        g_NCHW = g_NCHW.contiguous(memory_format=torch.channels_last)
        return (
            _input_gradient(g_NCHW, x_NCHW, weight, stride, padding) if need_x else None,
            _weight_gradient(g_NCHW, x_NCHW, weight, stride, padding) if need_weight else None,
            g_NCHW.sum((0, 2, 3), dtype=summed).to(weight.dtype) if need_bias else None,
            None,
        )


def _input_gradient(
    g_NCHW: Tensor, x_NCHW: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    """Gradient of the input: a convolution of the output's, with zeros between its pixels."""
    channels, _, side, _ = weight.shape
    if stride > 1:
        rows, columns = (length + 2 * padding - side + 1 for length in x_NCHW.shape[2:])
        apart = g_NCHW.new_zeros(len(g_NCHW), rows, columns, channels).permute(0, 3, 1, 2)
        apart[:, :, ::stride, ::stride] = g_NCHW
        g_NCHW = apart
    return F.conv2d(g_NCHW, weight.flip(2, 3), None, 1, side - 1 - padding, groups=channels)


def _weight_gradient(
    g_NCHW: Tensor, x_NCHW: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    """Gradient of the filters, as many of their pixels at a time as are fast.

    For those from (a, b) on, it is the gradient of a small filter on images without their first a
    rows and b columns.
    """
    channels, _, side, _ = weight.shape
    fast = min(side, FAST) if weight.dtype == torch.bfloat16 else side
    if fast == side <= min(x_NCHW.shape[2:]):
        whole: Tensor = conv2d_weight(
            x_NCHW, weight.shape, g_NCHW, stride, padding, groups=channels
        )
        return whole
    starts = range(0, side, fast)
    beyond = starts[-1] + fast - side
    padded = F.pad(x_NCHW, (padding, padding + beyond) * 2)
    rows, columns = (stride * (length - 1) + fast for length in g_NCHW.shape[2:])
    found = weight.new_empty((channels, 1, side + beyond, side + beyond))
    for a, b in itertools.product(starts, starts):
        window = padded[:, :, a : a + rows, b : b + columns]
        window = window.contiguous(memory_format=torch.channels_last)
        found[:, :, a : a + fast, b : b + fast] = conv2d_weight(
            window, (channels, 1, fast, fast), g_NCHW, stride, groups=channels
        )
    return found[:, :, :side, :side]
