"""Choose augmentations that keep the meaning of images."""

import math

from tunesmith.data.augmentation import Augmentation
from tunesmith.training.findings import Harm, beyond_chance

# Loss of accuracy on changed images that is acceptable, relative to accuracy beyond chance. Digits
# lose 1 to 5 % when rotated, and are learned better with rotations, since handwriting slants.
# Clothes lose no more, 4 to 5 %, but are learned a point worse (Fashion-MNIST). Mirrored images
# tell the two apart: of digits 44 to 60 % are still recognized, of clothes nearly 80 %.
HARMLESS = {"flip": 0.05, "flip_vertical": 0.05, "rotate": 0.08}
SIGNS = 0.68  # share of mirrored images that are still recognized; of signs it is less
KNOWS = 0.4  # accuracy beyond chance that is needed to judge vertical flips
CUTOUT_EPOCHS = 20.0  # shorter trainings underfit, and cutout harms them


def brief_seconds(budget: float) -> float:
    """Seconds for the probe training that judges flips and rotations."""
    return min(6.0, 0.035 * budget)


def choose_augmentation(harm: Harm, *, epochs: float) -> tuple[Augmentation, tuple[str, ...]]:
    """Choose augmentations by how a briefly trained network does on changed images.

    A change is used if it lowers accuracy by no more than a small share of what was learned beyond
    chance, plus a standard error. Vertical flips have to prove themselves: the network must have
    learned enough to tell, and no standard error is granted. If mirroring changes the meaning, as
    with digits, small rotations and scalings are used instead, if those are harmless.
    """
    error = math.sqrt(max(1e-9, harm.plain * (1 - harm.plain)) / max(1, harm.images))
    learned = max(0.0, harm.plain - harm.chance)
    granted = {name: error if name != "flip_vertical" else 0.0 for name in harm.changed}
    fine = {
        name: harm.plain - value <= HARMLESS[name] * learned + granted[name]
        for name, value in harm.changed.items()
    }
    # A network that has learned little sees no difference; the rarer change must prove itself.
    knows = beyond_chance(harm.plain, harm.chance) >= KNOWS
    fine["flip_vertical"] = fine["flip_vertical"] and knows
    fine["rotate"] = fine["rotate"] and harm.changed["flip"] < SIGNS * harm.plain
    words = {"flip": "mirrored", "flip_vertical": "turned upside down", "rotate": "rotated by 15°"}
    reasons = tuple(
        f"{words[name].capitalize()} images: {100 * value:.1f} % right against "
        f"{100 * harm.plain:.1f} % of upright ones, so "
        f"{'this change is harmless' if fine[name] else 'this change is not used'}."
        for name, value in harm.changed.items()
    )
    drawn = fine["rotate"] and not fine["flip"]
    how = Augmentation(
        shift=0.0625,
        flip=fine["flip"],
        flip_vertical=fine["flip"] and fine["flip_vertical"],
        rotate=12.0 if drawn else 0.0,
        scale=0.1 if drawn else 0.0,
        cutout=0.25 if not drawn and epochs >= CUTOUT_EPOCHS else 0.0,
    )
    return how, reasons
