"""Tests of `tunesmith.training.optimizers`."""

import pytest
import torch
from torch import nn

from tunesmith.models.blocks import FixedGainNorm
from tunesmith.models.convnet import convnet
from tunesmith.training.optimizers import (
    LOW_FROM,
    OTHERS,
    Muon,
    Optimizers,
    orthogonalize,
)


@pytest.mark.parametrize("shape", [(2, 8, 72), (1, 72, 8), (3, 16, 16)])
def test_orthogonalized_matrices_keep_directions_and_lose_scale(
    shape: tuple[int, int, int],
) -> None:
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 100
    values = torch.linalg.svdvals(orthogonalize(g, steps=5))
    assert values.min() > 0.5
    assert values.max() < 1.3
    torch.testing.assert_close(orthogonalize(g), orthogonalize(g / 1e4), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e8])
def test_low_precision_orthogonalizes_gradients_of_any_size(low: torch.dtype, size: float) -> None:
    g = torch.randn(2, LOW_FROM, 144, generator=torch.Generator().manual_seed(0)) * size
    exact = orthogonalize(g)
    with torch.autocast("cpu", dtype=low):
        found = orthogonalize(g)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    assert (found - exact).norm() < 0.05 * exact.norm()


def test_small_matrices_are_orthogonalized_exactly_in_any_precision() -> None:
    g = torch.randn(2, LOW_FROM - 1, 144, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = orthogonalize(g)
    assert torch.equal(found, orthogonalize(g))


def test_muon_keeps_filters_at_their_norm_and_descends() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, 3, bias=False)
    target = torch.randn(8, 4, 3, 3)
    target *= 8**0.5 / target.norm()
    optimizer = Muon([conv.weight], lr=0.02)
    first = (conv.weight - target).square().sum().item()
    for _ in range(200):
        optimizer.zero_grad()
        (conv.weight - target).square().sum().backward()
        optimizer.step()
    assert (conv.weight - target).square().sum().item() < 0.1 * first


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_muon_turns_filters_of_one_shape_as_it_turns_each(memory: torch.memory_format) -> None:
    torch.manual_seed(0)
    filters = [nn.Parameter(torch.randn(8, 4, 3, 3).to(memory_format=memory)) for _ in range(3)]
    alone = [nn.Parameter(p.detach().clone()) for p in filters]
    together, each = Muon(filters), [Muon([p]) for p in alone]
    for _ in range(3):
        for p, q in zip(filters, alone, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        together.step()
        for one in each:
            one.step()
    torch.testing.assert_close(filters, alone)
    step = orthogonalize(torch.randn(1, 8, 36))
    assert (filters[0].detach().norm() - 8**0.5).abs() < 0.1 * step.norm()


def test_muon_turns_the_filters_of_each_group_on_their_own() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, 3, groups=6, bias=False)
    optimizers = Optimizers(
        conv, kind="muon", lr=0.1, lr_head=0.1, lr_bias=0.1, momentum=0.0, weight_decay=0
    )
    g = torch.randn(6, 1, 3, 3)
    conv.weight.grad = g.clone()
    with torch.no_grad():
        conv.weight *= 6**0.5 / conv.weight.norm()
    before = conv.weight.detach().clone()
    optimizers.step()
    step = ((before - conv.weight) / 0.1).flatten(1)
    along = nn.functional.cosine_similarity(step, g.flatten(1))
    torch.testing.assert_close(along, torch.ones(6))
    assert ((step.norm(dim=1) > 0.5) & (step.norm(dim=1) < 1.5)).all()


def make(kind: str) -> tuple[nn.Module, Optimizers]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.LazyLinear(3))
    network(torch.zeros(1, 1, 6, 6))
    optimizers = Optimizers(
        network, kind=kind, lr=0.05, lr_head=0.1, lr_bias=0.01, momentum=0.6, weight_decay=0.01
    )
    return network, optimizers


@pytest.mark.parametrize("kind", ["muon", "sgd", "adamw"])
def test_state_goes_out_and_in(kind: str) -> None:
    x, y = torch.randn(8, 1, 6, 6), torch.arange(8) % 3

    def step(network: nn.Module, optimizers: Optimizers, multiplier: float) -> None:
        optimizers.scale(multiplier)
        optimizers.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizers.step()

    network, optimizers = make(kind)
    step(network, optimizers, 1.0)
    other, fresh = make(kind)
    other.load_state_dict(network.state_dict())
    fresh.load(optimizers.state())
    for _ in range(3):
        step(network, optimizers, 0.5)
        step(other, fresh, 0.5)
    torch.testing.assert_close(network.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_a_network_without_filters_or_vectors_trains_too() -> None:
    network = nn.Linear(3, 2, bias=False)
    optimizers = Optimizers(
        network, kind="muon", lr=0.1, lr_head=0.1, lr_bias=0.1, momentum=0.6, weight_decay=0
    )
    before = network.weight.detach().clone()
    network(torch.ones(1, 3)).sum().backward()
    optimizers.step()
    assert not torch.equal(before, network.weight)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_early_layers_change_least(kind: str) -> None:
    network = nn.Sequential(*(nn.Linear(3, 3) for _ in range(3)))
    before = [p.detach().clone() for p in network.parameters()]
    optimizers = Optimizers(
        network, kind=kind, lr=0.1, lr_head=0.0, lr_bias=0.0, momentum=0.0, weight_decay=0.0,
        layer_decay=0.5,
    )  # fmt: skip
    for p in network.parameters():
        p.grad = torch.ones_like(p)
    optimizers.scale(1.0)
    optimizers.step()
    moved = [
        float((b - p.detach()).abs().mean())
        for b, p in zip(before, network.parameters(), strict=True)
    ]
    assert moved == pytest.approx([0.025, 0.025, 0.05, 0.05, 0.1, 0.1], rel=1e-3)


def test_only_the_shifts_of_norms_take_large_steps() -> None:
    network = nn.Sequential(convnet(2, 1, size=(8, 8), width=8), nn.Conv2d(2, 2, 1))
    optimizers = Optimizers(
        network, kind="muon", lr=0.1, lr_head=0.1, lr_bias=2.0, momentum=0.6, weight_decay=0
    )
    rates = {p: group["peak"] for group in optimizers._groups() for p in group["params"]}
    found = {
        name.rpartition(".")[0]: rates[p] for name, p in network.named_parameters() if p.ndim < 2
    }
    kinds = {type(network.get_submodule(name)): rate for name, rate in found.items()}
    assert kinds == {FixedGainNorm: 2.0, nn.Conv2d: 2.0 / OTHERS}
