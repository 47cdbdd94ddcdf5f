"""Tests of `tunesmith.training.scaling`: real trainings in float16, on the processor."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tunesmith.models.convnet import convnet
from tunesmith.models.preprocess import Normalize
from tunesmith.training.config import TrainConfig
from tunesmith.training.device import Compute
from tunesmith.training.epoch import TrainData
from tunesmith.training.losses import CrossEntropy, Loss
from tunesmith.training.schedule import warmup_decay
from tunesmith.training.slice import Checkpoint, Outcome, SliceResult, train_slice, untrained

HALF = Compute(device=torch.device("cpu"), autocast=torch.float16)
BATCH = 16
RATES = {"muon": 0.1, "sgd": 0.5, "adamw": 0.01}
FIRST = 2.0**16  # scale of the first step


@pytest.fixture(scope="module")
def data() -> TrainData:
    """Two classes that differ in brightness."""
    y = torch.arange(64) % 2
    noise = torch.randint(0, 100, (64, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    x = (noise + 100 * y.view(-1, 1, 1, 1)).to(torch.uint8)
    return TrainData(
        x_NCHW=x, y_N=y, rows=torch.arange(64), normalize=Normalize.of(x), compute=HALF
    )


def build() -> nn.Module:
    return convnet(2, 1, size=(8, 8), width=8)


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))


class Huge(nn.Module):
    """A network whose activations are beyond the range of float16."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.linear(1e6 * x.flatten(1))
        return 1e-6 * z


def times(factor: float) -> Loss:
    """A loss with gradients ``factor`` times as large."""

    def loss(network: nn.Module, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
        return CrossEntropy()(network, x_NCHW, y_N) * factor

    return loss


def configured(optimizer: str, **changes: object) -> TrainConfig:
    return TrainConfig.model_validate(
        {"batch": BATCH, "optimizer": optimizer, "lr": RATES[optimizer], **changes}
    )


def run(
    data: TrainData,
    config: TrainConfig,
    steps: int,
    *,
    start: Checkpoint | None = None,
    loss: Loss = CrossEntropy(),  # noqa: B008 (a frozen value)
    build: Callable[[], nn.Module] = build,
) -> SliceResult:
    plan = warmup_decay(64 * BATCH, warmup=0.0)
    return train_slice(config, build, data, loss, start=start, segments=plan, until=steps * BATCH)


def checkpoint(result: SliceResult) -> Checkpoint:
    assert result.outcome is Outcome.DONE
    assert result.checkpoint is not None
    return result.checkpoint


def scaling(of: Checkpoint) -> tuple[float, int]:
    """The scale, and the number of good steps in a row."""
    return of.optimizer["scaler/scale"].item(), int(of.optimizer["scaler/_growth_tracker"])


def equal(a: object, b: object) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0)


def parameters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weights[name] for name, _ in build().named_parameters()}


@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adamw"])
@pytest.mark.parametrize(
    ("factor", "middle"), [(1.0, 7), (3e4, 2)]  # the larger one makes some first steps overflow
)  # fmt: skip
def test_two_slices_equal_one(data: TrainData, optimizer: str, factor: float, middle: int) -> None:
    config, loss = configured(optimizer, lr=0.001), times(factor)
    whole = checkpoint(run(data, config, 8, loss=loss))
    head = checkpoint(run(data, config, middle, loss=loss))
    equal(vars(checkpoint(run(data, config, 8, start=head, loss=loss))), vars(whole))
    scale, good = scaling(whole)
    assert (good == 8) is (scale == FIRST) is (factor == 1.0)
    assert scale * 2 ** (8 - good) == FIRST


@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adamw"])
def test_it_learns_as_in_float32(data: TrainData, optimizer: str) -> None:
    config = configured(optimizer)
    half = run(data, config, 16)
    single = run(data, configured(optimizer, mixed_precision=False), 16)
    assert half.row["loss"] == pytest.approx(single.row["loss"], rel=0.02)
    assert half.row["loss"] != single.row["loss"]
    assert run(data, config, 1).row["loss"] > 1.3 * half.row["loss"]


@pytest.mark.parametrize("optimizer", ["muon", "sgd"])
def test_optimizers_see_gradients_that_are_not_scaled(data: TrainData, optimizer: str) -> None:
    half, single = (
        checkpoint(run(data, configured(optimizer, mixed_precision=mixed), 1)).optimizer
        for mixed in (True, False)
    )
    assert len(single) > 3
    for name, value in single.items():
        assert (half[name] - value).norm() < 0.2 * value.norm()


@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adamw"])
@pytest.mark.parametrize("layer", ["groups.0.convs.0", "head.linear"])
def test_one_infinite_gradient_leaves_the_whole_step_out(
    data: TrainData, optimizer: str, layer: str
) -> None:
    """Muon has filters and the rest in two optimizers, of which only one meets the gradient."""

    def broken() -> nn.Module:
        network = build()
        network.get_parameter(f"{layer}.weight").register_hook(lambda g: g + torch.inf)
        return network

    config = configured(optimizer)
    found = checkpoint(run(data, config, 2, build=broken))
    before = parameters(untrained(build, config.seed).state_dict())
    equal(parameters(found.network), before)
    torch.testing.assert_close(parameters(found.average), before)  # a mean of equal weights
    assert scaling(found) == (FIRST / 4, 0)
    assert all(name.startswith("scaler/") for name in found.optimizer)


def test_good_steps_are_counted_over_slices_until_the_scale_grows(data: TrainData) -> None:
    start = checkpoint(run(data, configured("sgd"), 2, build=linear))
    assert scaling(start) == (FIRST, 2)
    few = {"scaler/scale": torch.tensor(8.0), "scaler/_growth_tracker": torch.tensor(1998)}
    later = replace(start, optimizer={**start.optimizer, **few})
    found = [
        scaling(checkpoint(run(data, configured("sgd"), steps, start=later, build=linear)))
        for steps in (3, 4, 5)
    ]
    assert found == [(8, 1999), (16, 0), (16, 1)]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_training_goes_on_in_another_precision_and_comes_back(
    data: TrainData, optimizer: str
) -> None:
    mixed, single = configured(optimizer), configured(optimizer, mixed_precision=False)
    first = checkpoint(run(data, mixed, 2))
    elsewhere = checkpoint(run(data, single, 4, start=first))
    without = {n: v for n, v in first.optimizer.items() if not n.startswith("scaler/")}
    plain = replace(first, optimizer=without)
    equal(vars(checkpoint(run(data, single, 4, start=plain))), vars(elsewhere))
    assert elsewhere.optimizer.keys() == without.keys()
    back = checkpoint(run(data, mixed, 6, start=elsewhere))
    assert back.seen == 6 * BATCH
    assert scaling(back) == (FIRST, 2)


def test_a_loss_that_is_not_finite_is_a_divergence(data: TrainData) -> None:
    start = checkpoint(run(data, configured("sgd"), 2))
    for factor in (torch.nan, torch.inf):
        result = run(data, configured("sgd"), 4, start=start, loss=times(factor))
        assert result.outcome is Outcome.DIVERGED
        assert result.checkpoint is start


def test_gradients_that_are_never_finite_are_a_divergence(data: TrainData) -> None:
    """The loss is, at every step: those are left out, and change nothing."""

    def broken() -> nn.Module:
        network = linear()
        network.get_parameter("1.bias").register_hook(lambda g: g * torch.nan)
        return network

    assert run(data, configured("sgd"), 16, build=broken).outcome is Outcome.DONE
    assert run(data, configured("sgd"), 17, build=broken).outcome is Outcome.DIVERGED


@pytest.mark.parametrize(("network", "factor"), [(Huge, 1.0), (linear, 1e8)])
def test_what_float16_cannot_hold_is_trained_in_float32(
    data: TrainData, network: Callable[[], nn.Module], factor: float
) -> None:
    """Activations are too large, or gradients of any useful scale."""
    half, single = (
        run(data, configured("adamw", mixed_precision=mixed), 20, build=network, loss=times(factor))
        for mixed in (True, False)
    )
    assert half.row == single.row
    equal(vars(checkpoint(half)), vars(checkpoint(single)))


@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16])
def test_other_precisions_have_no_loss_scaling(
    data: TrainData, autocast: torch.dtype | None
) -> None:
    compute = replace(HALF, autocast=autocast)
    trained = checkpoint(run(replace(data, compute=compute), configured("sgd"), 1, build=linear))
    scaled = any(name.startswith("scaler/") for name in trained.optimizer)
    assert scaled is (autocast is torch.float16)
    assert not compute.scaler(mixed=False).state()
