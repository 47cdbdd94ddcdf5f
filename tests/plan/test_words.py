"""Tests of `tunesmith.plan.words`."""

from tunesmith.data.fingerprint import Fingerprint
from tunesmith.plan.speeds import Speed
from tunesmith.plan.words import (
    budget_words,
    chosen_words,
    fold_words,
    kept_words,
    read_words,
)

SPEED = Speed(
    width=16,
    size=(28, 28),
    channels_last=True,
    threads=2,
    images_per_s=4000,
    answers_per_s=12_000,
    parameters=100_000,
    activation_bytes=40_000,
)


def test_what_was_chosen_is_told(mnist: Fingerprint) -> None:
    size, speed = chosen_words(mnist, SPEED, 2, 1.0, epochs=3.21)
    assert size == "Images are read at 28 x 28 pixels, their own size."
    assert speed == "Width 16 trains 4,000 images/s here and sees each image about 3.2 times."


def test_sizes_are_width_by_height(mnist: Fingerprint) -> None:
    wide = SPEED.model_copy(update={"size": (45, 48)})
    size, _ = chosen_words(mnist, wide, 2, 1.0, epochs=1.0)
    assert size == (
        "Images are read at 48 x 45 pixels (width x height), stretched from 28 x 28 (typical)."
    )


def test_too_little_time_for_each_image_is_told(mnist: Fingerprint) -> None:
    _, speed = chosen_words(mnist, SPEED, 2, 1.0, epochs=0.04)
    assert speed.endswith("images/s here and sees 4 % of the images.")


def test_fewer_threads_and_small_images_are_told(mnist: Fingerprint) -> None:
    busy = SPEED.model_copy(
        update={"threads": 1, "width": 0, "resolution": 64, "precision": "float16"}
    )
    _, speed, threads, coarse = chosen_words(mnist, busy, 4, 0.75, epochs=1.0)
    assert speed.startswith("The network at 64 pixels trains 4,000 images/s here in float16")
    assert "training is faster here with 1 of 4 threads, since" in threads
    assert "shrunk to 75 %" in coarse


def test_a_sample_is_told_with_what_would_read_all_images() -> None:
    assert kept_words(3000, 3000) == read_words(3000, 3000, 20.0, spent=12.0, kept=True) == ()
    (planned,), (begun,) = (
        read_words(200, 3000, 20.0, spent=12.0, kept=kept) for kept in (False, True)
    )
    assert planned == (
        "200 of 3,000 images are read, chosen at random: reading all would take 2 min 30 s here. "
        "A budget of about 7 min 08 s is enough for all."
    )
    assert begun == planned[:-1] + ", with another --out: this run keeps its sample."


def test_what_is_done_with_few_images_and_little_time_is_told() -> None:
    assert fold_words(small=False) == budget_words(None, 3.0) == ()
    assert (
        "under 3,000 training images none is held out: up to 5 further" in fold_words(small=True)[0]
    )
    assert "about 1 min 30 s would be enough to see each image 3 times" in budget_words(90, 3.0)[0]
    assert "enough to train on 27 % of the images. You" in budget_words(90, 0.267)[0]
    assert "enough to see each image 1 time. You" in budget_words(90, 1.0)[0]


def test_a_late_end_is_told_unless_it_would_be_told_as_nothing() -> None:
    late = (
        "Expect the run to end about 16.5 s late: what is done before and after the training "
        "leaves too little time for it."
    )
    assert budget_words(None, 3.0, late_s=16.5) == (late,)
    assert budget_words(90, 3.0, late_s=16.5) == (*budget_words(90, 3.0, late_s=-4.0), late)
    assert budget_words(None, 3.0, late_s=-4.0) == budget_words(None, 3.0, late_s=1e-9) == ()
