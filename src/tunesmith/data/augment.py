"""Augment training images, a whole batch at a time.

Each transform is a function of (images, strengths, generator), so that equal seeds give equal
images wherever training was interrupted. Shape letters: N images, C channels, H height, W width.
"""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from tunesmith.core.seeds import derive
from tunesmith.data.augmentation import Augmentation

CHANCE = 0.5  # probability of a vertical flip


def _uniform(
    shape: tuple[int, ...], bound: float, generator: Generator, device: torch.device
) -> Tensor:
    """Draw values between -bound and bound, on the CPU so that all devices get the same ones."""
    return ((torch.rand(shape, generator=generator) * 2 - 1) * bound).to(device)


def shift_pixels(share: float, x_NCHW: Tensor) -> int:
    """Largest shift in whole pixels, from its share of the shorter side."""
    return round(share * min(x_NCHW.shape[-2:]))


def translate(x_NCHW: Tensor, pixels: int, generator: Generator) -> Tensor:
    """Shift each image by up to ``pixels`` whole pixels, with reflection padding."""
    if pixels == 0:
        return x_NCHW
    n, _, height, width = x_NCHW.shape
    padded = F.pad(x_NCHW, (pixels,) * 4, mode="reflect").permute(0, 2, 3, 1)
    # One strided view holds every possible window; picking one for each image is one copy.
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)
    dy_N, dx_N = torch.randint(0, 2 * pixels + 1, (2, n), generator=generator).to(x_NCHW.device)
    return windows[torch.arange(n, device=x_NCHW.device), dy_N, dx_N]


def warp(
    x_NCHW: Tensor, *, rotate: float, scale: float, shift: float, generator: Generator
) -> Tensor:
    """Rotate, scale and shift each image in one bilinear interpolation, with border padding."""
    n = len(x_NCHW)
    angle_N = _uniform((n,), math.radians(rotate), generator, x_NCHW.device)
    size_N = 1 + _uniform((n,), scale, generator, x_NCHW.device)
    return _moved(x_NCHW, angle_N, size_N, _uniform((2, n), 2 * shift, generator, x_NCHW.device))


def turn(x_NCHW: Tensor, angle_N: Tensor) -> Tensor:
    """Rotate each image by its angle, in radians, as `warp` does."""
    still_2N = torch.zeros(2, len(angle_N), device=angle_N.device)
    return _moved(x_NCHW, angle_N, torch.ones_like(angle_N), still_2N)


def _moved(x_NCHW: Tensor, angle_N: Tensor, size_N: Tensor, shift_2N: Tensor) -> Tensor:
    n, _, height, width = x_NCHW.shape
    cos, sin, aspect = angle_N.cos() / size_N, angle_N.sin() / size_N, height / width
    theta = torch.stack([cos, -sin * aspect, shift_2N[0], sin / aspect, cos, shift_2N[1]], dim=1)
    grid_NHW2 = F.affine_grid(theta.view(n, 2, 3), list(x_NCHW.shape), align_corners=False)
    # Apple's GPUs have no border padding before torch 2.13.
    return interpolate(x_NCHW, grid_NHW2, has_border=x_NCHW.device.type != "mps")


def interpolate(x_NCHW: Tensor, grid_NHW2: Tensor, *, has_border: bool) -> Tensor:
    """Interpolate images at the points of a grid, with border padding.

    Args:
        x_NCHW: Images.
        grid_NHW2: Points as columns and rows, from -1 to 1 within an image.
        has_border: Whether the device has border padding. Otherwise points beyond the middle of an
            outermost pixel are moved there, which gives equal pixels.
    """
    if has_border:
        return F.grid_sample(x_NCHW, grid_NHW2, padding_mode="border", align_corners=False)
    height, width = x_NCHW.shape[2:]
    at = zip(grid_NHW2.unbind(-1), (width, height), strict=True)
    inside = [at_NHW.clamp(1 / side - 1, 1 - 1 / side) for at_NHW, side in at]
    grid_NHW2 = torch.stack(inside, dim=-1)
    return F.grid_sample(x_NCHW, grid_NHW2, padding_mode="zeros", align_corners=False)


def mirror(x_NCHW: Tensor, chosen_N: Tensor, dim: int) -> Tensor:
    """Flip the chosen images along a dimension."""
    return torch.where(chosen_N.view(-1, 1, 1, 1), x_NCHW.flip(dim), x_NCHW)


def cutout(x_NCHW: Tensor, share: float, generator: Generator) -> Tensor:
    """Set a square around a random point to the mean color (DeVries and Taylor 2017)."""
    n, _, height, width = x_NCHW.shape
    half = share * min(height, width) / 2
    y_N1 = torch.rand((n, 1), generator=generator) * height
    x_N1 = torch.rand((n, 1), generator=generator) * width
    rows_NH = (torch.arange(height) + 0.5 - y_N1).abs() < half
    columns_NW = (torch.arange(width) + 0.5 - x_N1).abs() < half
    hidden_NHW = (rows_NH[:, :, None] & columns_NW[:, None, :]).to(x_NCHW.device)
    return x_NCHW.masked_fill(hidden_NHW[:, None], 0.0)


def relight(x_NCHW: Tensor, *, brightness: float, contrast: float, generator: Generator) -> Tensor:
    """Change the brightness and contrast of each image at random."""
    shape = (len(x_NCHW), 1, 1, 1)
    mean = x_NCHW.mean((1, 2, 3), keepdim=True)
    factor = 1 + _uniform(shape, contrast, generator, x_NCHW.device)
    offset = _uniform(shape, brightness, generator, x_NCHW.device)
    return (x_NCHW - mean) * factor + mean + offset


def shrunk(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width of images at ``scale`` times their side: one pixel at least.

    Example:
        >>> shrunk((45, 8), 0.5), shrunk((32, 1), 0.25)
        ((22, 4), (8, 1))

    """
    height, width = size
    return max(1, round(scale * height)), max(1, round(scale * width))


def shrink(x_NCHW: Tensor, scale: float) -> Tensor:
    """Resize images to ``scale`` times their side, antialiased; the memory layout is kept.

    Shape:
        - input: ``(N, C, H, W)``
        - output: ``(N, C, *shrunk((H, W), scale))``
    """
    if scale == 1.0:
        return x_NCHW
    size = shrunk((x_NCHW.shape[2], x_NCHW.shape[3]), scale)
    return F.interpolate(x_NCHW, size=size, mode="bilinear", antialias=True, align_corners=False)


def augment(
    x_NCHW: Tensor, how: Augmentation, *, index_N: Tensor, epoch_N: Tensor, seed: int, position: int
) -> Tensor:
    """Augment a batch of normalized images.

    Each image is flipped horizontally in every other epoch (Jordan 2024, "alternating flip"):
    chance decides only which ones, so that any two successive epochs show both sides.

    Args:
        x_NCHW: Normalized float images.
        how: Augmentation strengths.
        index_N: Index of each image in the training set.
        epoch_N: Epoch in which each image is shown.
        seed: Random seed of the run.
        position: Number of examples seen before this batch.

    Returns:
        Images of the same shape, in the memory layout of the input.
    """
    generator = Generator().manual_seed(derive(seed, "augment", position))
    if how.flip:
        side_N = (index_N * 2654435761 + derive(seed, "flip") % 2**31) // 65536 % 2
        x_NCHW = mirror(x_NCHW, ((side_N + epoch_N) % 2 == 1).to(x_NCHW.device), dim=-1)
    if how.flip_vertical:
        chosen_N = torch.rand(len(x_NCHW), generator=generator) < CHANCE
        x_NCHW = mirror(x_NCHW, chosen_N.to(x_NCHW.device), dim=-2)
    if how.rotate or how.scale:
        x_NCHW = warp(
            x_NCHW, rotate=how.rotate, scale=how.scale, shift=how.shift, generator=generator
        )
    elif how.shift:
        x_NCHW = translate(x_NCHW, shift_pixels(how.shift, x_NCHW), generator)
    if how.brightness or how.contrast:
        x_NCHW = relight(
            x_NCHW, brightness=how.brightness, contrast=how.contrast, generator=generator
        )
    if how.cutout:
        x_NCHW = cutout(x_NCHW, how.cutout, generator)
    return x_NCHW
