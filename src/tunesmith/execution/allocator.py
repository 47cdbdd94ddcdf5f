"""Keep freed memory in the process: a training asks for the same tensors again and again."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc not to hand freed tensors back to the kernel.

    By default every large tensor is mapped and unmapped anew, and a training of a small network
    spends a quarter of its time in page faults. Elsewhere than under glibc this does nothing.

    Returns:
        Whether it was done.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        done = libc.mallopt(M_MMAP_THRESHOLD, 1 << 30) and libc.mallopt(M_TRIM_THRESHOLD, MOST)
    except (OSError, AttributeError):
        return False
    return bool(done)
