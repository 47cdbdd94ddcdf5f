"""Rebuild a network from its bundle."""

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tunesmith.bundle.manifest import ModelInfo, NetworkSource, read_manifest
from tunesmith.core.errors import BundleError, ModelError, RunFolderError
from tunesmith.models.build import ENSEMBLE, rebuild
from tunesmith.models.preprocess import Deployed, Normalize
from tunesmith.records.journal import read_history

NETWORK_FILE = "network.py"  # a user's own network, kept beside its weights
WEIGHTS_FILE = "model.safetensors"


def _built_by(model: ModelInfo, factory: str) -> tuple[str, Mapping[str, Any]]:
    """Return family and config to build a user's network by ``file.py:function``."""
    if model.family != ENSEMBLE:
        return factory, model.config
    members = [{**member, "family": factory} for member in model.config["members"]]
    return ENSEMBLE, {"members": members}


def _file_of(bundle: Path, source: NetworkSource) -> Path:
    """Return the file of a user's network: where it was, since others may lie beside it.

    If it is not there any more, or was changed, or if the bundle left its run's folder, it is the
    copy in the bundle.
    """
    with contextlib.suppress(OSError, RunFolderError):
        file = Path((read_history(bundle.parent).plan or {}).get("network") or NETWORK_FILE)
        if hashlib.sha256(file.read_bytes()).hexdigest() == source.sha256:
            return file
    return bundle / NETWORK_FILE


def load_module(bundle: Path) -> Deployed:
    """Load the network of a bundle: uint8 images ``(N, H, W, C)`` to probabilities ``(N, K)``.

    A user's own network is built by its file, whose hash is in the manifest, or by the copy of that
    in the bundle.

    Raises:
        BundleError: A file is missing or damaged, or a user's network cannot be built any more.
    """
    manifest = read_manifest(bundle)
    model, size = manifest.model, (manifest.input.height, manifest.input.width)
    custom = model.source
    name, config, file = model.family, model.config, bundle / NETWORK_FILE
    if custom:
        file = _file_of(bundle, custom)
        name, config = _built_by(model, f"{file}:{custom.function}")
    classes, channels = len(manifest.classes), manifest.input.channels
    try:
        network = rebuild(name, classes, channels, size=size, config=config, views=model.views)
    except ModelError as error:
        if custom is None:
            raise
        told = str(error).rstrip(".")
        raise BundleError(
            f"The network of {bundle} cannot be built again: {told}. A bundle keeps the file of a "
            f"network of your own, and nothing else that it reads: put that beside {file}."
        ) from error
    blank = Normalize(torch.zeros(channels), torch.ones(channels))
    deployed = Deployed(network, blank, size=size)
    try:
        deployed.load_state_dict(load_file(bundle / WEIGHTS_FILE))
    except (SafetensorError, RuntimeError) as error:
        raise BundleError(
            f"{bundle / WEIGHTS_FILE} does not fit the network that the manifest describes: {error}"
        ) from error
    return deployed.eval()
