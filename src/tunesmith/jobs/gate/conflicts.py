"""Copies with different labels, and what `fit` leaves out if suspects are."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import final

import numpy as np

from tunesmith.core.words import counted
from tunesmith.jobs.gate.alike import Alike, Places, items, spared
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding


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
            f"At least one of the two labels is wrong, or the classes overlap{small}. Of some "
            "copies, those are listed whose label is the rarer one, or all if no label is. Decide "
            "which is right, and mend it. With --on-suspects quarantine those that are listed are "
            "left out of training."
        ),
        items=contradicted,
        is_suspect=True,
    )


def torn(data: Data, alike: Alike) -> Places:
    """Return the indices of images that `fit` leaves out if suspects are; may include test images.

    Copies contradict their label, or they are near copies of test images that are kept otherwise.
    """
    contradicted = np.array(list(_contradicted(data, alike)), np.int64)
    return np.union1d(contradicted, spared(data, alike))


@final
class _Labeled:
    """Labels of the images of each group of images that are equal as loaded."""

    def __init__(self, data: Data, alike: Alike) -> None:
        self._labels_N, self._exact_N = data.labels, alike.exact_N
        self._order_N = np.argsort(alike.seen_N, kind="stable")
        self._ends_G = np.cumsum(np.bincount(alike.seen_N))
        self._known: dict[int, dict[int, list[int]]] = {}
        self._exact: dict[tuple[int, int], int] = {}

    def extremes(self) -> tuple[Places, Places]:
        """Lowest and highest label of each group."""
        begins_G = np.append(0, self._ends_G[:-1])
        sorted_N = self._labels_N[self._order_N]
        return np.minimum.reduceat(sorted_N, begins_G), np.maximum.reduceat(sorted_N, begins_G)

    def of(self, group: int) -> dict[int, list[int]]:
        """Map each label to the indices of the images that have it, ascending."""
        if group not in self._known:
            by_label: dict[int, list[int]] = defaultdict(list)
            begin = self._ends_G[group - 1] if group else 0
            for place in self._order_N[begin : self._ends_G[group]].tolist():
                label = int(self._labels_N[place])
                by_label[label].append(place)
                self._exact.setdefault((int(self._exact_N[place]), label), place)
            self._known[group] = by_label
        return self._known[group]

    def twin(self, place: int, group: int, label: int) -> int:
        """Index of an image of a group and a label, equal to another to the pixel if one is."""
        own = int(self._exact_N[place])
        return self._exact.get((own, label), self.of(group)[label][0])


def _contradicted(data: Data, alike: Alike) -> dict[int, int]:
    """Map each image whose label is not the commoner one to a copy that has another label.

    Along a chain of near copies labels may well change: the first and the last frame of a film show
    different things. So only direct pairs and equal images count, and the labels that are counted
    are those of the two and of what either is a direct copy of.
    """
    labeled, near_P2 = _Labeled(data, alike), alike.seen_N[alike.near_P2]
    least_G, most_G = labeled.extremes()
    own_G = np.arange(len(least_G))
    # Equal images first: of two reasons, the stronger one is reported.
    pairs_P2 = np.concatenate([np.stack([own_G, own_G], axis=1), near_P2])
    is_torn_P = most_G[pairs_P2].max(axis=1) > least_G[pairs_P2].min(axis=1)
    torn_P2 = pairs_P2[is_torn_P]
    copies: dict[int, set[int]] = defaultdict(set)
    for one, other in near_P2[np.isin(near_P2, torn_P2).any(axis=1)].tolist():
        copies[one].add(other)
        copies[other].add(one)
    found: dict[int, int] = {}
    for one, other in torn_P2.tolist():
        votes: Counter[int] = Counter()
        for group in {one, other} | copies[one] | copies[other]:
            votes.update({label: len(places) for label, places in labeled.of(group).items()})
        for mine, theirs in ((one, other), (other, one)):
            for label, rival in _outvoted(labeled.of(mine), labeled.of(theirs), votes):
                for place in labeled.of(mine)[label]:
                    found.setdefault(place, labeled.twin(place, theirs, rival))
    return found


def _outvoted(
    mine: dict[int, list[int]], theirs: dict[int, list[int]], votes: Counter[int]
) -> Iterator[tuple[int, int]]:
    """Yield each label that is not commoner than the commonest other one, and that one."""
    for label in mine:
        rivals = [each for each in theirs if each != label]
        rival = max(rivals, key=lambda each: votes[each], default=label)
        if rival != label and votes[rival] >= votes[label]:
            yield label, rival
