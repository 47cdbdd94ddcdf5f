"""Tests of `tunesmith.jobs.stored`; test_fit.py goes on from stored checkpoints."""

from pathlib import Path

import torch

from tunesmith.jobs.stored import pack, read_checkpoint, unpack, write_checkpoint
from tunesmith.records.checkpoint import load, save
from tunesmith.training.slice import Checkpoint


def test_checkpoints_are_stored_without_loss(tmp_path: Path) -> None:
    checkpoint = Checkpoint(
        seen=320,
        network={"a.weight": torch.randn(2, 3).T, "steps": torch.tensor(5)},
        average={"a.weight": torch.randn(3, 2), "steps": torch.tensor(5)},
        optimizer={"momentum_buffer/a.weight": torch.randn(3, 2)},
    )
    again = unpack(*load(tmp_path, save(tmp_path, *pack(checkpoint))))
    torch.testing.assert_close(vars(again), vars(checkpoint), rtol=0, atol=0)
    write_checkpoint(tmp_path / "state.safetensors", checkpoint)
    again = read_checkpoint(tmp_path / "state.safetensors")
    torch.testing.assert_close(vars(again), vars(checkpoint), rtol=0, atol=0)
