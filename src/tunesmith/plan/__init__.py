"""Decide what to run in this budget: pure functions of what was measured.

Nothing here reads a clock, a file or a device, so a plan can be tested, printed and replayed.
"""

from tunesmith.plan.augmentation import brief_seconds, choose_augmentation
from tunesmith.plan.plan import FOLD_SHARE, Plan, describe, most_examples, plan
from tunesmith.plan.speeds import (
    WIDTHS,
    Speed,
    batch_of,
    choose_size,
    choose_width,
    epochs_wanted,
    probe_seconds,
    sizes_of,
)

__all__ = [
    "FOLD_SHARE",
    "WIDTHS",
    "Plan",
    "Speed",
    "batch_of",
    "brief_seconds",
    "choose_augmentation",
    "choose_size",
    "choose_width",
    "describe",
    "epochs_wanted",
    "most_examples",
    "plan",
    "probe_seconds",
    "sizes_of",
]
