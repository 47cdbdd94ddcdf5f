"""Networks that cannot be trained on a batch, or not as set: why; larger ones are not tried."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from tunesmith import plan as planning
from tunesmith.core.errors import ModelError, OutOfMemoryError, SettingsError, TunesmithError
from tunesmith.core.settings import Settings
from tunesmith.models.build import Family
from tunesmith.models.custom import is_channels_last
from tunesmith.training.findings import Measured

ONE_VALUE = "Expected more than 1 value per channel"  # what torch's batch normalization then says


def takes_channels_last(settings: Settings, network: nn.Module, x_NCHW: Tensor) -> bool:
    """Whether a user's network computes images with channels last in memory, too; it is changed.

    Raises:
        SettingsError: It does not, and the user's settings say that it must.
    """
    found = is_channels_last(network, x_NCHW)
    if not found and "channels_last" in settings.train:  # where it is false, nobody asks
        raise SettingsError(
            "`train.channels_last` = true is for networks that compute images with channels last "
            "in memory. Yours cannot, as if it had a `view` where that needs a `reshape`. Leave "
            "it out, or mend the network."
        )
    return found


def explained(family: Family, settings: Settings, run: Callable[[], Measured]) -> Measured:
    """Measure; a user's network that fails here in training worked in inference before.

    Raises:
        ModelError: It fails.
    """
    try:
        return run()
    except Exception as error:
        told = str(error).rstrip(".")
        if told.startswith(ONE_VALUE):
            raise ModelError(_one_value(family, settings)) from error
        if family.source is None or isinstance(error, TunesmithError):
            raise
        raise ModelError(
            f"Your network raised {type(error).__name__} when it was trained on a batch: {told}. "
            "It answers in eval mode, so look at what it does in training alone: `self.training`, "
            "`detach`, `no_grad`, operations in place, logits that are no floating-point numbers. "
            "Try `nn.functional.cross_entropy(network.train()(x), y).backward()` on a batch."
        ) from error


def _one_value(family: Family, settings: Settings) -> str:
    """Say why batch normalization has a single value to normalize, and what to do about it."""
    is_set = settings.train.get("batch") == 1
    why = "`train.batch` is 1" if is_set else "memory has room for one image"
    way_out = "Set it to 2 or more" if is_set else "Choose a smaller network or smaller images"
    return (
        f"A batch must have two images at least, since {family.name} normalizes single values over "
        f"it (as nn.BatchNorm1d does), but {why}. {way_out}, or normalize otherwise."
    )


def within_memory(
    speed: Callable[..., planning.Speed], ways: Iterable[Mapping[str, Any]], *, needed: bool = True
) -> Iterator[planning.Speed]:
    """Measure in several ways, cheapest first, up to one that does not fit into memory.

    Args:
        speed: Measures a network.
        ways: Arguments for each measurement.
        needed: Whether the first way must fit.

    Yields:
        What was measured.

    Raises:
        OutOfMemoryError: Nothing fits that must.
    """
    for way in ways:
        try:
            found = speed(**way)
        except OutOfMemoryError:
            if needed:
                raise
            return
        needed = False
        yield found
