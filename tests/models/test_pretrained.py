"""Tests of `tunesmith.models.pretrained`."""

from typing import Any

import pytest
import torch
from torch import nn

from tunesmith.core.errors import ModelError
from tunesmith.models.pretrained import pretrained_of


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


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"classifier": "7"}, "must name its last nn.Linear as `classifier`, but names '7'"),
        ({"classifier": "0"}, "but names '0'. Mend it, or delete `pretrained_cfg`"),
        ({"classifier": None}, "but names None"),
        ({"mean": (0.5,)}, r"as `mean` one number .* each of 3 channels, but has \(0.5,\)"),
        ({"std": "gray"}, "as `std` one number .* but has 'gray'"),
    ],
)
def test_what_it_says_must_fit(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        pretrained_of(network(**stated), 3)
