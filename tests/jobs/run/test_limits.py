"""Tests of `tunesmith.jobs.run.limits`: real graphs."""

from pathlib import Path

import pytest
from torch import nn

from tunesmith.core.errors import LimitError
from tunesmith.core.settings import Settings
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.jobs.run.limits import Limits, within
from tunesmith.models.build import find_family
from tunesmith.plan import Speed

CONVNET = find_family("convnet")
SPEED = Speed(
    width=8,
    size=(8, 8),
    channels_last=True,
    images_per_s=1e3,
    answers_per_s=3e3,
    parameters=1,
    activation_bytes=1,
)
SPEEDS = [SPEED.model_copy(update={"width": width}) for width in (8, 16, 64, 64)]


def megabytes(width: int) -> float:
    """What the weights of a network take."""
    network = CONVNET.builder(10, 1, size=(8, 8), params={"width": width})()
    return 4e-6 * sum(p.numel() for p in network.parameters())


def test_a_graph_is_as_large_as_its_weights_and_a_little_more() -> None:
    network = CONVNET.builder(10, 1, size=(8, 8), params={"width": 16})()
    size = megabytes(16)
    Limits(most={"size_mb": 1.2 * size + 0.1}, threads=1).check(network, channels=1, size=(8, 8))
    with pytest.raises(LimitError, match=r"It takes .* MB, over the limit of"):
        Limits(most={"size_mb": size}, threads=1).check(network, channels=1, size=(8, 8))


def test_the_time_of_one_image_is_measured() -> None:
    network = CONVNET.builder(10, 1, size=(8, 8), params={"width": 8})()
    Limits(most={"latency_ms": 1e4}, threads=1).check(network, channels=1, size=(8, 8))
    with pytest.raises(LimitError, match=r"It takes .* ms for one image, over the limit of 1e-06"):
        Limits(most={"latency_ms": 1e-6}, threads=1).check(network, channels=1, size=(8, 8))


def test_the_graph_lies_in_the_folder_that_is_given_and_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = CONVNET.builder(10, 1, size=(8, 8), params={"width": 8})()
    written: list[Path] = []

    def write(_traced: object, _state: object, path: Path, **_options: object) -> None:
        written.append(path)
        path.write_bytes(b"graph")

    monkeypatch.setattr("tunesmith.jobs.run.limits.onnx.write", write)
    limits = Limits(most={"size_mb": 1.0}, threads=1)
    limits.check(network, channels=1, size=(8, 8), folder=tmp_path)
    assert [path.parent.parent for path in written] == [tmp_path]
    assert list(tmp_path.iterdir()) == []


def test_the_widest_network_within_the_limits_is_kept_and_all_narrower_ones(
    mnist: Fingerprint,
) -> None:
    limit = {"size_mb": (megabytes(16) + megabytes(64)) / 2}
    settings = Settings.make({"limit": limit})
    assert within(settings, mnist, CONVNET, SPEEDS, threads=1) == SPEEDS[:2]
    assert within(Settings.make({}), mnist, CONVNET, SPEEDS, threads=1) == SPEEDS


def test_the_highest_resolution_within_the_limits_is_kept(
    mnist: Fingerprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides, most, family = (64, 96, 128, 160, 192), 130, find_family("efficientnet_lite0")
    speeds = [
        SPEED.model_copy(update={"width": 0, "size": (side, side), "resolution": side})
        for side in sides
    ]
    tried: list[int] = []

    def check(_limits: Limits, _network: nn.Module, *, size: tuple[int, int], **_: int) -> None:
        tried.append(size[0])
        if size[0] > most:
            raise LimitError("It is too slow.")

    monkeypatch.setattr(Limits, "check", check)
    settings = Settings.make({"limit": {"latency_ms": 8.0}})
    assert within(settings, mnist, family, speeds, threads=1) == [speeds[2]]
    assert len(tried) < len(sides)
    assert within(Settings.make({}), mnist, family, speeds, threads=1) == [speeds[-1]]
    with pytest.raises(LimitError, match=r"the smallest was tried\. It is too slow"):
        within(settings, mnist, family, speeds[3:], threads=1)


def test_where_none_is_within_them_the_message_says_what_the_smallest_takes(
    mnist: Fingerprint,
) -> None:
    settings = Settings.make({"limit": {"size_mb": 1e-6}})
    with pytest.raises(LimitError, match=r"No convnet is within --limit.* MB, over .*Raise the"):
        within(settings, mnist, CONVNET, SPEEDS[:1], threads=1)
