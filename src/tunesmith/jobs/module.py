"""Rebuild a network from its bundle."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tunesmith.bundle.manifest import read_manifest
from tunesmith.core.errors import BundleError
from tunesmith.models.build import rebuild
from tunesmith.models.preprocess import Deployed, Normalize

NETWORK_FILE = "network.py"  # a user's own network, kept beside its weights
WEIGHTS_FILE = "model.safetensors"


def load_module(bundle: Path) -> Deployed:
    """The network of a bundle, from uint8 images ``(N, H, W, C)`` to probabilities ``(N, K)``.

    A user's own network is built by the copy of its file that the bundle keeps, whose hash the
    manifest states.

    Raises:
        BundleError: A file is missing or damaged.
    """
    manifest = read_manifest(bundle)
    model, size = manifest.model, (manifest.input.height, manifest.input.width)
    custom = model.source
    name = f"{bundle / NETWORK_FILE}:{custom.function}" if custom else model.family
    channels = manifest.input.channels
    network = rebuild(
        name, len(manifest.classes), channels, size=size, config=model.config, views=model.views
    )
    blank = Normalize(torch.zeros(channels), torch.ones(channels))
    deployed = Deployed(network, blank, size=size)
    try:
        deployed.load_state_dict(load_file(bundle / WEIGHTS_FILE))
    except (SafetensorError, RuntimeError) as error:
        raise BundleError(
            f"{bundle / WEIGHTS_FILE} does not fit the network that the manifest describes: {error}"
        ) from error
    return deployed.eval()
