"""What broken and hostile files do: thousands of them, made from whole ones, each decoded or opened.

    python benchmarks/mutations.py

Images of every format and archives of every kind are flipped at each byte of the header (one bit, and
all), cut off at each tenth, and made into bombs. A file is then refused in words, gives the
pixels of the whole one, or gives other pixels. It counts as *accepted silently* if it gives other
pixels and either was cut off, or claims more than is decoded, or has a format whose checksums cover
what was flipped (PNG; a zip's members; packed tar files). A flipped byte of another format makes
another valid image, which no reader can tell from one that was meant so: these are counted as
"another image". A crash is an exception that is no refusal, or a decoding process that died.
"""

import io
import json
import lzma
import os
import struct
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.archives import Archive
from tunesmith.data.decoder import Decoder, Decoders
from tunesmith.data.tars import Tar
from tunesmith.execution.machine import measure, versions
from tunesmith.screening.files import examine

RESULTS = Path(__file__).parent / "results" / "mutations.json"
HEADER = 120  # bytes from the start that count as the header
SLOW_S = 2.0
Pixels = NDArray[np.uint8]


class Case(NamedTuple):
    """A file, and what its bytes were made from."""

    kind: str
    mutation: str
    data: bytes


def drawing(size: int = 48) -> Pixels:
    """A disc on a smooth ground, with noise."""
    x, y = np.meshgrid(np.arange(size), np.arange(size * 3 // 4))
    image = np.stack([x * 3, y * 3, 200 - x - y], axis=-1) % 256
    image += np.random.default_rng(0).integers(0, 30, image.shape)
    image = np.clip(image, 0, 255).astype(np.uint8)
    cv2.circle(image, (size // 3, size // 3), size // 5, (250, 40, 90), -1)
    return image


def whole_images() -> dict[str, bytes]:
    """A file of each kind."""
    color = drawing()
    gray, deep = color[..., :1], color.astype(np.uint16) * 257
    alpha = np.concatenate([color, gray], axis=-1)
    made: list[tuple[str, str, NDArray[np.integer], list[int]]] = [
        ("PNG", ".png", color, []),
        ("PNG, gray", ".png", gray, []),
        ("PNG, alpha", ".png", alpha, []),
        ("PNG, 16 bits", ".png", deep, []),
        ("JPEG", ".jpg", color, []),
        ("JPEG, progressive", ".jpg", color, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        ("GIF", ".gif", color, []),
        ("BMP", ".bmp", color, []),
        ("BMP, alpha", ".bmp", alpha, []),
        ("TIFF", ".tiff", color, []),
        ("TIFF, 16 bits", ".tiff", deep, []),
        ("WebP", ".webp", color, [cv2.IMWRITE_WEBP_QUALITY, 80]),
        ("WebP, lossless", ".webp", alpha, [cv2.IMWRITE_WEBP_QUALITY, 101]),
        ("PNM", ".ppm", color, []),
        ("PNM, text", ".ppm", color, [cv2.IMWRITE_PXM_BINARY, 0]),
        ("PNM, 16 bits", ".pgm", deep[..., :1], []),
    ]
    return {kind: cv2.imencode(suffix, image, how)[1].tobytes() for kind, suffix, image, how in made}


def whole_archives() -> dict[str, bytes]:
    """An archive of each kind, of six images in two folders."""
    files = {f"{'ab'[i % 2]}/{i}.png": cv2.imencode(".png", drawing(20 + i))[1].tobytes() for i in range(6)}
    made = {}
    for kind, method in (("zip", zipfile.ZIP_DEFLATED), ("zip, stored", zipfile.ZIP_STORED)):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", method) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        made[kind] = content.getvalue()
    for kind in ("tar", "tar.gz", "tar.bz2", "tar.xz"):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode=f"w:{kind[4:]}") as tar:  # type: ignore[call-overload]
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        made[kind] = content.getvalue()
    return made


def flipped_and_cut(kind: str, data: bytes) -> Iterator[Case]:
    """Each byte of the header flipped; the file cut off at each tenth, and of its last byte."""
    for place in range(min(HEADER, len(data))):
        for bits in (0x01, 0xFF):
            other = bytes([data[place] ^ bits])
            yield Case(kind, "flipped", data[:place] + other + data[place + 1 :])
    for size in (*(len(data) * tenth // 10 for tenth in range(1, 10)), len(data) - 1):
        yield Case(kind, "cut off", data[:size])
