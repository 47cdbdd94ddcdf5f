"""Tests of `tunesmith.jobs.run.stored`; test_fit.py goes on from stored checkpoints."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tunesmith.jobs.run.stored import pack, read_checkpoint, unpack, write_checkpoint
from tunesmith.records.checkpoint import load, save
from tunesmith.training.slice import Checkpoint

TASKS = Path("/proc/self/task")


def test_checkpoints_are_stored_without_loss(tmp_path: Path) -> None:
    checkpoint = Checkpoint(
        seen=320,
        network={"a.weight": torch.randn(2, 3).T, "steps": torch.tensor(5)},
        average={"a.weight": torch.randn(3, 2), "steps": torch.tensor(5)},
        optimizer={
            "momentum_buffer/a.weight": torch.randn(3, 2),
            "scaler/scale": torch.tensor(2.0**16),
        },
    )
    again = unpack(*load(tmp_path, save(tmp_path, *pack(checkpoint))))
    torch.testing.assert_close(vars(again), vars(checkpoint), rtol=0, atol=0)
    write_checkpoint(tmp_path / "state.safetensors", checkpoint)
    again = read_checkpoint(tmp_path / "state.safetensors")
    torch.testing.assert_close(vars(again), vars(checkpoint), rtol=0, atol=0)


@pytest.mark.skipif(not TASKS.is_dir(), reason="threads are counted in /proc")
def test_writing_beside_a_training_starts_no_threads(tmp_path: Path) -> None:
    filters = torch.randn(128, 64, 3, 3).to(memory_format=torch.channels_last)
    checkpoint = Checkpoint(seen=1, network={"w": filters}, average={}, optimizer={})
    packed = pack(checkpoint)
    with ThreadPoolExecutor(1) as saver:
        saver.submit(int).result()
        before = {task.name for task in TASKS.iterdir()}
        saver.submit(save, tmp_path, *packed).result()
        assert {task.name for task in TASKS.iterdir()} <= before
