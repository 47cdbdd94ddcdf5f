"""Tests of `tunesmith.records.checkpoint`, with real faults."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tunesmith.core.errors import RunFolderError
from tunesmith.records.checkpoint import load, prune, save

TENSORS = {"weight": torch.randn(5, 3), "count": torch.tensor(7)}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    reference = save(tmp_path, TENSORS, {"seen": 12})
    tensors, meta = load(tmp_path, reference)
    torch.testing.assert_close(tensors, TENSORS, rtol=0, atol=0)
    assert meta == {"seen": 12}
    assert save(tmp_path, TENSORS, {"seen": 12}) == reference
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("fault", ["flipped", "cut"])
def test_damage_is_found(tmp_path: Path, fault: str) -> None:
    reference = save(tmp_path, TENSORS, {"seen": 12})
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    if fault == "flipped":
        data[-1] ^= 1
    path.write_bytes(data if fault == "flipped" else data[:-5])
    with pytest.raises(RunFolderError, match="is damaged: its bytes do not match its name"):
        load(tmp_path, reference)


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot be read: No such file"):
        load(tmp_path, "0" * 64)


def test_pruning_keeps_what_it_is_told_to(tmp_path: Path) -> None:
    kept = save(tmp_path, TENSORS, {"seen": 1})
    save(tmp_path, TENSORS, {"seen": 2})
    (tmp_path / ".half.part").write_bytes(b"left by a crash")
    prune(tmp_path, keep={kept})
    assert [path.stem for path in tmp_path.iterdir()] == [kept]
    prune(tmp_path / "absent", keep=set())


def test_no_space_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    code = """
import resource, signal, sys, torch
from pathlib import Path
from tunesmith.records.checkpoint import save
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
save(Path(sys.argv[1]), {"w": torch.zeros(10_000)}, {})
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert "There is no space left for" in done.stderr
    assert list(tmp_path.iterdir()) == []
