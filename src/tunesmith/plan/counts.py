"""How many images a run trains on, and how many it predicts."""

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.data.split import SMALL, TEST_MOST, TEST_SHARE, asked_sizes, missing_images
from tunesmith.plan.speeds import FEWEST_EPOCHS_SMALL, FEWEST_TUNED

VERIFIED = 256  # images to compare graph and network on


def tested_images(data: Fingerprint) -> int:
    """Number of test images: those given, or the share that the split will hold out."""
    known = data.images - data.validation_images
    return data.test_images or min(TEST_MOST, round(TEST_SHARE * known))


def has_folds(data: Fingerprint) -> bool:
    """Whether images are so few that folds replace the other held-out sets."""
    return data.images - tested_images(data) < SMALL


def trained_images(data: Fingerprint) -> int:
    """Number of training images."""
    validation = data.validation_images
    if has_folds(data):
        return data.images - tested_images(data)
    learned = _learned(data)
    *asked, are_given = asked_sizes(learned, validation)
    return learned - missing_images(learned, validation) - (0 if are_given else sum(asked))


def _learned(data: Fingerprint) -> int:
    """Number of images beside the test set and a predefined validation set."""
    return data.images - tested_images(data) - data.validation_images


def tuned_examples(data: Fingerprint) -> float:
    """Minimum number of examples for fine-tuning."""
    return FEWEST_EPOCHS_SMALL * trained_images(data) if has_folds(data) else FEWEST_TUNED


def asked_images(data: Fingerprint) -> int:
    """Number of predictions to make once a model is trained.

    These are selection, calibration and test set, and twice the images that graph and network are
    compared on. Folds are predicted in the time that they are trained in.
    """
    tested, verified = tested_images(data), min(VERIFIED, trained_images(data))
    if has_folds(data):
        return tested + 2 * verified
    *asked, _ = asked_sizes(_learned(data), data.validation_images)
    return tested + 2 * verified + sum(asked)
