"""What the parts that are held out cannot tell, since whole groups are held out."""

import numpy as np

from tunesmith.core.words import counted
from tunesmith.data.folders import listed
from tunesmith.data.split import SMALL, Split
from tunesmith.jobs.gate.findings import Data
from tunesmith.report.findings import Finding


def uncovered(data: Data, split: Split) -> Finding | None:
    """Report classes without an image in the test part, or in another part that has room for one.

    Args:
        data: Decoded images.
        split: Which of them are in which part.
    """
    counts_K = np.bincount(data.labels, minlength=len(data.source.classes))
    told, lacking = [], set()
    for name in ("test", "validation", "selection", "calibration"):
        places = getattr(split, name)
        is_due_K = (counts_K * len(places) >= len(data.labels)) | (name == "test")
        is_there_K = np.bincount(data.labels[places], minlength=len(counts_K)) > 0
        gone = np.flatnonzero(is_due_K & ~is_there_K)
        if len(places) and len(gone):
            told.append(f"{name}: {listed([f'“{data.source.classes[k]}”' for k in gone])}")
            lacking.update(gone.tolist())
    if not told:
        return None
    grouped = "" if data.source.groups is None else " of other groups"
    return Finding(
        kind="uncovered",
        weight="notable",
        title=f"{counted(len(lacking), 'class', 'classes', verb=('is', 'are'))} missing in a part "
        "that is held out",
        meaning=(
            f"What is measured on such a part says nothing about them. {'; '.join(told)}. Copies, "
            "and images of one group, stay together in one part, and some images of each class are "
            f"kept to learn from: add images of these classes{grouped}."
        ),
    )


def unheld(split: Split) -> Finding | None:
    """Report that there are folds in place of other parts although there are many images."""
    if split.folds is None or len(split.train) < SMALL:
        return None
    return Finding(
        kind="unheld",
        weight="notable",
        title="Too few groups to hold out more than a test part",
        meaning=(
            "Copies, and images of one group, stay together. Whole groups for validation, "
            "selection and calibration would leave less to learn from than networks have that are "
            "each trained without a fifth of the images. Such networks take their place, as with "
            f"fewer than {SMALL:,} images, and one network answers. Images of other groups would "
            "change that."
        ),
    )
