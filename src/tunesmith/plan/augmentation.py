"""Choose augmentations that keep the meaning of images."""

import math
from functools import partial

from tunesmith.data.augmentation import Augmentation
from tunesmith.training.findings import SHIFT, Harm, beyond_chance

# Loss of accuracy on changed images that is acceptable, relative to accuracy beyond chance. Digits
# lose 1 to 5 % when rotated, and are learned better with rotations, since handwriting slants.
# Clothes lose no more, 4 to 5 %, but are learned a point worse (Fashion-MNIST). Mirrored images
# tell the two apart: of digits 44 to 60 % are still recognized, of clothes nearly 80 %. Where
# things fill all images alike, as clothes do, shifted ones lose 8 to 15 %, and are learned half a
# point worse in few epochs; digits lose 2 to 3 %, photographs next to nothing. Mirrored clothes are
# unfamiliar, but pass for each other in hardly any two classes (1 to 8 %): with up to 10,000 images
# and in many epochs, they are learned .2 to .8 points better so. Of mirrored 2 and 5, a third or
# more pass for the other digit, and MNIST is learned .6 points worse. In images of 8 x 8 pixels, it
# may be a fifth, so that signs are never taken for merely unfamiliar.
HARMLESS = {"flip": 0.05, "flip_vertical": 0.05, "rotate": 0.08, "shift": 0.05}
SIGNS = 0.68  # share of mirrored images that are still recognized; of signs it is less
KNOWS = 0.4  # accuracy beyond chance that is needed to judge vertical flips, and unfamiliar ones
# Share of two classes that mirroring exchanges: so much is never harmless; so little may be noise.
EXCHANGED, NOT_EXCHANGED = 0.5, 0.2
# Epochs, and seconds of training, up to which changes are not worth the seconds that judging takes.
ONCE, BRIEFLY_S = 1.0, 20.0
# Shorter trainings underfit: cutout harms them, and so do shifts that are not harmless.
LONG_EPOCHS = 20.0
MIRRORED_EPOCHS = 30.0  # in which mirrored images that are unfamiliar, but no other class, help
UNJUDGED = "No image was expected to be shown twice in so few seconds, so that none is changed."
# Why a change is used or not, after the accuracies.
USED, HARMFUL = "so this change is used", "so this change is not used"
EXCHANGING = "and classes turn into each other, so this change is not used"
USED_LONG = "but in so many epochs it helps all the same, so this change is used"
KNOWS_LITTLE = "but the network has learned too little to tell, so this change is not used"
MIRRORED_ONLY = "which is harmless, but only used together with mirroring"
MIRRORED = "which is harmless, but not needed, as mirrored images are used"
SIGNS_ONLY = (
    "which is harmless, but only used for signs, such as digits, of which fewer are recognized "
    "when mirrored"
)


def brief_seconds(budget: float) -> float:
    """Seconds for the probe training that judges flips, rotations and shifts."""
    return min(6.0, 0.035 * budget)


def is_worth_judging(epochs: float, train_s: float) -> bool:
    """Whether changes are worth the seconds that judging them takes.

    Example:
        >>> is_worth_judging(0.6, 8.0), is_worth_judging(2.5, 8.0), is_worth_judging(0.6, 300.0)
        (False, True, True)

    """
    return epochs > ONCE or train_s > BRIEFLY_S


def choose_augmentation(
    harm: Harm | None, *, epochs: float
) -> tuple[Augmentation, tuple[str, ...]]:
    """Choose augmentations by how a briefly trained network does on changed images.

    Without a judgment, none is used. Otherwise, a change is used if it lowers accuracy by no more
    than a small share of what was learned beyond chance, plus a standard error, and a mirroring
    only if it does not turn classes into each other. Vertical flips have to prove themselves: the
    network must have learned enough to tell, and no standard error is granted. If mirroring changes
    the meaning, as with digits, small rotations and scalings are used instead, if those are
    harmless. Shifts are used in long trainings even if they are not, and so are mirrored images
    that are no other class's. A shift that is not judged, since it is less than a pixel, is
    harmless.

    Returns:
        The augmentations, and for each change why it is used or not.
    """
    if harm is None:
        return Augmentation(), (UNJUDGED,)
    harmless = _harmless(harm)
    # A network that has learned little sees no difference; the rarer change must prove itself.
    knows = beyond_chance(harm.plain, harm.chance) >= KNOWS
    signs = harm.changed["flip"] < SIGNS * harm.plain
    unfamiliar = knows and not signs and _exchanged(harm, "flip") < NOT_EXCHANGED
    flip = harmless["flip"] or (unfamiliar and epochs >= MIRRORED_EPOCHS)
    drawn, is_long = harmless["rotate"] and signs and not flip, epochs >= LONG_EPOCHS
    how = Augmentation(
        shift=SHIFT if harmless.get("shift", True) or is_long else 0.0,
        flip=flip,
        flip_vertical=harmless["flip_vertical"] and knows and flip,
        rotate=12.0 if drawn else 0.0,
        scale=0.1 if drawn else 0.0,
        cutout=0.25 if not drawn and is_long else 0.0,
    )
    used = {
        "flip": how.flip,
        "flip_vertical": how.flip_vertical,
        "rotate": how.rotate > 0,
        "shift": how.shift > 0,
    }
    unused = {
        "flip_vertical": MIRRORED_ONLY if knows else KNOWS_LITTLE,
        "rotate": MIRRORED if flip else SIGNS_ONLY,
    }
    # By whether it is harmless, and used.
    usual = {(True, True): USED, (False, False): HARMFUL, (False, True): USED_LONG}
    reasons = (
        EXCHANGING
        if _exchanged(harm, name) >= EXCHANGED
        else usual.get((harmless[name], used[name])) or unused[name]
        for name in harm.changed
    )
    return how, tuple(map(partial(_words, harm), harm.changed, reasons))


def _exchanged(harm: Harm, name: str) -> float:
    """Share of two classes that a change exchanges; between the bounds if that is not known."""
    known = harm.swapped.get(name)
    return known if known is not None else (EXCHANGED + NOT_EXCHANGED) / 2


def _harmless(harm: Harm) -> dict[str, bool]:
    """Return which changes lower accuracy little enough."""
    error = math.sqrt(max(1e-9, harm.plain * (1 - harm.plain)) / max(1, harm.images))
    learned = max(0.0, harm.plain - harm.chance)
    granted = {name: error if name != "flip_vertical" else 0.0 for name in harm.changed}
    return {
        name: harm.plain - value <= HARMLESS[name] * learned + granted[name]
        and _exchanged(harm, name) < EXCHANGED
        for name, value in harm.changed.items()
    }


def _words(harm: Harm, name: str, reason: str) -> str:
    """Give the accuracies with and without a change, and the reason why it is used or not."""
    images = {
        "flip": "Mirrored images",
        "flip_vertical": "Images turned upside down",
        "rotate": "Images rotated by 15 degrees",
        "shift": f"Images shifted by up to {100 * SHIFT:.0f} % of their side",
    }
    return (
        f"{images[name]}: {100 * harm.changed[name]:.1f} % right against {100 * harm.plain:.1f} % "
        f"of unchanged ones, {reason}."
    )
