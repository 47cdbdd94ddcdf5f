"""Decode image files to pixels; training, testing and prediction share this decoder."""

import os
import re
from typing import Any

from tunesmith.core.most_pixels import most_pixels

# A header that claims more is refused before decoding. OpenCV reads its variable when imported.
MOST_PIXELS = most_pixels()
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")

import cv2  # noqa: E402 (after the environment it reads)
import numpy as np  # noqa: E402 (sorted behind cv2's special place)
from numpy.typing import NDArray  # noqa: E402 (the same)

from tunesmith.core.headers import Header, read_header  # noqa: E402 (the same)
from tunesmith.core.tiff import directory  # noqa: E402 (the same)

MOST_SCANS = 64  # in a JPEG; each may take as long as a whole image
MOST_PASSES = 20  # scans of an image of `MOST_PIXELS`; a usual progressive one has up to 18
MOST_TEXTS = 20  # in a PNG; libpng unpacks each to up to 8 MB, twice
PACKED_TEXT = re.compile(rb"zTXt|iTXt[^\x00]{1,79}\x00\x01")  # a chunk of a PNG
HARMLESS = 100_000  # bytes of a PNG up to which any number of texts is fine
GRAY, GRAY_ALPHA, COLOR, ALPHA = 1, 2, 3, 4  # channels of an image
MOST_BYTES = ALPHA * MOST_PIXELS  # that decoding writes, as of 8 bits in color with transparency
READ = {GRAY: cv2.IMREAD_GRAYSCALE, COLOR: cv2.IMREAD_COLOR_RGB}
# Flags to decode a JPEG at a fraction of its size, as its cosine transform allows.
REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
}
NOT_READ = cv2.IMREAD_UNCHANGED  # ignores the Exif orientation, which `_upright` applies
CONVERSIONS = {
    (GRAY, COLOR): cv2.COLOR_GRAY2RGB,
    (GRAY, ALPHA): cv2.COLOR_GRAY2RGBA,
    (COLOR, GRAY): cv2.COLOR_RGB2GRAY,
    (COLOR, ALPHA): cv2.COLOR_RGB2RGBA,
    (ALPHA, GRAY): cv2.COLOR_RGBA2GRAY,
    (ALPHA, COLOR): cv2.COLOR_RGBA2RGB,
}
ORIENTATION = 0x0112  # Exif tag (Exif 2.3, 4.6.4 A)
SAMPLE_FORMAT, UNSIGNED, MOST_BITS = 339, 1, 16  # TIFF tag (TIFF 6.0, section 19) and values read
OTHER_KINDS = {2: "whole numbers with a sign", 3: "decimal numbers"}
NO_MEMORY = "decoding it needs more memory than there is"
DAMAGED = "the {} is damaged, cut off, or of a kind that is not supported"


class Undecodable(ValueError):  # noqa: N818 (it is a verdict on a file, not an error of ours)
    """The file cannot be decoded as an image; the text says why."""


def decode(
    encoded: bytes | NDArray[np.uint8], channels: int | None = None, *, enough: int | None = None
) -> NDArray[np.uint8]:
    """Decode a PNG, JPEG, WebP, BMP, TIFF, GIF or PNM file.

    Values of 16 bits lose their lower 8. The Exif orientation is applied. If ``channels`` excludes
    alpha, it is dropped, not blended.

    Args:
        encoded: Content of the file; or pixels ``(H, W, C)``, of which only channels are converted.
        channels: 1 for gray, 3 for RGB, 4 for RGBA; None to keep those of the file.
        enough: Pixels of the shorter side that are enough: a larger JPEG is decoded at a half, a
            quarter or an eighth of its size, which takes a tenth of the time. None for full size.

    Returns:
        uint8 of shape ``(H, W, channels)``, in the order R, G, B, alpha.

    Raises:
        Undecodable: The bytes are not an image, are truncated, or claim too much.
    """
    if isinstance(encoded, np.ndarray):
        return recolor(encoded, channels)
    header = _accepted(encoded)
    if header.format == "GIF":
        encoded = _mended(encoded)
    try:
        image = _read(np.frombuffer(encoded, np.uint8), channels, _reduction(header, enough))
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise Undecodable(NO_MEMORY) from None
        image = None
    if image is None or image.dtype != np.uint8:
        raise Undecodable(DAMAGED.format(header.format))
    image = image if image.ndim == 3 else image[:, :, None]  # noqa: PLR2004 (height, width, color)
    return recolor(image, channels)


def decode_or_say(
    file: bytes, channels: int | None, *, enough: int | None = None
) -> NDArray[np.uint8] | str:
    """Decode a file in this process, without limits; return the reason if it fails."""
    try:
        return decode(file, channels, enough=enough)
    except Undecodable as reason:
        return str(reason)
    except MemoryError:
        return NO_MEMORY


def _accepted(encoded: bytes) -> Header:
    """Read the header of a file, and check that the file may be decoded.

    Raises:
        Undecodable: The file is not an image, would take too long to decode, or is damaged.
    """
    if not encoded:
        raise Undecodable("the file is empty")
    header = read_header(encoded)
    if header is None:
        raise Undecodable("it is no image of a known format, whatever its name says")
    if reason := _excess(encoded, header):
        raise Undecodable(reason)
    if not header.pixels:
        raise Undecodable(DAMAGED.format(header.format))
    if header.format == "TIFF" and (values := _unread_values(encoded, header)):
        raise Undecodable(
            f"its values are {values}, not whole numbers of 8 or 16 bits without a sign"
        )
    return header


def _unread_values(tiff: bytes, header: Header) -> str | None:
    """Describe a TIFF file's values if they are not read; None if they are.

    Of some channels OpenCV takes signed values for unsigned ones, so that -1 becomes white.
    """
    kind = directory(tiff).number(SAMPLE_FORMAT, UNSIGNED)
    if header.bits <= MOST_BITS and kind not in OTHER_KINDS:
        return None
    return f"{OTHER_KINDS.get(kind, 'whole numbers')} of {header.bits} bits"


def _excess(encoded: bytes, header: Header) -> str | None:
    """Why decoding would take too much time or memory; None if it would not.

    No ratio of pixels to bytes counts: blank pages and masks are packed as tightly as bombs.
    """
    if header.pixels > MOST_PIXELS:
        return f"it claims {header.pixels:,} pixels, more than {MOST_PIXELS:,}"
    if header.scans > MOST_SCANS:
        return f"it claims {header.scans:,} scans, more than {MOST_SCANS}"
    if (passed := header.scans * header.pixels) > (most := MOST_PASSES * MOST_PIXELS):
        return (
            f"its {header.scans} scans pass over {passed:,} pixels, more than {most:,}: save it as "
            "a baseline JPEG"
        )
    if (size := _size(encoded, header)) > MOST_BYTES:
        return (
            f"decoding it writes {size:,} bytes, more than {MOST_BYTES:,}: save it with 8 bits a "
            "value, and not interlaced"
        )
    if header.format == "PNG" and len(encoded) > HARMLESS:
        texts = len(PACKED_TEXT.findall(encoded))
        if texts > MOST_TEXTS:
            return (
                f"it holds {texts:,} packed texts, more than {MOST_TEXTS}: save it without its "
                "metadata"
            )
    return None


def _size(encoded: bytes, header: Header) -> int:
    """Bytes that decoding an image writes; those of an interlaced PNG are written twice."""
    channels = ALPHA if header.channels == GRAY_ALPHA else header.channels
    is_interlaced = header.format == "PNG" and encoded[28:29] == b"\1"
    size = header.pixels * channels * ((header.bits + 7) // 8)
    return 2 * size if is_interlaced else size


def _mended(gif: bytes) -> bytes:
    """Replace a GIF's background color, if its index is out of range, by the first color.

    OpenCV refuses such files, which old programs wrote. Other readers accept them, since hardly
    any shows the background.
    """
    flags, background = gif[10:12].ljust(2, b"\0")
    return gif if background < 2 << (flags & 7) else gif[:11] + b"\0" + gif[12:]


def _reduction(header: Header, enough: int | None) -> tuple[int, int] | None:
    """Flags to decode a JPEG at the smallest fraction of its size that is enough, if one is."""
    if enough is None or header.format != "JPEG" or header.channels not in READ:
        return None
    shorter = min(header.height, header.width)
    flag = next((REDUCED[divisor] for divisor in REDUCED if shorter // divisor >= enough), None)
    return None if flag is None else (header.channels, flag)


def _read(
    data: NDArray[np.uint8], channels: int | None, reduction: tuple[int, int] | None
) -> NDArray[Any] | None:
    """Decode by OpenCV to upright gray, RGB or RGBA pixels; None if it fails."""
    if reduction is not None:
        own, flag = reduction
        return cv2.imdecode(data, READ[channels if channels in READ else own] | flag)
    if channels in READ:
        return cv2.imdecode(data, READ[channels])
    read: Any = cv2.imdecodeWithMetadata(data, flags=NOT_READ)  # its stubs omit failures
    image, kinds, contents = read
    if image is None:
        return None
    if image.dtype == np.uint16:
        image = np.right_shift(image, 8, out=np.empty(image.shape, np.uint8), casting="unsafe")
    if image.ndim == 3:  # noqa: PLR2004 (height, width, color)
        has_alpha = image.shape[2] == ALPHA
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if has_alpha else cv2.COLOR_BGR2RGB)
    exif = dict(zip(kinds, contents, strict=True)).get(cv2.IMAGE_METADATA_EXIF)
    return _upright(image, 1 if exif is None else directory(exif.tobytes()).number(ORIENTATION, 1))


def _upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an image ``(H, W[, C])`` upright, given its Exif orientation, 1 to 8."""
    if orientation in {5, 6, 7, 8}:
        image = image.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        image = image[::-1]
    if orientation in {2, 3, 6, 7}:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def full_size(encoded: bytes, image_HWC: NDArray[np.uint8]) -> tuple[int, int]:
    """Height and width of an image that may have been decoded at a fraction of its size."""
    height, width, _ = image_HWC.shape
    header = read_header(encoded)
    if header is None or header.format != "JPEG":
        return height, width
    shorter, longer = sorted((header.height, header.width))
    return (shorter, longer) if height < width else (longer, shorter)


def recolor(image_HWC: NDArray[np.uint8], channels: int | None) -> NDArray[np.uint8]:
    """Convert pixels between gray, RGB and RGBA; None keeps their channels.

    Example:
        >>> recolor(np.full((1, 1, 1), 7, np.uint8), 4).tolist()
        [[[7, 7, 7, 255]]]

    """
    found = image_HWC.shape[2]
    if channels in {found, None}:
        return image_HWC
    code = CONVERSIONS[found, channels or found]
    changed = np.asarray(cv2.cvtColor(np.ascontiguousarray(image_HWC), code), np.uint8)
    return changed if changed.ndim == 3 else changed[:, :, None]  # noqa: PLR2004 (height, width, color)


def shrink(image_HWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Shrink an image for display, to at most ``side`` pixels a side; never fed to a network."""
    height, width = image_HWC.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return image_HWC
    return squeeze(image_HWC, (max(1, round(height * factor)), max(1, round(width * factor))))


def squeeze(image_HWC: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an image, ignoring its aspect ratio; never fed to a network either."""
    squeezed = cv2.resize(image_HWC, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(squeezed, np.uint8).reshape(*size, image_HWC.shape[2])
