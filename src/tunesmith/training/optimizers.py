"""Optimizers: Muon for filters, SGD or AdamW for the rest.

Optimizers are built once for each slice; their state is part of the checkpoint.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from tunesmith.models.blocks import FixedGainNorm
from tunesmith.training.layers import steps_to_last
from tunesmith.training.scaling import SCALER, UNSCALED, Scaler

LOW_FROM = 96  # rows of a matrix from which low precision saves more than it takes to convert
OTHERS = 40  # ratio of learning rates of norms' shifts to other vectors: shifts saturate nothing


def orthogonalize(g_XMN: Tensor, *, steps: int = 3) -> Tensor:
    """Replace each matrix by a nearby one whose singular values are all close to 1.

    A quintic Newton-Schulz iteration (Jordan et al. 2024, "Muon: An optimizer for hidden layers in
    neural networks"). Three steps leave singular values between about 0.5 and 1.5, which is enough;
    bfloat16 and float16 are precise enough too, if they are on: the norm is divided out in float32,
    and what remains cannot overflow. They are left to large matrices, whose products they speed up.

    A step multiplies ``x`` by a polynomial in its Gram matrix. The steps are multiplied before
    ``x`` is, since the Gram matrix is the smaller one: filters have nine times as many columns as
    rows, and take less than half as long.

    Shape:
        - input and output: ``(X, M, N)``

    Example:
        >>> g = torch.diag(torch.tensor([4.0, 1.0, 0.5]))[None]
        >>> values = torch.linalg.svdvals(orthogonalize(g, steps=5))
        >>> bool((values > 0.6).all() and (values < 1.3).all())
        True

    """
    wide, kind = g_XMN.shape[1] <= g_XMN.shape[2], g_XMN.device.type
    x = g_XMN if wide else g_XMN.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    is_mixed = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    if x.shape[1] >= LOW_FROM and is_mixed:
        x = x.to(torch.get_autocast_dtype(kind))
    with torch.autocast(kind, enabled=False) if is_mixed else nullcontext():
        gram = x @ x.mT
        whole = step = _newton_schulz(gram)
        for _ in range(steps - 1):
            gram = step @ step @ gram
            step = _newton_schulz(gram)
            whole = step @ whole
        x = whole @ x
    result: Tensor = x if wide else x.mT
    return result.float()


def _newton_schulz(gram_XMM: Tensor) -> Tensor:
    """Polynomial in Gram matrices by which a step multiplies."""
    a, b, c = 3.4445, -4.7750, 2.0315
    one = torch.eye(gram_XMM.shape[-1], dtype=gram_XMM.dtype, device=gram_XMM.device)
    return torch.baddbmm((a * one).add(gram_XMM, alpha=b), gram_XMM, gram_XMM, alpha=c)


class Muon(Optimizer):
    """Momentum whose step is orthogonalized, filter by filter (Jordan et al. 2024).

    Before each step, a filter is scaled to norm ``sqrt(channels_out)``: its scale has no effect in
    front of batch normalization, and a fixed one gives the learning rate a fixed meaning.

    Args:
        params: Convolution filters ``(O, I, h, w)`` or matrices ``(O, I)``, or parameter groups of
            them. A group's ``"matrices"`` is the number of matrices stacked in each: the number of
            groups of a convolution, since these are independent.
        lr: Learning rate.
        momentum: Nesterov momentum: share of the last update that is kept.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float = 0.1,
        momentum: float = 0.6,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "matrices": 1})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every filter once. ``closure`` must be None, and gradients must exist."""
        assert closure is None
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}  # turned at once: most calls are tiny
            for p in group["params"]:
                if p.grad is not None:
                    alike.setdefault(p.shape, []).append(p)
            for filters in alike.values():
                self._turn(filters, group)

    def _turn(self, filters: Sequence[Tensor], group: Mapping[str, Any]) -> None:
        """Update filters of one shape."""
        matrices, stacked = group["matrices"], []
        for p in filters:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(p)
            buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(p.grad)
            update = p.grad.add(buffer, alpha=group["momentum"])
            p.mul_(len(p) ** 0.5 / p.norm().clamp_min(1e-7))
            # Any order of the columns will do; this one is that of channels last in memory.
            stacked.append(update.movedim(1, -1).reshape(matrices, -1, p[0].numel()))
        turned = orthogonalize(torch.cat(stacked)).split(matrices)
        for p, update in zip(filters, turned, strict=True):
            p.add_(update.reshape(p.movedim(1, -1).shape).movedim(-1, 1), alpha=-group["lr"])


def _groups_by_layer(
    network: nn.Module,
    names: Mapping[Tensor, str],
    lr: float,
    weight_decay: float,
    layer_decay: float,
) -> list[dict[str, Any]]:
    """Group parameters by learning rate and weight decay; layers in their order in the network."""
    steps = steps_to_last(network)
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for p, name in names.items():
        key = lr * layer_decay ** steps[name], weight_decay if p.ndim > 1 else 0.0
        groups.setdefault(key, []).append(p)
    return [{"params": ps, "lr": rate, "weight_decay": wd} for (rate, wd), ps in groups.items()]


def _groups_by_matrices(network: nn.Module, filters: Iterable[Tensor]) -> list[dict[str, Any]]:
    """Group filters by how many matrices they hold, which only their convolution knows."""
    convs = (m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d))
    held = {conv.weight: conv.groups for conv in convs}
    groups: dict[int, list[Tensor]] = {}
    for p in filters:
        groups.setdefault(held.get(p, 1), []).append(p)
    return [{"params": ps, "matrices": matrices} for matrices, ps in groups.items()]


def _vectors(network: nn.Module, params: Iterable[Tensor], lr: float) -> list[dict[str, Any]]:
    """Group vectors: shifts of norms without a gain, which tolerate large steps, and others."""
    shifts = {m.bias for m in network.modules() if isinstance(m, FixedGainNorm)}
    vectors = [p for p in params if p.ndim < 2]  # noqa: PLR2004 (a matrix has two)
    return [
        {"params": [p for p in vectors if p in shifts], "lr": lr},
        {"params": [p for p in vectors if p not in shifts], "lr": lr / OTHERS},
    ]


class Optimizers:
    """The optimizers of one network, driven as one.

    Args:
        network: Network; its parameters are split by shape into filters, matrices and vectors.
        kind: ``"muon"``, ``"sgd"`` or ``"adamw"``.
        lr: Learning rate of filters (Muon) or of everything (SGD, AdamW).
        lr_head: With Muon, learning rate of matrices.
        lr_bias: With Muon, learning rate of the shifts of `FixedGainNorm`; that of other vectors is
            lower.
        momentum: Momentum of Muon and SGD; with Muon, that of all other parameters is 0.85.
        weight_decay: Weight decay of matrices and filters, with SGD and AdamW.
        layer_decay: With SGD and AdamW, learning rate of each layer relative to that of the next:
            below 1, early layers, which are the most general, change least (Howard and Ruder 2018).
            See `steps_to_last` for networks of very many layers.
        scaler: Scales the loss, for float16.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        kind: str,
        lr: float,
        lr_head: float,
        lr_bias: float,
        momentum: float,
        weight_decay: float,
        layer_decay: float = 1.0,
        scaler: Scaler = UNSCALED,
    ) -> None:
        self.scaler = scaler
        self._names: dict[Tensor, str] = {
            p: name for name, p in network.named_parameters() if p.requires_grad
        }
        self._parts: list[Optimizer]
        if kind == "muon":
            filters = [p for p in self._names if p.ndim > 2]  # noqa: PLR2004 (a matrix has two)
            matrices = [p for p in self._names if p.ndim == 2]  # noqa: PLR2004 (a matrix has two)
            rest = [{"params": matrices, "lr": lr_head}, *_vectors(network, self._names, lr_bias)]
            rest = [group for group in rest if group["params"]]
            grouped = _groups_by_matrices(network, filters)
            self._parts = [Muon(grouped, lr=lr, momentum=momentum)] if filters else []
            self._parts += [SGD(rest, momentum=0.85, nesterov=True)] if rest else []
        else:
            groups = _groups_by_layer(network, self._names, lr, weight_decay, layer_decay)
            if kind == "sgd":
                self._parts = [SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)]
            else:
                self._parts = [AdamW(groups, lr=lr)]
        for group in self._groups():
            group["peak"] = group["lr"]

    def _groups(self) -> list[dict[str, Any]]:
        return [group for part in self._parts for group in part.param_groups]

    def scale(self, multiplier: float) -> None:
        """Set every learning rate to its peak times ``multiplier``."""
        for group in self._groups():
            group["lr"] = group["peak"] * multiplier

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss, scaled for float16."""
        self.scaler.backward(loss)

    def zero_grad(self) -> None:
        """Clear all gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Update every parameter once; none if a scaled gradient has overflowed."""
        self.scaler.step(self._parts)

    def state(self) -> dict[str, Tensor]:
        """Copy the state out: ``"momentum_buffer/groups.0.convs.0.weight" -> tensor``."""
        found = {
            f"{key}/{self._names[p]}": value.detach().clone()
            for part in self._parts
            for p, state in part.state.items()
            for key, value in state.items()
            if isinstance(value, Tensor)
        }
        return {**found, **self.scaler.state()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy a state in. Each tensor takes the memory layout of its parameter."""
        params = {name: p for p, name in self._names.items()}
        owner = {p: part for part in self._parts for g in part.param_groups for p in g["params"]}
        self.scaler.load(state)
        for path, value in state.items():
            key, _, name = path.partition("/")
            if key == SCALER:
                continue
            p = params[name]
            like = torch.empty_like(p) if value.shape == p.shape else torch.empty_like(value)
            owner[p].state[p][key] = like.copy_(value)
