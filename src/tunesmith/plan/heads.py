"""How many images a pretrained network's head is fitted to before it is fine-tuned."""

from tunesmith.plan.speeds import Speed

FEWEST, HEAD_MOST = 500, 5000
# Images of each class that a head is fitted to: however little time there is, if these are fewer
# than `FEWEST`; if they are more, only in the share of the time that is theirs with few images.
PER_CLASS = 4
# Share of training time for extracting their features. With few images, the head does most; and
# the fewest images take no more than that of many.
SHARE, SHARE_SMALL = 0.05, 0.5


def head_images(
    images: int, classes: int, *, train_s: float, per_s: float, small: bool, most: int = HEAD_MOST
) -> int:
    """Number of images that there is time to extract features of.

    A thousand classes need more of them than ten: of a class without an image, none is recognized,
    and the network would be given up for that.

    Args:
        images: Number of training images.
        classes: Number of classes.
        train_s: Seconds for training.
        per_s: Images whose features are extracted per second.
        small: Whether images are so few that there are folds.
        most: Number of images that a head can be fitted to.

    Example:
        >>> [head_images(9000, 10, train_s=s, per_s=12, small=False) for s in (1, 40, 400, 2000)]
        [40, 240, 500, 1200]
        >>> [head_images(90000, 1000, train_s=s, per_s=12, small=False) for s in (1, 400, 2000)]
        [500, 2400, 4000]

    """
    in_small = int(SHARE_SMALL * train_s * per_s)
    _, least, _ = sorted((FEWEST, PER_CLASS * classes, in_small))
    affordable = in_small if small else int(SHARE * train_s * per_s)
    return min(images, HEAD_MOST, max(least, min(most, affordable)))


def head_seconds(images: int, classes: int, speed: Speed, train_s: float, *, small: bool) -> float:
    """Seconds for that by a network of this speed; see `head_images`."""
    per_s = max(1.0, speed.device_answers_per_s)
    return head_images(images, classes, train_s=train_s, per_s=per_s, small=small) / per_s
