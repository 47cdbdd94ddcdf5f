"""Join data with a separate test set."""

import hashlib
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import SourceError
from tunesmith.core.words import counted
from tunesmith.data.folders import listed, natural
from tunesmith.data.source import Given, Source, untaught
from tunesmith.data.tables import UNGROUPED


def with_test(first: Source, test: Source) -> Source:
    """Add a separate test set; its names get the prefix "test:".

    Raises:
        SourceError: The test set cannot serve as one for these data.
    """
    if (first.given == Given.TEST).any():
        raise SourceError(
            f"There can be one test part, but {first.name} has one already. Leave out the other: "
            "do not pass `test`, or take the test part out of the data."
        )
    if len(np.unique(test.given)) > 1:
        raise SourceError(
            f"All images of a test part serve the test, but {test.name} states parts of its own. "
            "Pass the folder of its test images alone."
        )
    if test.identity == first.identity:
        raise SourceError(
            f"A test needs images that were not learned from, but {test.name} is the training data "
            "itself. Leave out `test`: a part is then put aside for it."
        )
    unknown = [label for label in test.classes if label not in first.classes]
    if unknown:
        raise SourceError(untaught(unknown))
    groups = _joined_groups(first, test)
    number = {label: index for index, label in enumerate(first.classes)}
    split = len(first.labels)
    moved = np.array([number[label] for label in test.classes], np.int64)
    return Source(
        name=first.name,
        classes=first.classes,
        names=(*first.names, *(f"test:{name}" for name in test.names)),
        labels=np.concatenate([first.labels, moved[test.labels]]),
        given=np.concatenate([first.given, np.full(len(test.labels), Given.TEST, np.int8)]),
        read=lambda index: first.read(index) if index < split else test.read(index - split),
        skipped=dict(Counter(first.skipped) + Counter(test.skipped)),
        identity=hashlib.sha256((first.identity + test.identity).encode()).hexdigest(),
        groups=groups,
        columns=_joined_columns(first.columns, test.columns),
    )


def _joined_columns(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Join the columns of two tables; those of the test table are named where they are others."""
    return {**ours} | {f"test {use}": name for use, name in theirs.items() if ours.get(use) != name}


def _joined_groups(first: Source, test: Source) -> NDArray[np.int64] | None:
    """Join the groups of two sources that share none; where one states none, each image is one.

    Raises:
        SourceError: Both name the same group.
    """
    if shared := sorted({*first.group_names} & {*test.group_names} - {""}, key=natural):
        raise SourceError(
            f"Images of a group (column {first.columns.get('group', 'group')}) must all be in one "
            f"part, but {first.name} and its test part, {test.name}, share "
            f"{counted(len(shared), 'group')}: {listed(shared)}. Mend the split; or, if equal "
            f"names mean nothing, leave the groups out by {UNGROUPED}."
        )
    if first.groups is None and test.groups is None:
        return None
    ours, theirs = (
        np.arange(len(each.labels)) if each.groups is None else each.groups
        for each in (first, test)
    )
    return np.concatenate([ours, ours.max(initial=-1) + 1 + theirs])
