"""Rebuild a network from its bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tunesmith.bundle.manifest import ModelInfo, read_manifest
from tunesmith.core.errors import BundleError
from tunesmith.models.build import ENSEMBLE, rebuild
from tunesmith.models.preprocess import Deployed, Normalize

NETWORK_FILE = "network.py"  # a user's own network, kept beside its weights
WEIGHTS_FILE = "model.safetensors"


def _from_copy(model: ModelInfo, copy: str) -> tuple[str, Mapping[str, Any]]:
    """Return family and config to build a user's network from the bundle's copy of its file."""
    if model.family != ENSEMBLE:
        return copy, model.config
    members = [{**member, "family": copy} for member in model.config["members"]]
    return ENSEMBLE, {"members": members}


def load_module(bundle: Path) -> Deployed:
    """Load the network of a bundle: uint8 images ``(N, H, W, C)`` to probabilities ``(N, K)``.

    A user's own network is built from the copy of its file in the bundle, whose hash is in the
    manifest.

    Raises:
        BundleError: A file is missing or damaged.
    """
    manifest = read_manifest(bundle)
    model, size = manifest.model, (manifest.input.height, manifest.input.width)
    custom = model.source
    name, config = model.family, model.config
    if custom:
        name, config = _from_copy(model, f"{bundle / NETWORK_FILE}:{custom.function}")
    channels = manifest.input.channels
    network = rebuild(
        name, len(manifest.classes), channels, size=size, config=config, views=model.views
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
