"""Take a part of a source, where reading all of it would take longer than there is time."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.seeds import derive
from tunesmith.data.source import Given, Source

TEST_SHARE = 0.5  # of what is read, at most, goes into a test part that the source states
FEWEST = 5  # images of each class that are kept if there are as many
LEAST = 2  # the same, where five of each are more than there is time for


def thinned(source: Source, count: int | None, *, seed: int) -> Source:
    """Keep about ``count`` random images, of each class in its proportion.

    A test part that the source states is kept whole if that is possible: it is up to half of what
    is kept. A function of its arguments alone, so that a run that goes on finds the same images.

    Args:
        source: Images, none of them read.
        count: How many to keep, a little more where classes are rare; None for all.
        seed: Decides which.
    """
    if count is None or count >= len(source.labels):
        return source
    is_test_N = source.given == Given.TEST
    tested = min(int(is_test_N.sum()), int(TEST_SHARE * count))
    kept = np.sort(
        np.concatenate(
            [
                _chosen(source, np.flatnonzero(is_test_N), tested, derive(seed, "thin", 0)),
                _chosen(
                    source, np.flatnonzero(~is_test_N), count - tested, derive(seed, "thin", 1)
                ),
            ]
        )
    )
    return replace(
        source,
        names=tuple(source.names[place] for place in kept),
        labels=source.labels[kept],
        given=source.given[kept],
        groups=None if source.groups is None else source.groups[kept],
        read=lambda index: source.read(int(kept[index])),
    )


def _chosen(source: Source, places: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Choose about ``count`` of some places, of each class in its proportion."""
    shuffled = np.random.default_rng(seed).permutation(places)
    by_class = shuffled[np.argsort(source.labels[shuffled], kind="stable")]
    counts_K = np.bincount(source.labels[by_class], minlength=len(source.classes))
    share = count / max(1, len(places))
    fewest = FEWEST if FEWEST * len(source.classes) <= count else LEAST
    return np.concatenate(
        [
            own[: max(min(fewest, len(own)), round(share * len(own)))]
            for own in np.split(by_class, np.cumsum(counts_K)[:-1])
        ]
    )
