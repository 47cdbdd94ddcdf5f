"""From an image file's bytes to pixels: the one decoder of training, tests and prediction."""

import os

# Read by OpenCV when it is imported; a header that claims more is refused before decoding.
MOST_PIXELS = 40_000_000
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")

import cv2  # noqa: E402 (after the environment it reads)
import numpy as np  # noqa: E402 (sorted behind cv2's special place)
from numpy.typing import NDArray  # noqa: E402 (the same)

FLAGS = {
    None: cv2.IMREAD_UNCHANGED,
    1: cv2.IMREAD_GRAYSCALE,
    3: cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_UNCHANGED,
}
GRAY, COLOR, ALPHA = 1, 3, 4


class Undecodable(ValueError):  # noqa: N818 (it is a verdict on a file, not an error of ours)
    """A file is no image that can be read; the text says why."""


def decode(encoded: bytes, channels: int | None = None) -> NDArray[np.uint8]:
    """Decode a PNG, JPEG, WebP, BMP, TIFF, GIF or PNM file.

    Values of 16 bits lose their lower 8. A camera's orientation mark is obeyed.

    Args:
        encoded: The file's bytes.
        channels: 1 for gray, 3 for RGB, 4 for RGB with alpha; None as in the file.

    Returns:
        uint8 of shape ``(H, W, channels)``, in the order R, G, B, alpha.

    Raises:
        Undecodable: The bytes are no image, cut off, or more than 40 million pixels.
    """
    if not encoded:
        raise Undecodable("the file is empty")
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), FLAGS[channels])
    except cv2.error as error:
        if "pixels" in str(error).lower() or "size" in str(error).lower():
            raise Undecodable(f"it claims more than {MOST_PIXELS:,} pixels") from None
        raise Undecodable("it cannot be decoded") from None
    if image is None:
        raise Undecodable(_why_not(encoded))
    if image.dtype != np.uint8:
        if image.dtype != np.uint16:
            raise Undecodable(f"its values are {image.dtype}, not whole numbers of 8 or 16 bits")
        image = (image >> 8).astype(np.uint8)
    image = image if image.ndim == 3 else image[:, :, None]  # noqa: PLR2004 (height, width, color)
    return image if channels in (GRAY, COLOR) else _reorder(image, channels)


def _reorder(image_HWC: NDArray[np.uint8], channels: int | None) -> NDArray[np.uint8]:
    """Turn OpenCV's BGR into RGB, and add what ``channels`` asks for."""
    found = image_HWC.shape[2]
    if channels == ALPHA and found != ALPHA:
        code = cv2.COLOR_GRAY2RGBA if found == GRAY else cv2.COLOR_BGR2RGBA
        return np.asarray(cv2.cvtColor(image_HWC, code), np.uint8)
    if found == ALPHA:
        return np.asarray(cv2.cvtColor(image_HWC, cv2.COLOR_BGRA2RGBA), np.uint8)
    if found == COLOR:
        return np.asarray(cv2.cvtColor(image_HWC, cv2.COLOR_BGR2RGB), np.uint8)
    return image_HWC


SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"RIFF": "WebP",
}


def _why_not(encoded: bytes) -> str:
    """Say what is wrong with bytes that OpenCV refused."""
    for signature, name in SIGNATURES.items():
        if encoded.startswith(signature):
            if name == "PNG" and _png_pixels(encoded) > MOST_PIXELS:
                return f"it claims {_png_pixels(encoded):,} pixels, more than {MOST_PIXELS:,}"
            return f"the {name} is damaged or cut off"
    return "it is no image (no known signature)"


def _png_pixels(encoded: bytes) -> int:
    """Pixels that a PNG's header claims."""
    return int.from_bytes(encoded[16:20]) * int.from_bytes(encoded[20:24])


def shrink(image_HWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Make a picture for a person to look at: at most ``side`` pixels; never fed to a network."""
    height, width = image_HWC.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return image_HWC
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = np.asarray(cv2.resize(image_HWC, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small if small.ndim == 3 else small[:, :, None]  # noqa: PLR2004 (height, width, color)


def encode_png(image_HWC: NDArray[np.uint8]) -> bytes:
    """Write pixels as a PNG file."""
    codes = {GRAY: None, COLOR: cv2.COLOR_RGB2BGR, ALPHA: cv2.COLOR_RGBA2BGRA}
    code = codes[image_HWC.shape[2]]
    _, data = cv2.imencode(".png", image_HWC if code is None else cv2.cvtColor(image_HWC, code))
    return data.tobytes()
