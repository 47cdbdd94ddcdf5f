"""Sentences that explain a plan."""

from tunesmith.core.words import counted, duration, passes, sides
from tunesmith.data.fingerprint import Fingerprint
from tunesmith.data.split import FOLDS, SMALL
from tunesmith.plan.reading import reading_budget
from tunesmith.plan.speeds import Speed


def chosen_words(
    data: Fingerprint, best: Speed, cores: int, coarse: float, *, epochs: float
) -> tuple[str, ...]:
    """Describe the chosen network and its training.

    Args:
        data: Fingerprint of the data.
        best: Measured speed of the network.
        cores: Number of cores of the machine.
        coarse: Side of the images in the first half of the training, relative to their own.
        epochs: Number of epochs.
    """
    return (
        _size_words(data, best),
        _speed_words(best, epochs),
        *_thread_words(best.threads, cores),
        *_coarse_words(coarse),
    )


def _size_words(data: Fingerprint, best: Speed) -> str:
    height, width = data.typical
    same = best.size == (height, width)
    origin = "their own size" if same else f"stretched from {width} x {height} (typical)"
    return f"Images are read at {sides(*best.size)}, {origin}."


def _speed_words(best: Speed, epochs: float) -> str:
    inside = f" at {best.resolution} pixels" if best.resolution else ""
    network = f"Width {best.width}" if best.width else f"The network{inside}"
    mixed = f" in {best.precision}" if best.mixed else ""
    return (
        f"{network} trains {best.images_per_s:,.0f} images/s here{mixed} and sees {passes(epochs)}."
    )


def _thread_words(threads: int, cores: int) -> tuple[str, ...]:
    words = (
        f"Other work keeps the cores busy: training is faster here with {threads} of {cores} "
        "threads, since fewer wait for each other. More are tried now and then."
    )
    return (words,) if threads < cores else ()


def _coarse_words(coarse: float) -> tuple[str, ...]:
    words = (
        f"In the first half of the training images are shrunk to {100 * coarse:.0f} % of their "
        "side: that costs less, and large steps need no detail."
    )
    return (words,) if coarse < 1 else ()


def read_words(
    read: int, images: int, read_per_s: float, *, spent: float, kept: bool
) -> tuple[str, ...]:
    """Say so if not all images are read.

    Args:
        read: Number of images that are read.
        images: Number of all images.
        read_per_s: Images read per second.
        spent: Seconds of the budget used before they are read.
        kept: Whether these images are the run's from now on, whatever its budget.
    """
    whole_s = images / max(1e-9, read_per_s)
    enough = duration(reading_budget(images, read_per_s, spent=spent))
    words = (
        f"{read:,} of {images:,} images are read, chosen at random: reading all would take "
        f"{duration(whole_s)} here. A budget of about {enough} is enough for all"
        f"{', with another --out: this run keeps its sample' if kept else ''}."
    )
    return (words,) if read < images else ()


def kept_words(read: int, images: int) -> tuple[str, ...]:
    """Say so if a larger budget does not read more images, since a run keeps its sample."""
    words = (
        f"This run keeps its sample, {read:,} of {images:,} images, whatever its budget: with "
        "another --out, more may be read."
    )
    return (words,) if read < images else ()


def former_words(budget: float) -> str:
    """Say what a run keeps that was chosen for its former budget, in seconds."""
    return (
        f"This run keeps what was chosen when its budget was {duration(budget)}, such as network, "
        "width, batch, augmentation and image size: with another --out, these are chosen for the "
        "larger one."
    )


def fold_words(*, small: bool) -> tuple[str, ...]:
    """Explain what is done if there are few images."""
    words = (
        f"With under {SMALL:,} training images none is held out: up to {FOLDS} further networks, "
        "each trained without a part of the images, give honest predictions for calibration."
    )
    return (words,) if small else ()


def budget_words(enough: float | None, fewest: float, *, late_s: float = 0.0) -> tuple[str, ...]:
    """Say which budget would be enough, if this one is not, and how late the run will end.

    Args:
        enough: Budget that would be enough, in seconds; None if this one is.
        fewest: Number of epochs that are wanted.
        late_s: Seconds after its budget at which the run is expected to end, if it is late.
    """
    told = []
    if enough is not None:
        goal = f"see each image {counted(round(fewest), 'time')}"
        if fewest < 1:
            goal = f"train on {100 * fewest:.0f} % of the images"
        told.append(
            f"The budget is short for this much data: about {duration(enough)} would be enough to "
            f"{goal}. You get the best this time allows."
        )
    if round(late_s, 1) > 0:  # less would be told as 0.0 s
        told.append(
            f"Expect the run to end about {duration(late_s)} late: what is done before and after "
            "the training leaves too little time for it."
        )
    return tuple(told)
