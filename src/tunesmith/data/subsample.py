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

    A predefined test set is kept in full if possible: it makes up at most half of the sample. A
    predefined validation set keeps its proportion to the images to learn from. The result depends
    only on the arguments, so that a resumed run gets the same images.

    Args:
        source: Source of the images, none of them read yet.
        count: Number of images to keep, slightly more if classes are rare; None for all.
        seed: Random seed of the sample.
    """
    if count is None or count >= len(source.labels):
        return source
    is_test_N, is_validation_N = (source.given == part for part in (Given.TEST, Given.VALIDATION))
    tested = min(int(is_test_N.sum()), int(TEST_SHARE * count))
    left, beside = count - tested, ~is_test_N
    validated = round(left * is_validation_N.sum() / max(1, beside.sum()))
    # Apart, since a class of which validation images alone are kept could not be learned.
    parts = (
        (is_test_N, tested, True),
        (beside & ~is_validation_N, left - validated, True),
        (is_validation_N, validated, False),
    )
    kept = [
        _chosen(source, np.flatnonzero(is_part_N), size, derive(seed, "thin", number), each=each)
        for number, (is_part_N, size, each) in enumerate(parts)
    ]
    return source.subset(np.sort(np.concatenate(kept)))


def _chosen(
    source: Source, places: NDArray[np.int64], count: int, seed: int, *, each: bool
) -> NDArray[np.int64]:
    """Choose about ``count`` of some indices at random, stratified; of ``each`` class a few."""
    shuffled = np.random.default_rng(seed).permutation(places)
    by_class = shuffled[np.argsort(source.labels[shuffled], kind="stable")]
    counts_K = np.bincount(source.labels[by_class], minlength=len(source.classes))
    share = count / max(1, len(places))
    few = FEWEST if FEWEST * len(source.classes) <= count else LEAST
    fewest = few if each else 0
    return np.concatenate(
        [
            own[: max(min(fewest, len(own)), round(share * len(own)))]
            for own in np.split(by_class, np.cumsum(counts_K)[:-1])
        ]
    )
