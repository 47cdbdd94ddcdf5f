"""Depthwise convolution that trains fast in bfloat16 on a CPU.

oneDNN computes two of its gradients by a slow reference there: that of the input if the stride is
2, and that of filters wider than 3 pixels. EfficientNet spent two thirds of a step in these. The
first is faster in float32; the second is put together from filters of 3 x 3 pixels.
"""

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

FAST = 3  # side of the largest filter whose gradient is fast


def depthwise(
    x_NCHW: Tensor, weight_C1kk: Tensor, bias_C: Tensor | None, *, stride: int, padding: int
) -> Tensor:
    """Convolve each channel with its own filter, as `torch.nn.functional.conv2d` does.

    Shape:
        - input: ``(N, C, H, W)``
        - filters: ``(C, 1, k, k)``
        - output: ``(N, C, H', W')``
    """
    mixed = x_NCHW.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    if not (mixed and torch.is_grad_enabled()):
        return F.conv2d(x_NCHW, weight_C1kk, bias_C, stride, padding, groups=len(weight_C1kk))
    low = torch.get_autocast_dtype("cpu")
    given = [value if value is None else value.to(low) for value in (x_NCHW, weight_C1kk, bias_C)]
    y_NCHW: Tensor = _Depthwise.apply(*given, (stride, padding))  # type: ignore[no-untyped-call]
    return y_NCHW


class _Depthwise(torch.autograd.Function):
    """The convolution in low precision; its gradients by the fastest way to each."""

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
        g_NCHW = g_NCHW.contiguous(memory_format=torch.channels_last)
        return (
            _input_gradient(g_NCHW, x_NCHW, weight, stride, padding) if need_x else None,
            _weight_gradient(g_NCHW, x_NCHW, weight, stride, padding) if need_weight else None,
            g_NCHW.sum((0, 2, 3), dtype=torch.float32).to(weight.dtype) if need_bias else None,
            None,
        )


def _input_gradient(
    g_NCHW: Tensor, x_NCHW: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    kind = torch.float32 if stride > 1 else weight.dtype
    found: Tensor = conv2d_input(
        x_NCHW.shape, weight.to(kind), g_NCHW.to(kind), stride, padding, groups=len(weight)
    )
    return found.to(x_NCHW.dtype)


def _weight_gradient(
    g_NCHW: Tensor, x_NCHW: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    """Gradient of the filters, 3 x 3 of their pixels at a time.

    For those from (a, b) on, it is the gradient of a small filter on images without their first a
    rows and b columns.
    """
    channels, _, side, _ = weight.shape
    if side <= FAST:
        small: Tensor = conv2d_weight(
            x_NCHW, weight.shape, g_NCHW, stride, padding, groups=channels
        )
        return small
    starts = range(0, side, FAST)
    beyond = starts[-1] + FAST - side
    padded = F.pad(x_NCHW, (padding, padding + beyond) * 2)
    rows, columns = (stride * (length - 1) + FAST for length in g_NCHW.shape[2:])
    found = weight.new_empty((channels, 1, side + beyond, side + beyond))
    for a, b in itertools.product(starts, starts):
        window = padded[:, :, a : a + rows, b : b + columns]
        window = window.contiguous(memory_format=torch.channels_last)
        found[:, :, a : a + FAST, b : b + FAST] = conv2d_weight(
            window, (channels, 1, FAST, FAST), g_NCHW, stride, groups=channels
        )
    return found[:, :, :side, :side]
