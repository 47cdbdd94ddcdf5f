"""Test-time augmentation: the deployed model averages its logits over views of an image.

All views go through the network as one batch, so that the exported graph holds it once.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ONE_IN = 32  # moved views are moved by this share of the shorter side


@final
class View(StrEnum):
    """A view of an image."""

    AS_IS = "as is"
    MIRRORED = "mirrored"
    MOVED = "moved"
    """Two copies, moved to the lower right and to the upper left by a 32nd of the shorter side."""
    MIRRORED_MOVED = "mirrored and moved"

    @property
    def is_mirrored(self) -> bool:
        """Whether it shows the mirror image."""
        return self in (View.MIRRORED, View.MIRRORED_MOVED)

    @property
    def passes(self) -> int:
        """Number of copies, and so of forward passes."""
        return 2 if self in (View.MOVED, View.MIRRORED_MOVED) else 1

    def copies(self, x_NCHW: Tensor) -> list[Tensor]:
        """Make the copies of images for this view, each of the same shape ``(N, C, H, W)``."""
        if self.is_mirrored:
            x_NCHW = x_NCHW.flip(-1)
        return [x_NCHW] if self.passes == 1 else _moved(x_NCHW)


ALONE = (View.AS_IS,)
# Sets of views to choose from, cheapest first. Jordan 2024 ("94% on CIFAR-10 in 3.29 seconds on a
# single GPU") averages the last.
CHOICES: tuple[tuple[View, ...], ...] = (
    ALONE,
    (View.AS_IS, View.MIRRORED),
    (View.AS_IS, View.MOVED),
    (View.AS_IS, View.MIRRORED, View.MOVED, View.MIRRORED_MOVED),
)


def passes(views: Sequence[View]) -> int:
    """Number of forward passes per image.

    Example:
        >>> [passes(views) for views in CHOICES]
        [1, 2, 3, 6]

    """
    return sum(view.passes for view in views)


def copies_in(network: nn.Module) -> int:
    """Largest number of copies of an image that a network, or a part of it, makes for its views.

    Example:
        >>> copies_in(nn.Sequential(ManyViews(nn.Flatten(), CHOICES[-1]))), copies_in(nn.Flatten())
        (6, 1)

    """
    looking = (part.views for part in network.modules() if isinstance(part, ManyViews))
    return max(map(passes, looking), default=1)


def offered(*, most: int, mirrored: bool) -> list[tuple[View, ...]]:
    """List the sets with at most ``most`` passes; with mirrored views only if trained on.

    Example:
        >>> offered(most=3, mirrored=False) == [(View.AS_IS,), (View.AS_IS, View.MOVED)]
        True

    """
    return [
        views
        for views in CHOICES
        if passes(views) <= most and (mirrored or not any(view.is_mirrored for view in views))
    ]


def uncompared(sets: Sequence[tuple[View, ...]]) -> tuple[View, ...]:
    """The largest of such sets that may be used untested: the image and its mirror image.

    Example:
        >>> [passes(uncompared(offered(most=6, mirrored=flipped))) for flipped in (True, False)]
        [2, 1]

    """
    return [views for views in sets if passes(views) <= 2][-1]  # noqa: PLR2004 (both sides)


def _moved(x_NCHW: Tensor) -> list[Tensor]:
    """Move images to the lower right and to the upper left, with reflection padding."""
    height, width = x_NCHW.shape[2:]
    far = max(1, round(min(height, width) / ONE_IN))
    padded = F.pad(x_NCHW, (far, far, far, far), mode="reflect")
    return [padded[:, :, :height, :width], padded[:, :, 2 * far :, 2 * far :]]


@final
class ManyViews(nn.Module):
    """A network whose logits are averaged over views of an image, with equal weight for each.

    Shape:
        - input: ``(N, C, H, W)``, normalized
        - output: ``(N, K)``, logits

    Args:
        network: Maps ``(N, C, H, W)`` to ``(N, K)``.
        views: Views to average over.

    Example:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
        >>> tuple(ManyViews(network, CHOICES[-1])(torch.zeros(5, 3, 4, 4)).shape)
        (5, 2)

    """

    weight: Tensor

    def __init__(self, network: nn.Module, views: Sequence[View]) -> None:
        super().__init__()
        self.network = network
        self.views = tuple(views)
        weights = [1 / view.passes / len(views) for view in views for _ in range(view.passes)]
        self.register_buffer("weight", torch.tensor(weights).view(-1, 1, 1), persistent=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Apply the network to all copies; see the class for the shapes."""
        z_NK: Tensor
        if self.views == ALONE:
            z_NK = self.network(x_NCHW)
        else:
            copies = [copy for view in self.views for copy in view.copies(x_NCHW)]
            z_XNK = self.network(torch.cat(copies)).unflatten(0, (len(copies), -1))
            z_NK = (self.weight * z_XNK).sum(0)
        return z_NK
