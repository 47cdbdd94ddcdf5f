"""Keep freed memory in the process, since a training allocates the same tensors repeatedly."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Configure glibc not to return freed tensors to the kernel.

    By default, every large tensor is mapped and unmapped anew, and training a small network spends
    a quarter of its time in page faults. Without glibc, this does nothing.

    Returns:
        Whether it was done.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        done = libc.mallopt(M_MMAP_THRESHOLD, 1 << 30) and libc.mallopt(M_TRIM_THRESHOLD, MOST)
    except (OSError, AttributeError):
        return False
    return bool(done)
