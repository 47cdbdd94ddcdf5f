"""Recognize out-of-memory errors."""

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device.

    Example:
        >>> is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)."))
        True

    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    told = ("can't allocate memory", "out of memory")  # CPUs, Apple's GPUs: no error class
    return isinstance(error, RuntimeError) and any(text in str(error) for text in told)
