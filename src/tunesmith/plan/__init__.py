"""Decide what to run in this budget: pure functions of what was measured.

Nothing here reads a clock, a file or a device, so a plan can be tested, printed and replayed.
"""

from tunesmith.plan.augmentation import brief_seconds, choose_augmentation
from tunesmith.plan.extension import extend
from tunesmith.plan.foreseen import Foreseen
from tunesmith.plan.plan import (
    FOLD_SHARE,
    VERIFIED,
    Plan,
    asked_images,
    describe,
    most_examples,
    most_reserved,
    plan,
    trained_images,
    tuned_examples,
)
from tunesmith.plan.race import (
    RACE_SHARE,
    TRANSFER_FEWEST_S,
    after_heat,
    expected,
    is_worth_racing,
    is_worth_trying,
    pays_together,
    race_words,
    sharing,
    unraced_words,
    untried_words,
)
from tunesmith.plan.search import NEEDED_SHARE, UNITS, UNITS_EACH, SearchPlan, plan_search
from tunesmith.plan.speeds import (
    WIDTHS,
    Speed,
    batch_of,
    choose_resolution,
    choose_size,
    choose_width,
    epochs_wanted,
    probe_seconds,
    readable_images,
    resolutions_of,
    sees_enough,
    sizes_of,
)
from tunesmith.plan.words import read_words

__all__ = [
    "FOLD_SHARE",
    "NEEDED_SHARE",
    "RACE_SHARE",
    "TRANSFER_FEWEST_S",
    "UNITS",
    "UNITS_EACH",
    "VERIFIED",
    "WIDTHS",
    "Foreseen",
    "Plan",
    "SearchPlan",
    "Speed",
    "after_heat",
    "asked_images",
    "batch_of",
    "brief_seconds",
    "choose_augmentation",
    "choose_resolution",
    "choose_size",
    "choose_width",
    "describe",
    "epochs_wanted",
    "expected",
    "extend",
    "is_worth_racing",
    "is_worth_trying",
    "most_examples",
    "most_reserved",
    "pays_together",
    "plan",
    "plan_search",
    "probe_seconds",
    "race_words",
    "read_words",
    "readable_images",
    "resolutions_of",
    "sees_enough",
    "sharing",
    "sizes_of",
    "trained_images",
    "tuned_examples",
    "unraced_words",
    "untried_words",
]
