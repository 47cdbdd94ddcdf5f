"""How long cooling down the best trials of a search takes, and how many there is time for."""

from collections.abc import Sequence

from tunesmith.jobs.search.slices import COOLING
from tunesmith.plan import UNITS, Plan
from tunesmith.tuning.protocols import Trial
from tunesmith.tuning.search import Search
from tunesmith.tuning.timing import SLACK, makespan

MOST = 3  # finalists
FEWEST = 2  # of one, there is nothing to choose
# Most of a search that may go into them, of its time, or of its units. One that is as long as a
# training has none: what it has tried in so short a time tells less than more trials do.
SHARE, UNITS_SHARE = 0.4, 0.3
# Time of a unit of a good trial over that of the plan's network: they are alike in operations, but
# small batches, narrow layers and the steps of some optimizers take longer.
LONGER = 1.5
STARTING_S = 5.0  # in which their processes start, and import what they need


def reserved_s(chosen: Plan, held: int, spent_s: float, left_s: float) -> float:
    """Seconds of a search to leave for cooling down: a share of it; 0 if too few would fit in.

    A search for a number of trials leaves none: these come first.

    Args:
        chosen: Plan whose config is searched around.
        held: Number of images that trials are not trained on.
        spent_s: Seconds that the search has had.
        left_s: Seconds that it has left.
    """
    assert chosen.search is not None
    if chosen.search.trials is not None:
        return 0.0
    unit_s = chosen.search.examples / chosen.images_per_s / UNITS
    unit_s += min(held, chosen.search.validated) / chosen.device_answers_per_s
    each_s = _cooldown_s(LONGER * unit_s, scale=chosen.train.early_scale)
    most_s = min(STARTING_S + MOST * each_s, SHARE * (spent_s + left_s), left_s)
    return most_s if most_s >= STARTING_S + FEWEST * each_s else 0.0


def _cooldown_s(unit_s: float, *, scale: float) -> float:
    """Seconds of a cooldown, for whose first half images are as small as early in a training.

    Args:
        unit_s: Seconds of a unit of training, with images of full size.
        scale: Side of the small images.
    """
    return SLACK * COOLING * unit_s * (1 + scale**2) / 2


def affordable(
    search: Search,
    trials: Sequence[Trial],
    done: Sequence[int],
    *,
    scale: float,
    workers: int,
    left_s: float,
) -> int:
    """How many finalists can be cooled down; 0 if that leaves nothing to choose.

    Args:
        search: Search that was run.
        trials: The finalists, the best first, and the seconds that they took.
        done: Units of the cooldown of each that are behind it.
        scale: Side of the images early in a training, as which most of the search saw them.
        workers: Number of processes of the search. As many of them as there are finalists go on,
            and share what they had.
        left_s: Seconds left.
    """
    most = len(trials)
    if search.units is not None:
        most = min(most, int(UNITS_SHARE * search.units / COOLING))
    for count in range(most, FEWEST - 1, -1):
        beside = min(workers, count)
        slower = beside / workers / scale**2
        each_s = [
            _cooldown_s(slower * trial.unit_s, scale=scale) * (1 - at / COOLING)
            for trial, at in zip(trials[:count], done, strict=False)
        ]
        if not any(each_s) or STARTING_S + makespan(each_s, beside) <= left_s:
            return count
    return 0
