"""Labels that look wrong to networks that were not trained on them: reported and listed."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.words import counted
from tunesmith.data.clean import bearing, one_of_each
from tunesmith.data.quarantine import shielded
from tunesmith.evaluation.calibration import softmax
from tunesmith.jobs.gate.alike import Alike
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.look import recipe
from tunesmith.jobs.run.prepare import Prepared
from tunesmith.jobs.training.train import Fitted
from tunesmith.records.cache import Cache
from tunesmith.records.folder import write_atomic
from tunesmith.report.findings import Finding, Item
from tunesmith.screening.labels import NEIGHBORS, find_doubted, rank_labels

FILE = "suspects.csv"
COLUMNS = ("file", "label", "probably", "margin", "part")
TRUSTED = 0.9  # share of labels that a network should agree with before its doubts count
LOOKS = ("looks", "look")

Places = NDArray[np.int64]


@final
@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A label that looks wrong.

    Attributes:
        place: Index of the image in the decoded data.
        part: Split of the image: "test", "train" or "held-out".
        other: Probable class.
        margin: Probability of the label minus that of the probable class.
    """

    place: int
    part: str
    other: int
    margin: float


def find_suspects(
    part: str, places: Places, p_NK: NDArray[np.float32], labels: Places
) -> list[Suspect]:
    """Find the labels that look wrong, the most doubtful first.

    Args:
        part: Split of the images: "test", "train" or "held-out".
        places: Indices of the images in the decoded data.
        p_NK: Probabilities by networks that were not trained on the image in question.
        labels: Class of each decoded image.
    """
    ranking = rank_labels(p_NK, labels[places])
    return [
        Suspect(
            place=int(places[ranking.places[rank]]),
            part=part,
            other=int(ranking.others[rank]),
            margin=float(ranking.margins[rank]),
        )
        for rank in ranking.sure()
    ]


def out_of_fold(fitted: Fitted, temperature: float) -> tuple[Places, NDArray[np.float32]]:
    """Return the indices of training images, and their out-of-fold probabilities.

    Empty if images are held out instead; incomplete after an interruption.

    Args:
        fitted: Trained model, with the logits that the temperature was fitted to.
        temperature: Temperature of the final model.
    """
    if fitted.members[0].prepared.split.folds is None:
        return fitted.places_N[:0], fitted.z_NK[:0]
    return fitted.places_N, softmax(fitted.z_NK, temperature)


def held_out(fitted: Fitted, temperature: float) -> tuple[Places, NDArray[np.float32]]:
    """Return the indices of the images held out for calibration, and their probabilities.

    Empty if there are folds instead; see `out_of_fold`, whose arguments it takes.
    """
    if fitted.members[0].prepared.split.folds is not None:
        return fitted.places_N[:0], fitted.z_NK[:0]
    return fitted.places_N, softmax(fitted.z_NK, temperature)


def write_suspects(folder: Path, prepared: Prepared, found: Sequence[Suspect]) -> None:
    """Write ``suspects.csv``, the most doubtful first; no file if no label looks wrong."""
    if not found:
        (folder / FILE).unlink(missing_ok=True)
        return
    classes, names = prepared.source.classes, prepared.source.names
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for each in sorted(found, key=lambda suspect: suspect.margin):
        rows.writerow(
            [
                shielded(names[prepared.loaded.kept[each.place]]),
                shielded(classes[prepared.labels[each.place]]),
                shielded(classes[each.other]),
                f"{each.margin:.3f}",
                each.part,
            ]
        )
    write_atomic(folder / FILE, text.getvalue())


def _items(prepared: Prepared, found: Sequence[Suspect]) -> list[Item]:
    """Show the images, and what they probably are."""
    data, classes = Data(source=prepared.source, loaded=prepared.loaded), prepared.source.classes
    notes = [f"probably {classes[each.other]}" for each in found]
    return data.items([each.place for each in found], notes)


def tell_learned(prepared: Prepared, asked: int, found: Sequence[Suspect]) -> Finding | str | None:
    """Report labels of training images that look wrong.

    Args:
        prepared: The data.
        asked: Number of images with out-of-fold predictions; if 0, there is nothing to report.
        found: Images whose label looks wrong.
    """
    if not asked:
        return None
    total = len(prepared.split.train)
    if not found:
        some = "" if asked == total else f", of {asked:,} of {total:,} that were asked about"
        return (
            "Labels of training images that look wrong to networks that did not learn from "
            f"them{some}: none."
        )
    some = "" if asked == total else f"Of {total:,} training images, {asked:,} were asked about. "
    return Finding(
        kind="label",
        weight="doubtful",
        title=counted(len(found), "training label", verb=LOOKS) + " wrong",
        meaning=(
            f"{some}A network that learned neither from the image it was asked about nor from its "
            "copies, as far as these are known, is at least 90 % sure of another class. They were "
            "trained on all the same, since some are mistakes of the network: look before you "
            "change a label. "
            f"{FILE} lists them, the most doubtful first; a list of those to leave out can be "
            "passed with --quarantine."
        ),
        items=_items(prepared, found),
    )


def tell_held_out(prepared: Prepared, asked: int, found: Sequence[Suspect]) -> Finding | str | None:
    """Report labels of held-out images that look wrong; takes the arguments of `tell_learned`."""
    if not asked:
        return None
    some = f"of {asked:,} that were held out of the training to calibrate the model"
    if not found:
        return f"Labels of images that look wrong to the model, {some}: none."
    return Finding(
        kind="label-held-out",
        weight="doubtful",
        title=counted(len(found), "held-out label", verb=LOOKS) + " wrong",
        meaning=(
            f"The model is at least 90 % sure of another class for {len(found):,} images, {some}. "
            "It was not asked about the labels that it learned from, of which a like share may be "
            "wrong: `tunesmith check --deep` looks at them all. Some of these are mistakes of the "
            f"model: look before you change a label. {FILE} lists them, the most doubtful first."
        ),
        items=_items(prepared, found),
    )


def too_few(least: int, *, once: bool = True) -> str:
    """Say that something was not looked for; ``once`` if of copies only one counts."""
    return f"not looked for among fewer than {least} images{', of copies one each' if once else ''}"


def doubtful(
    data: Data,
    alike: Alike,
    f_ND: NDArray[np.float32],
    d_NA: NDArray[np.float32],
    cache: Cache,
) -> Finding | str:
    """Report labels that are probably wrong, in any split: two different methods must agree.

    Args:
        data: The images.
        alike: Which of them are copies; of copies with one label, one is judged for all.
        f_ND: Features of each image, by a pretrained network.
        d_NA: Unit vectors to compare images by.
        cache: Cache of earlier results.
    """
    labels_N, classes = data.labels, data.source.classes
    rows = one_of_each(alike.same_N, labels_N)
    if len(rows) <= NEIGHBORS:
        return f"Labels that look wrong: {too_few(NEIGHBORS + 1)}."

    def doubt() -> dict[str, Any]:
        found = find_doubted(f_ND[rows], d_NA[rows], labels_N[rows], len(classes))
        places, others = rows[found.places].tolist(), found.others.tolist()
        return {"right": found.right, "places": places, "others": others}

    found = cache.once(recipe("doubts"), [f_ND, labels_N, rows], doubt)
    if not found["places"]:
        return "Labels that look wrong to a network that did not learn from them: none."
    kind_N = np.unique(alike.same_N * len(classes) + labels_N, return_inverse=True)[1]
    others = dict(zip(kind_N[found["places"]].tolist(), found["others"], strict=True))
    places, right = bearing(kind_N, np.array(found["places"], np.int64)), found["right"]
    return Finding(
        kind="label",
        weight="doubtful",
        title=counted(len(places), "label", verb=LOOKS) + " wrong",
        meaning=(
            "A linear classifier on the features of a pretrained network, which learned neither "
            "from the image it was asked about nor from its copies, is sure of another class, and "
            "the images that are most alike are of that class too. It agrees with "
            f"{100 * right:.0f} % of all labels, so {'some' if right >= TRUSTED else 'most'} of "
            "these are mistakes of its own: look before you change a label. The most doubtful come "
            "first."
        ),
        items=data.items(
            places, [f"probably {classes[others[kind]]}" for kind in kind_N[places].tolist()]
        ),
        is_suspect=right >= TRUSTED,
    )
