"""Refuse an early size of the images that the network cannot compute."""

import torch

from tunesmith import plan as planning
from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import Settings
from tunesmith.core.words import sides
from tunesmith.data.augment import shrunk
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.models.build import Family
from tunesmith.training.slice import untrained


def check_shrunk(
    settings: Settings, data: Fingerprint, family: Family, best: planning.Speed
) -> None:
    """Try the network on images of the size that the user's ``early_scale`` makes of them.

    What the plan chooses works for every network that it is meant for.

    Args:
        settings: User settings.
        data: Fingerprint of the data.
        family: Network family.
        best: A measured network of the size that images are read at.

    Raises:
        SettingsError: The network cannot compute them.
    """
    scale = settings.train.get("early_scale", 1.0)
    small = shrunk(best.size, scale)
    if small == best.size:
        return
    params = {**best.params, **settings.params}
    build = family.builder(data.classes, data.channels, size=best.size, params=params)
    # Batch normalization has a single value to normalize in a map of one pixel of one image.
    alone = 1 in (settings.train.get("batch"), best.largest_batch)
    network = untrained(build, settings.seed).train(alone)
    try:
        with torch.no_grad():
            network(torch.zeros((1 if alone else 2, data.channels, *small)))
    except Exception as error:
        raise SettingsError(
            f"`train.early_scale` must leave images that {family.name} can compute, but {scale:g} "
            f"makes {sides(*small)} of {sides(*best.size)} ({str(error).rstrip('.')}). Set a value "
            f"closer to 1, or leave it out{', or train batches of more images' if alone else ''}."
        ) from error
