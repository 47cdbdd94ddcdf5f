"""Subsample a source that would take too long to read in full."""

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.seeds import derive
from tunesmith.data.source import Given, Source

TEST_SHARE = 0.5  # largest share of the sample for a predefined test set
FEWEST = 5  # images of each class that are kept, if there are as many
LEAST = 2  # the same, if five of each class would be too many


def thinned(source: Source, count: int | None, *, seed: int) -> Source:
    """Keep a random sample of about ``count`` images, stratified by class.

    A predefined test set is kept in full if possible: it makes up at most half of the sample. The
    result depends only on the arguments, so that a resumed run gets the same images.

    Args:
        source: Source of the images, none of them read yet.
        count: Number of images to keep, slightly more if classes are rare; None for all.
        seed: Random seed of the sample.
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
    return source.subset(kept)


def _chosen(source: Source, places: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Choose about ``count`` of some indices at random, stratified by class."""
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
