"""How long images take to be read, before the training and again for the test; and how many are."""

import math

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.data.split import TEST_SHARE
from tunesmith.plan.augmentation import brief_seconds
from tunesmith.plan.counts import tested_images
from tunesmith.plan.speeds import kept_seconds

# Times as long as decoding: reading a small image for the test, where the graph resizes it in
# float32. Of larger ones, which are decoded at a fraction of their size before, it is measured.
SMALL_AGAIN = 3
SAMPLED_SHARE = 0.03  # share of the budget for a sample of the images, before planning
READ_SHARE, LEAST_READ = 0.4, 200  # share of the time for reading; images to read in any case
MEASURED_SHARE, MEASURED_S = 0.15, 3.0  # of the budget, and seconds at most, to measure speeds
FREE_S = 0.5  # seconds for reading that are never saved: the end of a run takes several times that


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


def readable_images(read_per_s: float, left_s: float) -> int:
    """Number of images that can be read, with time left to train on them.

    Args:
        read_per_s: Images read per second.
        left_s: Seconds left for reading and training.

    Example:
        >>> readable_images(20.0, 600.0), readable_images(20.0, -1.0), readable_images(9e4, -1.0)
        (4800, 200, 45000)

    """
    return max(LEAST_READ, int(max(FREE_S, READ_SHARE * left_s) * read_per_s))


def reading_budget(images: int, read_per_s: float, *, spent: float) -> float:
    """A budget with which all images are read, in whole seconds.

    Args:
        images: Number of images.
        read_per_s: Images read per second.
        spent: Seconds of the budget used before they are read.

    Example:
        >>> reading_budget(4800, 20.0, spent=10.0)
        665.0

    """
    # A larger budget has a larger sample too. Its last part may take as long as those before.
    share, read_s = 1 - 2 * SAMPLED_SHARE, images / max(1e-9, read_per_s) / READ_SHARE
    enough = 0.0
    while (needed_s := (spent + read_s + unshared_seconds(enough)) / share) > enough:
        enough = float(math.ceil(needed_s))
    return enough


def unshared_seconds(budget: float) -> float:
    """Seconds after the look at the data that are neither for reading nor for training.

    Example:
        >>> unshared_seconds(600), round(unshared_seconds(20), 2)
        (15.0, 7.7)

    """
    measured_s = min(MEASURED_S, MEASURED_SHARE * budget)
    return measured_s + brief_seconds(budget) + kept_seconds(budget, pretrained=False)
