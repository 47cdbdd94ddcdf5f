"""Tests of `tunesmith.models.pretrained`."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunesmith.core.errors import ModelError
from tunesmith.models.pretrained import are_learned, check_classifier, pretrained_of, some_weights


def network(**stated: Any) -> nn.Module:
    made = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    fine = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.1), "classifier": "1"}
    made.pretrained_cfg = {**fine, **stated}  # type: ignore[assignment]
    return made


def test_a_network_from_scratch_says_nothing() -> None:
    assert pretrained_of(nn.Linear(2, 2), 3) is None


def test_inputs_are_normalized_as_the_weights_expect() -> None:
    found = pretrained_of(network(), 3)
    assert found is not None
    assert found.classifier == "1"
    x_NCHW = torch.tensor([255.0, 0.0, 76.5]).view(1, 3, 1, 1)
    expected = torch.tensor([2.5, -2.0, 0.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(found.normalize()(x_NCHW), expected)


def test_values_for_colors_do_for_gray_images_and_for_those_with_alpha() -> None:
    gray, alpha = (pretrained_of(network(), channels) for channels in (1, 4))
    assert gray is not None
    assert alpha is not None
    assert gray.mean == pytest.approx((0.4 * 255,))
    assert gray.std == pytest.approx((0.5 / 3 * 255,))
    x_NCHW = torch.tensor([255.0, 0.0, 76.5, 255.0]).view(1, 4, 1, 1)
    expected = torch.tensor([2.5, -2.0, 0.0, 0.0]).view(1, 4, 1, 1)
    torch.testing.assert_close(alpha.normalize()(x_NCHW), expected)


def test_the_ends_of_the_range_are_in_it() -> None:
    found = pretrained_of(network(mean=(0, 1, np.float32(0)), std=(1, 1, 1)), 3)
    assert found is not None
    assert (found.mean, found.std) == ((0, 255, 0), (255, 255, 255))


def made(seed: int) -> nn.Module:
    """Make a network whose large backbone is the same at each seed, and the rest is not."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 30, 3), nn.BatchNorm2d(30))
    torch.manual_seed(seed)
    return nn.Sequential(backbone, nn.Conv2d(30, 2, 1), nn.Flatten(), nn.Linear(400, 20))


def test_learned_weights_are_the_same_at_any_seed_but_for_a_minority() -> None:
    with torch.random.fork_rng(devices=[]):
        some, others = (some_weights(made(seed), "3") for seed in (1, 2))
    assert some.keys() == {"0.0.weight", "1.weight"}
    assert are_learned(some, others)
    del some["0.0.weight"]
    assert not are_learned(some, others)
    assert are_learned({}, {})  # nothing contradicts what the network says


def test_weights_that_a_rule_made_tell_nothing() -> None:
    constant = nn.Linear(4, 5)
    nn.init.zeros_(constant.weight)
    assert some_weights(nn.Sequential(constant, nn.LayerNorm((5, 5))), "7") == {}
    large = some_weights(nn.Linear(100, 1000), "7")
    assert len(large["weight"]) <= 2000


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"classifier": "7"}, "must name its last nn.Linear as `classifier`, but names '7'"),
        ({"classifier": "0"}, "but names '0'. Mend it, or delete `pretrained_cfg`"),
        ({"classifier": None}, "but names None"),
        ({"mean": (0.5,)}, r"as `mean` one number .* each of 3 channels, but has \(0.5,\)"),
        ({"std": "gray"}, "as `std` one number .* but has 'gray'"),
        (
            {"mean": (123.7, 116.3, 103.5)},
            r"from 0 to 1 .* has \(123.7, .*\)\. Mend it \(gray levels",
        ),
        ({"mean": (0.5, 0.5, -0.1)}, "as `mean` one number from 0 to 1"),
        ({"mean": (0.5, None, 0.5)}, r"as `mean` one number .* has \(0.5, None, 0.5\)"),
        ({"mean": (0.5, "0.5", 0.5)}, "as `mean` one number"),
        ({"mean": (0.5, float("nan"), 0.5)}, "as `mean` one number"),
        ({"std": (0.2, 0.0, 0.2)}, "as `std` one number above 0, up to 1, for each of 3 channels"),
        ({"std": (58.4, 57.1, 57.4)}, "as `std` one number above 0, up to 1"),
    ],
)
def test_what_it_says_must_fit(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        pretrained_of(network(**stated), 3)


class Tokens(nn.Module):
    """A network whose last layer is used in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.body, self.head, self.way = nn.Linear(4, 6), nn.Linear(6, 2), way
        self.pretrained_cfg = {"mean": (0.5,), "std": (0.2,), "classifier": "head"}

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Answer ``(N, 1, 4, 4)``."""
        f_NTD: Tensor = self.body(x_NCHW[:, 0])
        f_ND = f_NTD.mean(1)
        z_NK: Tensor
        if self.way == "twice":
            z_NK = self.head(f_ND) + self.head(-f_ND)
        elif self.way == "tokens":
            z_NK = self.head(f_NTD).mean(1)
        elif self.way == "weight":
            z_NK = nn.functional.linear(f_ND, self.head.weight)
        else:
            z_NK = self.head(f_ND)
        return z_NK


def checked(network: nn.Module, classes: int) -> None:
    pretrained = pretrained_of(network, 1)
    assert pretrained is not None
    check_classifier(network, pretrained, torch.zeros(2, 1, 4, 4), classes)


def test_a_head_is_put_where_each_image_passes_once() -> None:
    checked(Tokens("once"), 2)
    for way, message in (
        ("twice", r"must get \(2, 6\) once for two images, and gets \(2, 6\) and \(2, 6\)\. Mend"),
        ("tokens", r"and gets \(2, 4, 6\)\. Mend it, or delete"),
        ("weight", r"and gets nothing \(is only its weight used\?\)\. Mend"),
    ):
        with pytest.raises(ModelError, match=message):
            checked(Tokens(way), 2)
    with pytest.raises(ModelError, match=r"names 'head', which has 2 outputs for 3 classes\. Mend"):
        checked(Tokens("once"), 3)


def test_weights_that_are_computed_are_no_place_for_a_head() -> None:
    network = Tokens("once")
    nn.utils.parametrizations.weight_norm(network.head)
    with pytest.raises(ModelError, match=r"names 'head', whose weights are computed from others"):
        checked(network, 2)
