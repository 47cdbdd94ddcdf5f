"""How long images take to be read: before the training, and again for the test."""

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.data.split import TEST_SHARE
from tunesmith.plan.counts import tested_images

# Times as long as decoding: reading a small image for the test, where the graph resizes it in
# float32. Of larger ones, which are decoded at a fraction of their size before, it is measured.
SMALL_AGAIN = 3


def decode_seconds(data: Fingerprint) -> float:
    """Seconds to decode all images."""
    return data.images / max(1e-9, data.decode_per_s)


def reread_seconds(data: Fingerprint, size: tuple[int, int]) -> float:
    """Seconds to read the test images again, if the network's input has another size."""
    same = {*data.heights} == {size[0]} and {*data.widths} == {size[1]}
    again_per_s = data.again_per_s or data.decode_per_s / SMALL_AGAIN
    return 0.0 if same else tested_images(data) / max(1e-9, again_per_s)


def unread_seconds(data: Fingerprint, size: tuple[int, int], *, left_s: float) -> float:
    """Seconds that remain of those left, once the images are read, and those of the test again."""
    return left_s - decode_seconds(data) - reread_seconds(data, size)


def reading_per_s(data: Fingerprint) -> float:
    """Images read per second; if they are large, the time for the test's second reading counts."""
    if data.again_per_s is None:
        return data.decode_per_s
    tested = min(TEST_SHARE, data.test_images / data.images) or TEST_SHARE
    return 1 / (1 / max(1e-9, data.decode_per_s) + tested / max(1e-9, data.again_per_s))
