"""What broken and hostile files do: thousands of them, made from whole ones, decoded or opened.

    python benchmarks/mutations.py

Images of every format, archives, tables and files of arrays of every kind have each byte of their
headers flipped (one bit, and all; of tar and Parquet files every third byte), are cut off at each
tenth, and are made into bombs. Each file is then refused in words, or gives what the whole one
gives, or something else. Something else counts as *accepted silently* if it could be told: if a
file was cut off, claims more than is decoded, or has checksums over what was flipped (PNG files,
alone, in archives and in tables; .npz files). A flipped byte of another format makes another image,
and one in a zip's list of names or in a table another name, which nobody can tell from one that was
meant so; nor can a text that ends early be told from one that is short. A crash is an exception
that is no refusal, or a process that died decoding. A process that died parsing a Parquet file is a
refusal, since each file has one of its own; how many did is counted beside it.
"""

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.data.archives import Archive
from tunesmith.data.decoder import Decoder, Decoders
from tunesmith.data.examine import examine
from tunesmith.data.sources import open_source
from tunesmith.data.tars import Tar
from tunesmith.execution.machine import measure, versions

RESULTS = Path(__file__).parent / "results" / "mutations.json"
HEADER = 160  # bytes at the start of a file that count as its header
LIMIT_S = 2.0  # seconds that no file may take
SIDE = 6324  # of the largest square that is decoded
DEEP_SIDE = 4472  # the same of RGBA values that have 16 bits, or are interlaced
PASSES = (  # over an interlaced PNG: first column, first row, and steps (PNG 3, 8.1)
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
SIZES = (-(10**6), -512, 10**10, 2**80)  # of members of a tar file, in base 256
TABLES = ("npz", "idx", "csv", "parquet")  # and arrays
IDX = "idx/train-images-idx3-ubyte", "idx/train-labels-idx1-ubyte"
FLIPPED, CUT, BOMB, CLAIMS = "flipped", "cut off", "bomb", "claims too much"
REFUSED, SAME, OTHER, SILENT, CRASHED = "refused", "same", "other", "silent", "crashed"
ENDED = "ended the reader"  # refused, since it ended the process that parsed it
Content = dict[str, bytes]  # pixels of each image, by name


class Case(NamedTuple):
    """A file: its kind, what was done to it, its bytes, and what the whole one holds."""

    kind: str
    mutation: str
    data: bytes
    expected: Content


def drawing(size: int = 48) -> NDArray[np.uint8]:
    """A disc on a slope, with noise, ``[H, W, 3]``."""
    x, y = np.meshgrid(np.arange(size), np.arange(size * 3 // 4))
    image = np.stack([x * 2, y * 2, 200 - x - y], axis=-1)
    image += np.random.default_rng(size).integers(0, 30, image.shape)
    image = np.clip(image, 0, 255).astype(np.uint8)
    return np.asarray(
        cv2.circle(image, (size // 3, size // 3), size // 5, (250, 40, 90), -1), np.uint8
    )


def encode(suffix: str, image: NDArray[Any], *how: int) -> bytes:
    return cv2.imencode(suffix, image, how)[1].tobytes()


def images() -> dict[str, bytes]:
    """A file of each kind."""
    color = drawing()
    gray, deep = color[..., :1], color.astype(np.uint16) * 257
    alpha = np.concatenate([color, gray], axis=-1)
    return {
        "PNG": encode(".png", color),
        "PNG, gray": encode(".png", gray),
        "PNG, alpha": encode(".png", alpha),
        "PNG, 16 bits": encode(".png", deep),
        "JPEG": encode(".jpg", color),
        "JPEG, progressive": encode(".jpg", color, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "GIF": encode(".gif", color),
        "BMP": encode(".bmp", color),
        "BMP, alpha": encode(".bmp", alpha),
        "TIFF": encode(".tiff", color),
        "TIFF, 16 bits": encode(".tiff", deep),
        "WebP": encode(".webp", color, cv2.IMWRITE_WEBP_QUALITY, 80),
        "WebP, lossless": encode(".webp", alpha, cv2.IMWRITE_WEBP_QUALITY, 101),
        "PNM": encode(".ppm", color),
        "PNM, text": encode(".ppm", color, cv2.IMWRITE_PXM_BINARY, 0),
        "PNM, 16 bits": encode(".pgm", deep[..., :1]),
    }


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(files: dict[str, bytes], packing: str = "") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{packing}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def archives() -> dict[str, bytes]:
    """An archive of each kind, of six images in two folders."""
    files = {f"{'ab'[i % 2]}/{i}.png": encode(".png", drawing(20 + i)) for i in range(6)}
    return {
        "zip": zipped(files),
        "zip, stored": zipped(files, zipfile.ZIP_STORED),
        **{f"tar{end}": tarred(files, end[1:]) for end in ("", ".gz", ".bz2", ".xz")},
    }


def npy(x: NDArray[Any], **header: Any) -> bytes:
    """An array's file, and another header than its own."""
    own, content = np.lib.format.header_data_from_array_1_0(x), io.BytesIO()
    np.lib.format.write_array_header_1_0(content, own | header)
    return content.getvalue() + x.tobytes()


def idx(*dims: int) -> bytes:
    """The header of a file of dimensions."""
    return b"\0\0\x08" + bytes([len(dims)]) + b"".join(size.to_bytes(4) for size in dims)


def tables() -> dict[str, bytes]:
    """A table or a file of arrays of each kind, of six images in two classes."""
    x_NHWC = np.stack([np.roll(drawing(20), shift, axis=1) for shift in range(6)])
    files = {"x.npy": npy(x_NHWC), "y.npy": npy(np.arange(6) % 2)}
    rows = "".join(f"images/{i}.png,{'ab'[i % 2]}\n" for i in range(6))
    pngs = [encode(".png", drawing(20 + i)) for i in range(6)]
    columns = {"image": pngs, "label": ["a", "b"] * 3}
    return {
        "npz": zipped(files, zipfile.ZIP_STORED),
        "npz, deflated": zipped(files),
        "idx": idx(6, 15, 20) + x_NHWC[..., 0].tobytes(),
        "csv": f"path,label\n{rows}".encode(),
        **({"parquet": parquet(columns)} if find_spec("pyarrow") else {}),
    }


def parquet(columns: dict[str, Any]) -> bytes:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    content = io.BytesIO()
    write_table(pa.table(columns), content)
    return content.getvalue()


def put_beside(folder: Path) -> None:
    """Write what tables refer to, and the labels that belong to a file of images."""
    for name in ("images", "idx"):
        (folder / name).mkdir()
    for i in range(6):
        (folder / "images" / f"{i}.png").write_bytes(encode(".png", drawing(20 + i)))
    (folder / IDX[1]).write_bytes(idx(6) + bytes([0, 1] * 3))


def headers(kind: str, data: bytes) -> list[int]:
    """Places of the bytes in a file's headers."""
    if kind.startswith(("zip", "npz")):  # each member has one; at the end is the list of them all
        size = 40 if kind.startswith("zip") else HEADER  # an array's own header counts too
        begins = [i for i in range(len(data)) if data.startswith(b"PK\3\4", i)]
        local = [i for begin in begins for i in range(begin, begin + size)]
        return [*local, *range(data.index(b"PK\1\2"), len(data))]
    if kind == "tar":
        blocks = [i - 257 for i in range(len(data)) if data.startswith(b"ustar", i)]
        return [i for block in blocks for i in range(block, block + 512, 3)]
    begin = len(data)
    if kind.startswith("TIFF"):
        begin = int.from_bytes(data[4:8], "little")
    if kind == "parquet":
        begin -= 8 + int.from_bytes(data[-8:-4], "little")
    places = [*range(min(HEADER, len(data))), *range(begin, len(data))]
    return places[::3] if kind == "parquet" else places  # each takes two processes


def damaged(kind: str, data: bytes, expected: Content) -> Iterator[Case]:
    """Flip each byte of the headers; cut off at each tenth, and before the last byte."""
    for place in headers(kind, data):
        for bits in (0x01, 0xFF):
            flipped = data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]
            yield Case(kind, FLIPPED, flipped, expected)
    for size in (*(len(data) * tenth // 10 for tenth in range(1, 10)), len(data) - 1):
        yield Case(kind, CUT, data[:size], expected)


def claiming() -> Iterator[Case]:
    """Images whose headers claim more than 40 million pixels."""
    whole = images()

    def patched(kind: str, place: int, layout: str, *values: int) -> bytes:
        data = bytearray(whole[kind])
        struct.pack_into(layout, data, place, *values)
        return bytes(data)

    png = patched("PNG", 16, ">II", 50_000, 50_000)
    checked = png[:29] + struct.pack(">I", zlib.crc32(png[12:29])) + png[33:]
    tiff = int.from_bytes(whole["TIFF"][4:8], "little") + 2  # width and height come first
    for kind, data in {
        "PNG": checked,
        "JPEG": patched("JPEG", whole["JPEG"].index(b"\xff\xc0") + 5, ">HH", 65_500, 65_500),
        "GIF": patched("GIF", 6, "<HH", 65_535, 65_535),
        "BMP": patched("BMP", 18, "<ii", 60_000, -60_000),
        "TIFF": patched("TIFF", tiff, "<HHIIHHII", 256, 4, 1, 10**6, 257, 4, 1, 10**6),
        "WebP": patched("WebP", 26, "<HH", 16_383, 16_383),
        "WebP, lossless": patched("WebP, lossless", 21, "<I", 0x1FFFFFFF),
        "PNM": b"P6 99999 99999 255\n" + bytes(1000),
        "PNM, text": b"P3 99999 99999 255\n" + b"1 " * 1000,
    }.items():
        yield Case(kind, CLAIMS, data, {})


def sized(data: bytes, block: int, kind: bytes, size: int) -> bytes:
    """A tar file with another size in a header, in base 256, and another kind of member there."""
    header = bytearray(data[block : block + tarfile.BLOCKSIZE])
    number = size + 256**12 if size < 0 else size | 1 << 95
    header[124:136], header[148:157] = number.to_bytes(12), b" " * 8 + kind
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:block] + bytes(header) + data[block + tarfile.BLOCKSIZE :]


def misleading() -> Iterator[Case]:
    """Archives and arrays whose headers claim sizes that they cannot have."""
    whole = archives()["tar"]
    for block in (i - 257 for i in range(len(whole)) if whole.startswith(b"ustar", i)):
        for kind in (b"0", b"L", b"K", b"x", b"g", b"X", b"S"):
            for size in SIZES:
                data = sized(whole, block, kind, size)
                yield Case("tar", CLAIMS, data, {})
                yield Case("tar.gz", CLAIMS, gzip.compress(data, 1), {})
    x, y = np.zeros((6, 8, 8), np.uint8), np.arange(6) % 2
    for shape in ((10**12, 8, 8), (10**30,), (2**32, 2**32, 8), (7, 8, 8), (5, 8, 8)):
        files = {"x.npy": npy(x, shape=shape), "y.npy": npy(y)}
        yield Case("npz", CLAIMS, zipped(files), {})
    for dims in ((2**32 - 1,) * 3, (6, 2**31, 2**31), (6,), (0,) * 255):
        yield Case("idx", CLAIMS, idx(*dims) + bytes(6 * 64), {})


def chunk(kind: bytes, data: bytes) -> bytes:
    """A piece of a PNG file."""
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def interlaced(side: int, channels: int) -> bytes:
    """A black PNG file, gray or RGBA, whose pixels come in seven passes."""
    size = 0
    for column, row, right, down in PASSES:
        width, height = (side - column + right - 1) // right, (side - row + down - 1) // down
        size += height * (1 + width * channels)
    kind = {1: 0, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", side, side, 8, kind, 0, 0, 1)
    body = chunk(b"IDAT", zlib.compress(bytes(size), 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def image_bombs() -> Iterator[Case]:
    """Small images that take as much memory or time as is granted, or would take more."""
    flat = np.full((SIDE, SIDE, 1), 90, np.uint8)
    yield Case("PNG, gray", BOMB, encode(".png", flat), {})
    yield Case("PNG, gray", BOMB, interlaced(SIDE, 1), {})
    yield Case("PNG, alpha", BOMB, encode(".png", np.zeros((SIDE, SIDE, 4), np.uint8)), {})
    for side in (DEEP_SIDE, SIDE):
        yield Case("PNG, alpha", BOMB, interlaced(side, 4), {})
        deep = np.zeros((side, side, 4), np.uint16)
        yield Case("PNG, 16 bits", BOMB, encode(".png", deep), {})
    color = np.repeat(flat, 3, axis=2)
    for kind, suffix in {"JPEG": ".jpg", "TIFF": ".tiff", "GIF": ".gif", "WebP": ".webp"}.items():
        yield Case(kind, BOMB, encode(suffix, color), {})
    progressive = encode(".jpg", color, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    for repeated in (0, 10, 50, 5000):  # it has ten scans, and may have twenty
        data = progressive[:-2] + last * repeated + progressive[-2:]
        yield Case("JPEG, progressive", BOMB, data, {})
    gif, png = images()["GIF"], images()["PNG"]
    yield Case("GIF", BOMB, gif[:-1] + gif[gif.index(b"\x2c") : -1] * 2000 + b";", {})
    zeros = zlib.compress(bytes(100_000_000), 9)
    most = zlib.compress(bytes(7_900_000), 9)  # libpng unpacks as much, twice
    for tag, begin in {
        b"zTXt": b"Comment\0\0",
        b"iTXt": b"Comment\0\1\0\0\0",
        b"iCCP": b"profile\0\0",
    }.items():
        for packed in (zeros, most):
            text = chunk(tag, begin + packed)
            for repeated in (1, 20, 300):  # twenty are accepted
                yield Case("PNG", BOMB, png[:33] + text * repeated + png[33:], {})


def archive_bombs() -> Iterator[Case]:
    """Archives that would unpack to far more than they are, or that hold archives."""
    zeros, png = bytes(90_000_000), images()["PNG"]
    yield Case("zip", BOMB, zipped({"a/1.png": zeros, "b/1.png": png}), {})
    yield Case("zip", BOMB, zipped({"a/1.png": png, "b/1.zip": zipped({"1.png": zeros})}), {})
    noise = np.random.default_rng(0).bytes(10**6)
    data = zipped({"a/1.png": noise + zeros})
    begin, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entries = data[begin:end] * 1000  # all of them are the same bytes
    closing = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1000, 1000, len(entries), begin, 0)
    yield Case("zip", BOMB, data[:begin] + entries + closing, {})
    giant = tarred({"a/1.png": bytes(500_000_000)})
    yield Case("tar.gz", BOMB, gzip.compress(giant, 9), {})
    yield Case("tar.bz2", BOMB, bz2.compress(giant), {})
    yield Case("tar.xz", BOMB, lzma.compress(giant, preset=1), {})
    link = sized(tarred({"a/1.png": png}), 0, b"L", 1)[: tarfile.BLOCKSIZE * 2]
    yield Case("tar", BOMB, link * 2000 + bytes(1024), {})
    name = sized(tarred({"a/1.png": png}), 0, b"L", 90_000_000)[: tarfile.BLOCKSIZE]
    yield Case("tar.gz", BOMB, gzip.compress(name + bytes(90_000_000)), {})
    arrays = io.BytesIO()
    np.savez_compressed(arrays, x=np.zeros((6, 6000, 6000), np.uint8), y=np.arange(6) % 2)
    yield Case("npz", BOMB, arrays.getvalue(), {})
    if find_spec("pyarrow"):
        columns = {"image": [png * 20] * 3000, "label": [1, 2] * 1500}
        yield Case("parquet", BOMB, parquet(columns), {})


def decoded(decoder: Decoder, files: dict[str, bytes]) -> tuple[Content, list[str]]:
    """The pixels of files, and why there are none of some; each is examined as well."""
    content, reasons = {}, []
    for name, image in zip(files, decoder.decode(list(files.values()), None), strict=True):
        examine(files[name], name)
        if isinstance(image, str):
            reasons.append(image)
        else:
            content[name] = image.tobytes()
    return content, reasons


def opened(decoder: Decoder, path: Path) -> tuple[Content, list[str]]:
    """The same of all that is in an archive, with what was passed over among the reasons."""
    archive: Any = Tar(path) if ".tar" in path.name else Archive(path)
    files, reasons = {}, [kind for kind, count in archive.skipped.items() for _ in range(count)]
    for member in archive.members:
        try:
            files[member.name] = archive.read(member)
        except OSError as error:
            reasons.append(str(error))
    content, more = decoded(decoder, files)
    return content, reasons + more


def sourced(decoder: Decoder, path: Path) -> tuple[Content, list[str]]:
    """The same of a table or a file of arrays; an image's label is part of its name."""
    source = open_source(path)
    reasons = [kind for kind, count in source.skipped.items() for _ in range(count)]
    files: dict[str, bytes] = {}
    content: Content = {}
    for index, label in enumerate(source.labels):
        name = f"{source.names[index]} {source.classes[label]}"
        try:
            found = source.read(index)
        except OSError as error:
            reasons.append(str(error))
            continue
        if isinstance(found, bytes):
            files[name] = found
        else:
            content[name] = found.tobytes()
    more, why = decoded(decoder, files)
    return content | more, reasons + why


def put(kind: str, data: bytes, folder: Path) -> Path:
    """Write a file where one of its kind is looked for."""
    suffix = kind.partition(",")[0]
    path = folder / (IDX[0] if suffix == "idx" else f"x.{suffix}")
    path.write_bytes(data)
    return path


def found_in(decoder: Decoder, kind: str, path: Path) -> tuple[Content, list[str]]:
    """The same of a file of any kind."""
    if kind.startswith(TABLES):
        return sourced(decoder, path.parent if kind == "idx" else path)
    is_archive = kind.startswith(("zip", "tar"))
    return opened(decoder, path) if is_archive else decoded(decoder, {"": path.read_bytes()})


def outcome(case: Case, content: Content, reasons: list[str]) -> str:
    """What became of a file, in a word."""
    if any("crashed" in reason for reason in reasons):
        return CRASHED
    if case.mutation == CLAIMS:
        return SILENT if content else REFUSED
    if not case.expected:  # a bomb that keeps within the limits is an image like others
        return REFUSED if reasons else SAME
    is_lost = case.kind != "csv" and len(content) + len(reasons) < len(case.expected)
    is_known = set(content.values()) <= set(case.expected.values())
    has_checksums = case.kind.startswith(("PNG", "zip", "tar", "npz", "parquet"))
    if is_lost or (not is_known and (case.mutation == CUT or has_checksums)):
        return SILENT
    if reasons:
        return REFUSED
    return SAME if content == case.expected else OTHER


def judged(decoder: Decoder, case: Case, folder: Path) -> tuple[str, float]:
    """What became of a file, and the seconds that took."""
    path = put(case.kind, case.data, folder)
    began = time.perf_counter()
    try:
        found = found_in(decoder, case.kind, path)
    except SourceError as error:
        seconds = time.perf_counter() - began
        return ENDED if "crashed the reader" in str(error) else REFUSED, seconds
    except Exception as error:  # noqa: BLE001 (whatever it is, it is a crash)
        print(f"{case.kind}, {case.mutation}: {error!r}")
        return CRASHED, time.perf_counter() - began
    seconds = time.perf_counter() - began
    return outcome(case, *found), seconds


def cases(decoder: Decoder, folder: Path) -> Iterator[Case]:
    put_beside(folder)
    for kind, data in (images() | archives() | tables()).items():
        yield from damaged(kind, data, found_in(decoder, kind, put(kind, data, folder))[0])
    yield from claiming()
    yield from misleading()
    yield from image_bombs()
    yield from archive_bombs()


def main() -> None:
    """Try and write everything."""
    rows: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, Decoders(1) as pool, pool.one() as decoder:
        for case in cases(decoder, Path(name)):
            rows[case.kind, case.mutation].append(judged(decoder, case, Path(name)))
    table: list[dict[str, Any]] = [
        {
            "kind": kind,
            "mutation": mutation,
            "files": len(found),
            **{
                w: sum(word == w for word, _ in found)
                for w in (REFUSED, ENDED, SAME, OTHER, SILENT, CRASHED)
            },
            "slowest_s": round(max(seconds for _, seconds in found), 3),
        }
        for (kind, mutation), found in sorted(rows.items())
    ]
    machine = measure(Path())
    result = {
        "hardware": {"cpu": machine.cpu, "cores": machine.cores},
        "versions": versions(),
        "files": sum(row["files"] for row in table),
        "accepted_silently": sum(row[SILENT] for row in table),
        "crashes": sum(row[CRASHED] for row in table),
        "readers_ended": sum(row[ENDED] for row in table),
        "slowest_s": max(row["slowest_s"] for row in table),
        "over_2_s": sum(seconds > LIMIT_S for found in rows.values() for _, seconds in found),
        "rows": table,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
