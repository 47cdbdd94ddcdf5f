"""Why a training ended."""

from enum import StrEnum
from typing import final


@final
class EndReason(StrEnum):
    """Why a training ended; the journal and ``result.json`` hold these values."""

    HORIZON = "horizon reached"
    """Every image was seen as often as has been found to help."""
    TIME = "time used up"
    """Its share of the budget was over."""
    DIVERGED = "diverged"
    """The loss became no finite number again and again; the last good weights are kept."""
    MEMORY = "out of memory"
    """Memory ran out with a batch of one image; the last good weights are kept."""
    INTERRUPTED = "interrupted"
    """The user stopped the run: the same command goes on."""
    PAUSED = "paused"
    """It was to be compared with others at this point."""

    @property
    def is_for_good(self) -> bool:
        """Whether the training goes on only if the run is extended."""
        return self not in (EndReason.MEMORY, EndReason.INTERRUPTED, EndReason.PAUSED)
