"""Fixtures that tests of several packages share."""

import ipaddress
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import hypothesis
import numpy as np
import pytest
from hypothesis.internal.conjecture import providers
from numpy.typing import NDArray

if TYPE_CHECKING:  # what is imported before the tests begin is not seen by the coverage of a worker
    from tunesmith.data.fingerprint import Fingerprint

# Tests compute on tiny arrays, where a second thread costs more than it brings. Set before torch
# is first imported, and inherited by the commands that tests start.
os.environ["OMP_NUM_THREADS"] = "1"
# Each worker of pytest-xdist keeps to a core of its own, with all that it starts: two trainings
# that share two cores are many times slower than two beside each other.
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[int(worker.removeprefix("gw")) % len(allowed)]})
# A user's own settings have no place in a test, nor has what colors output that is no terminal's.
COLORED = ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TERMINAL_WIDTH")
for name in [n for n in os.environ if n.startswith("TUNESMITH_") or n in COLORED]:
    del os.environ[name]

# No test depends on how fast a machine is, or on luck.
hypothesis.settings.register_profile("tunesmith", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tunesmith")
# Nor on which modules other tests have imported before, whose constants are tried as values.
providers._get_local_constants = lambda: providers._local_constants

SHAPES = ("cross", "disc", "ring")


def pytest_runtest_setup() -> None:
    """Start the random numbers of networks and batches anew, whichever tests ran before."""
    import torch

    torch.manual_seed(0)


class MakeFolder(Protocol):
    """Writes a folder of class folders of small images, and returns it."""

    def __call__(
        self,
        name: str = "shapes",
        *,
        classes: tuple[str, ...] = SHAPES,
        count: int = 12,
        size: tuple[int, int] = (16, 16),
        channels: int = 3,
    ) -> Path: ...


def draw(shape: int, *, size: tuple[int, int], channels: int, seed: int) -> NDArray[np.uint8]:
    """Draw a cross, a disc or a ring on noise: as easy mirrored or turned as it is upright.

    Returns:
        An image ``[H, W, C]``.
    """
    rng = np.random.default_rng((shape, seed))
    height, width = size
    image = rng.integers(0, 96, (height, width, channels), dtype=np.uint8)
    radius = min(size) // 3
    x, y = (int(rng.integers(radius, side - radius)) for side in (width, height))
    color = [int(c) for c in rng.integers(160, 256, channels)]
    if shape % len(SHAPES) == 0:
        cv2.line(image, (x - radius, y), (x + radius, y), color)
        cv2.line(image, (x, y - radius), (x, y + radius), color)
    else:
        cv2.circle(image, (x, y), radius, color, -1 if shape % len(SHAPES) == 1 else 1)
    if channels == 4:
        image[..., 3] = 255
    return image


def encode_png(image_HWC: NDArray[np.uint8]) -> bytes:
    """Write gray, RGB or RGBA pixels as a PNG file."""
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[image_HWC.shape[2]]
    return cv2.imencode(".png", image_HWC[..., order])[1].tobytes()


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Return a maker of small, learnable image folders in the test's own folder."""

    def make(
        name: str = "shapes",
        *,
        classes: tuple[str, ...] = SHAPES,
        count: int = 12,
        size: tuple[int, int] = (16, 16),
        channels: int = 3,
    ) -> Path:
        for number, label in enumerate(classes):
            folder = tmp_path / name / label
            folder.mkdir(parents=True)
            for seed in range(count):
                image = draw(number, size=size, channels=channels, seed=seed)
                # Encoded in memory: OpenCV's own writer does not take every name on every system.
                encoded = cv2.imencode(".png", image)[1]
                (folder / f"{seed:03}.png").write_bytes(encoded.tobytes())
        return tmp_path / name

    return make


@pytest.fixture
def lines_of() -> Callable[[Callable[[], object]], int]:
    """Return what counts the lines of Python that a call runs: its work, on whatever machine."""

    def counted(call: Callable[[], object]) -> int:
        lines, before = 0, sys.gettrace()

        def count(_frame: FrameType, event: str, _argument: object) -> Any:
            nonlocal lines
            lines += event == "line"
            return count

        sys.settrace(count)
        try:
            call()
        finally:
            sys.settrace(before)
        return lines

    return counted


@pytest.fixture(scope="session")
def mnist() -> "Fingerprint":
    """Return what is known of MNIST before anything is trained: it stands for small gray images."""
    from tunesmith.data.fingerprint import Fingerprint

    return Fingerprint(
        images=70_000,
        classes=10,
        class_counts=(7000,) * 10,
        channels=1,
        heights=(28, 28, 28),
        widths=(28, 28, 28),
        test_images=10_000,
        validation_images=0,
        decode_per_s=20_000.0,
    )


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run on the embedded digits, made by the command line."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    command = [sys.executable, "-m", "tunesmith", "fit", "digits", "--budget", "12s"]
    done = subprocess.run(
        [*command, "--out", str(folder)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _is_local(address: object) -> bool:
    """Tell whether a socket's address stays on this machine."""
    if not isinstance(address, tuple):
        return True  # a Unix socket's path
    host = str(address[0])
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, it may take long until a process that has failed is over."""
    monkeypatch.setattr("tunesmith.data.processes.PATIENCE", 300.0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that reaches for another machine."""

    def guard(connect: Callable[..., object]) -> Callable[..., object]:
        def local_only(self: socket.socket, address: object) -> object:
            if not _is_local(address):
                self.close()
                pytest.fail(f"This test reached for the network: {address!r}.")
            return connect(self, address)

        return local_only

    monkeypatch.setattr(socket.socket, "connect", guard(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guard(socket.socket.connect_ex))
