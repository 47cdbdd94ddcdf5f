"""Resource limits of a process."""


def limit_memory(count: int) -> bool:
    """Limit the private memory of this process, in bytes; shared file mappings do not count.

    An allocation beyond the limit raises `MemoryError`.

    Returns:
        Whether the system supports that.
    """
    try:
        import resource
    except ImportError:
        return False
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    return True
