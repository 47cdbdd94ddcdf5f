"""How many images a pretrained network's head is fitted to before it is fine-tuned."""

from tunesmith.plan.speeds import Speed

FEWEST, HEAD_MOST = 500, 5000
PER_CLASS = 4  # images of each class that a head is fitted to, however little time there is
# Share of training time for extracting their features. With few images, the head does most; and
# the fewest images take no more than that of many.
SHARE, SHARE_SMALL = 0.05, 0.5


def head_images(
    images: int, classes: int, *, train_s: float, per_s: float, small: bool, most: int = HEAD_MOST
) -> int:
    """Number of images that there is time to extract features of.

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

    """
    least = min(FEWEST, max(PER_CLASS * classes, int(SHARE_SMALL * train_s * per_s)))
    affordable = int((SHARE_SMALL if small else SHARE) * train_s * per_s)
    return min(images, max(least, min(HEAD_MOST, most, affordable)))


def head_seconds(images: int, classes: int, speed: Speed, train_s: float, *, small: bool) -> float:
    """Seconds for that by a network of this speed; see `head_images`."""
    per_s = max(1.0, speed.answers_per_s, speed.images_per_s)
    return head_images(images, classes, train_s=train_s, per_s=per_s, small=small) / per_s
