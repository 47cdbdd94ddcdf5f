"""Tests of `tunesmith.evaluation.memory`."""

import pytest
import torch

from tunesmith.evaluation.memory import is_out_of_memory


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)."), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_each_device_says_it_in_its_own_way(error: BaseException, *, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_a_cpu_says_it_too() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
