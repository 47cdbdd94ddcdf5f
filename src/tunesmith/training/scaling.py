"""Loss scaling: larger gradients on their way through the network, so that float16 holds them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast, final

import torch
from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer

SCALER = "scaler"  # what names in the state begin with


@final
@dataclass(frozen=True)
class _Together:
    """Several optimizers as one, for `GradScaler`: all of them make a step, or none does."""

    parts: Sequence[Optimizer]

    @property
    def param_groups(self) -> Iterator[dict[str, Any]]:
        return chain.from_iterable(part.param_groups for part in self.parts)

    def step(self) -> None:
        for part in self.parts:
            part.step()


@final
class Scaler:
    """Dynamic loss scaling (Micikevicius et al. 2018, "Mixed precision training").

    A step whose gradients overflow is left out, and halves the scale. That is no divergence: no
    weight changes, and the next step is likely to succeed. What does count as divergence:

    - A loss that is not finite, as in float32. Autocast computes it in float32, so the network
      itself has overflowed. No scale helps, and batch statistics have already taken it in.
    - Gradients that overflow though they are not made larger (`is_stuck`). With a still smaller
      scale, the others would vanish.

    Args:
        device: Device that trains.
        enabled: Whether to scale; otherwise losses and gradients stay as they are.
    """

    def __init__(self, device: torch.device, *, enabled: bool) -> None:
        self._scaler = GradScaler(device.type, enabled=enabled)

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss, scaled."""
        self._scaler.scale(loss).backward()

    def step(self, parts: Sequence[Optimizer]) -> None:
        """Unscale the gradients, then let all optimizers make a step; none if one overflowed."""
        self._scaler.step(cast("Optimizer", _Together(parts)))
        self._scaler.update()

    @property
    def is_stuck(self) -> bool:
        """Whether gradients overflow at every scale that is of use."""
        return self._scaler.get_scale() < 1

    def state(self) -> dict[str, Tensor]:
        """Copy the state out: ``"scaler/scale" -> tensor``. It is empty if nothing is scaled."""
        found = self._scaler.state_dict()
        return {f"{SCALER}/{name}": torch.tensor(value) for name, value in found.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy a state in; after a training in another precision there is none, and no need."""
        parts = {path.partition("/"): value for path, value in state.items()}
        found = {name: value.item() for (key, _, name), value in parts.items() if key == SCALER}
        if found:
            self._scaler.load_state_dict(found)


UNSCALED = Scaler(torch.device("cpu"), enabled=False)
