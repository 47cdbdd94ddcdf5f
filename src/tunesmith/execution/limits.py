"""What a process may use."""


def limit_memory(count: int) -> bool:
    """Let this process hold at most so many bytes of its own, beyond what it shares with files.

    An allocation beyond that fails, which Python tells as a `MemoryError`.

    Returns:
        Whether the system can do that.
    """
    try:
        import resource
    except ImportError:
        return False
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    return True
