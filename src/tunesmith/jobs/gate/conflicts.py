"""Copies with different labels, and what `fit` leaves out if suspects are."""

import numpy as np

from tunesmith.core.words import counted
from tunesmith.jobs.gate.alike import Alike, Places, items, spared
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding


def torn(data: Data, alike: Alike) -> Places:
    """Return the indices of images that `fit` leaves out if suspects are; may include test images.

    A copy contradicts their label, or they are near copies of test images that are kept otherwise.
    """
    contradicted = np.array(list(_contradicted(data, alike)), np.int64)
    return np.union1d(contradicted, spared(data, alike))


def _contradicted(data: Data, alike: Alike) -> dict[int, int]:
    """Map each image to an image that it is a copy of, and that has another label.

    Along a chain of near copies labels may well change: the first and the last frame of a film show
    different things. So only direct pairs and exact copies count.
    """
    labels_N, seen_N = data.labels, alike.seen_N
    order_N = np.lexsort((labels_N, seen_N))
    ends_G = np.cumsum(np.bincount(seen_N))
    begins_G = np.append(0, ends_G[:-1])
    least_G, most_G = order_N[begins_G], order_N[ends_G - 1]  # lowest and highest label
    own_G = np.arange(len(ends_G))
    near_P2 = seen_N[alike.near_P2]
    # Exact copies first: of two reasons, the stronger one is reported.
    pairs_P2 = np.concatenate([np.stack([own_G, own_G], axis=1), near_P2, near_P2[:, ::-1]])
    low_P = labels_N[least_G[pairs_P2]].min(axis=1)
    found: dict[int, int] = {}
    for one, other in pairs_P2[labels_N[most_G[pairs_P2]].max(axis=1) > low_P].tolist():
        for place in order_N[begins_G[one] : ends_G[one]].tolist():
            for twin in (int(least_G[other]), int(most_G[other])):
                if labels_N[twin] != labels_N[place]:
                    found.setdefault(place, twin)
    return found


def conflicts(data: Data, alike: Alike) -> Finding | str:
    """Report copies that have different labels."""
    found = _contradicted(data, alike)
    if not found:
        return "Copies with different labels: none."
    places = sorted(found, key=lambda place: (alike.near_N[place], place))
    pairs = [(place, found[place]) for place in places]
    contradicted = items(data, alike, pairs, but=", but labeled otherwise")
    is_small = data.loaded.resized
    small = f", or their difference is too small to show at {data.size}" if is_small else ""
    return Finding(
        kind="conflict",
        weight="doubtful",
        title=f"{counted(len(contradicted), 'image')} with a copy in another class",
        meaning=(
            f"At least one of the two labels is wrong, or the classes overlap{small}. Decide "
            "which, and mend it. With --on-suspects quarantine they are left out of training."
        ),
        items=contradicted,
        is_suspect=True,
    )
