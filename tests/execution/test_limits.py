"""Tests of `tunesmith.execution.limits`."""

import subprocess
import sys


def test_an_allocation_over_the_limit_fails() -> None:
    code = """
from tunesmith.execution.limits import limit_memory
assert limit_memory(200_000_000)
len(bytearray(10_000_000))
try:
    bytearray(400_000_000)
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "refused\n"
