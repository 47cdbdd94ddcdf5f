"""Start the processes in which untrusted files are read, and end them.

On Windows, which has no limits for processes, there are none: files are read in this process.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec

PATIENCE = 5.0  # seconds to wait for a process to exit
HAS_LIMITS = find_spec("resource") is not None
ENVIRONMENT = {  # of a process: one thread; glibc keeps freed memory for the next image
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"),
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "100000000",
}


def start(
    module: str,
    *arguments: object,
    stdin: int = subprocess.DEVNULL,
    pass_fds: tuple[int, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a module of ours in a process, whose standard output is a pipe.

    Args:
        module: Name of the module.
        arguments: Arguments of its command line.
        stdin: Its standard input, as for `subprocess.Popen`.
        pass_fds: File descriptors that it inherits.
        environment: Variables to set in addition to `ENVIRONMENT`.
    """
    return subprocess.Popen(  # noqa: S603 (this Python, and a module of ours)
        # -P: import modules from our own path, never from the current folder.
        [sys.executable, "-P", "-m", module, *map(str, arguments)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        pass_fds=pass_fds,
        process_group=0,  # Ctrl-C must not reach it
        env={
            **os.environ,
            **ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if isinstance(p, str) and p),
            **(environment or {}),
        },
    )


def exit_status(process: subprocess.Popen[bytes]) -> int:
    """Wait until a process exits, or kill it, and return its status: negative after a signal."""
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
