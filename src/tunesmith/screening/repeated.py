"""What counts as a pattern that is repeated at one position, and which patterns are parts of one.

Shape letters: N images of H x W pixels, R known patterns.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]

BITS = 3  # bits of a gray level that count
# A gray level at the border of two of the eight levels is in the middle with the second offset.
OFFSETS = (0, 1 << (7 - BITS))
LEAST_SHARE, LEAST_COUNT = 0.001, 8  # of images with a pattern
MOST_SHARE = 0.5  # above it, a pattern is the background
RARER_ELSEWHERE = 6.0  # times as frequent as at any other position
MOST_VARIED = 3.0  # times as many images that have it in similar shades; edges: 4 to 35
CHANCE = 1  # images added to the count elsewhere, to allow for chance
NEAR = 10  # pixels; the side of a large stamp
MOST_EXAMINED = 1000  # patterns; a scene, form or screen on many images has one at each position


@final
@dataclass(frozen=True, kw_only=True)
class Repeated:
    """A pattern that is too frequent at its position.

    Attributes:
        top: Its top row.
        left: Its leftmost column.
        places: Indices of the images with the pattern, ascending.
    """

    top: int
    left: int
    places: Places


@final
class Rivals:
    """The two positions at which each of many patterns is most frequent.

    Memory does not grow with the number of positions.

    Example:
        >>> rivals = Rivals(1)
        >>> for place, count in enumerate((2, 9, 4)):
        ...     rivals.add(place, np.array([count]))
        >>> rivals.elsewhere(np.array([0, 0]), np.array([1, 2])).tolist()
        [4, 9]

    """

    def __init__(self, known: int) -> None:
        self._most_R = np.zeros(known, np.int64)
        self._next_R = np.zeros(known, np.int64)
        self._place_R = np.full(known, -1)

    def add(self, place: int, counts_R: NDArray[np.int64]) -> None:
        """Note how many images have each pattern at one more position."""
        self._next_R = np.maximum(self._next_R, np.minimum(counts_R, self._most_R))
        self._place_R[counts_R > self._most_R] = place
        self._most_R = np.maximum(self._most_R, counts_R)

    def elsewhere(self, patterns: Places, places: Places) -> NDArray[np.int64]:
        """Count the images with each pattern at its most frequent other position."""
        is_first = self._place_R[patterns] == places
        return np.where(is_first, self._next_R[patterns], self._most_R[patterns])


def least_of(images: int) -> int:
    """Return how many images have a pattern at least if it is repeated."""
    return max(LEAST_COUNT, int(LEAST_SHARE * images))


def examined(counts: Places, elsewhere: Places) -> Places:
    """Return the indices of patterns that are rare elsewhere: the most frequent first, not all."""
    is_rare = counts >= RARER_ELSEWHERE * (elsewhere + CHANCE)
    return np.argsort(np.where(is_rare, -counts, 1), kind="stable")[
        : min(is_rare.sum(), MOST_EXAMINED)
    ]


def levels(gray: NDArray[np.uint8], offset: int) -> NDArray[np.uint8]:
    """Return the level of each gray value, with levels that begin at an offset."""
    lifted = np.minimum(gray, 255 - offset) + np.uint8(offset)
    return np.asarray(lifted >> (8 - BITS), np.uint8)


def distinct(found: Iterable[Repeated], images: int) -> tuple[Repeated, ...]:
    """Keep the most frequent of patterns that are parts of one, and none of the background."""
    chosen: list[Repeated] = []
    for each in sorted(found, key=lambda each: -len(each.places)):
        if not any(_are_one(each, other) for other in chosen):
            chosen.append(each)
    # Only now, so that patterns that are parts of the background are dropped with it.
    return tuple(each for each in chosen if len(each.places) <= MOST_SHARE * images)


def _are_one(one: Repeated, other: Repeated) -> bool:
    """Whether two patterns are parts of one: near each other, and mostly in the same images."""
    near = max(abs(one.top - other.top), abs(one.left - other.left)) <= NEAR
    if not near:
        return False
    shared = len(np.intersect1d(one.places, other.places, assume_unique=True))
    return shared >= 0.5 * min(len(one.places), len(other.places))
