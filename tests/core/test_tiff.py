"""Tests of `tunesmith.core.tiff`."""

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.tiff import MOST_ENTRIES, directory

BYTE, ASCII, SHORT, LONG, LONG8 = 1, 2, 3, 4, 16


def tiff(order: str, entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """Write a file of one directory: tag, type, count and value of each entry."""
    data = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    data += struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        letter = {BYTE: "B3x", SHORT: "H2x"}.get(kind, "I") if count == 1 else "I"
        data += struct.pack(f"{order}HHI{letter}", tag, kind, count, value)
    return data + struct.pack(f"{order}I", following)


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_are_found_by_their_tags(order: str) -> None:
    entries = [(1, BYTE, 1, 200), (2, SHORT, 1, 50_000), (3, LONG, 1, 10**9), (4, ASCII, 9, 0)]
    found = directory(tiff(order, entries, following=77))
    assert [found.number(tag) for tag in (1, 2, 3, 4, 5)] == [200, 50_000, 10**9, 0, 0]
    assert found.number(5, 8) == 8
    assert set(found.entries) == {1, 2, 3, 4}
    assert found.following == 77


@pytest.mark.parametrize("order", ["<", ">"])
def test_of_several_numbers_the_first_is_looked_up(order: str) -> None:
    data = tiff(order, [(258, SHORT, 3, 26)]) + struct.pack(f"{order}HHH", 16, 16, 16)
    assert directory(data).number(258) == 16


def test_large_files_have_places_of_eight_bytes() -> None:
    entry = struct.pack("<HHQQ", 256, LONG8, 1, 640)
    data = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 1) + entry + struct.pack("<Q", 99)
    found = directory(data)
    assert (found.number(256), found.following) == (640, 99)


def test_directories_that_others_wrote_are_read() -> None:
    pages = [np.zeros((7, 9 + i), np.uint8) for i in range(2)]
    data = cv2.imencodemulti(".tiff", pages)[1].tobytes()
    first = directory(data)
    second = directory(data, first.following)
    assert [page.number(256) for page in (first, second)] == [9, 10]
    assert second.following == 0


@given(st.sampled_from([b"", b"II*\0", b"MM\0*", b"II+\0"]), st.binary(max_size=200))
def test_any_bytes_can_be_read(begin: bytes, data: bytes) -> None:
    found = directory(begin + data)
    assert all(found.number(tag) >= 0 for tag in found.entries)


def test_no_file_can_claim_more_entries_than_are_looked_at() -> None:
    found = directory(tiff("<", [(i, LONG, 1, i) for i in range(2 * MOST_ENTRIES)]))
    assert len(found.entries) == MOST_ENTRIES
