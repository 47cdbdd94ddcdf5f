"""Tests of `tunesmith.plan.augmentation`."""

from dataclasses import replace

import pytest

from tunesmith.data.augmentation import Augmentation
from tunesmith.plan.augmentation import UNJUDGED, choose_augmentation
from tunesmith.training.findings import Harm


def harm(plain: float, **changed: float) -> Harm:
    shift = changed.pop("shift", plain)
    every = {**changed, "shift": shift}
    return Harm(plain=plain, chance=0.1, changed=every, swapped={}, images=1000)


def exchanging(found: Harm, share: float | None) -> Harm:
    return replace(found, swapped={"flip": share, "flip_vertical": 0.0})


def test_digits_are_rotated_and_not_mirrored() -> None:
    how, reasons = choose_augmentation(
        harm(0.97, flip=0.35, flip_vertical=0.4, rotate=0.95), epochs=5
    )
    assert not how.flip
    assert not how.flip_vertical
    assert how.rotate > 0
    assert how.scale > 0
    assert any("35.0 %" in reason and "not used" in reason for reason in reasons)


def test_signs_may_lose_more_when_rotated() -> None:
    how, _ = choose_augmentation(harm(0.962, flip=0.3, flip_vertical=0.4, rotate=0.915), epochs=5)
    assert how.rotate > 0
    how, _ = choose_augmentation(harm(0.962, flip=0.56, flip_vertical=0.4, rotate=0.915), epochs=5)
    assert how.rotate > 0
    how, _ = choose_augmentation(harm(0.962, flip=0.7, flip_vertical=0.4, rotate=0.915), epochs=5)
    assert how.rotate == 0


def test_clothes_are_neither() -> None:
    """Shoes face one way, and a rotated shirt is no shirt that anyone photographs."""
    how, _ = choose_augmentation(
        harm(0.872, flip=0.688, flip_vertical=0.466, rotate=0.825), epochs=24
    )
    assert (how.flip, how.rotate, how.scale) == (False, 0.0, 0.0)
    lucky, _ = choose_augmentation(
        harm(0.872, flip=0.688, flip_vertical=0.466, rotate=0.86), epochs=24
    )
    assert lucky.rotate == 0


@pytest.mark.parametrize(
    ("epochs", "share", "flip"),
    [(29, 0.02, False), (30, 0.02, True), (30, 0.33, False), (30, None, False)],
)
def test_what_is_unfamiliar_when_mirrored_is_learned_in_many_epochs(
    epochs: float, share: float | None, *, flip: bool
) -> None:
    clothes = harm(0.872, flip=0.688, flip_vertical=0.466, rotate=0.825)
    how, reasons = choose_augmentation(exchanging(clothes, share), epochs=epochs)
    assert how.flip == flip
    assert reasons[0].endswith("it helps all the same, so this change is used.") == flip


def test_signs_are_not_merely_unfamiliar_when_mirrored() -> None:
    digits = harm(0.997, flip=0.403, flip_vertical=0.382, rotate=0.951)
    how, _ = choose_augmentation(exchanging(digits, 0.19), epochs=43)
    assert (how.flip, how.rotate > 0) == (False, True)


def test_classes_that_turn_into_each_other_are_not_mirrored_however_few_they_are() -> None:
    """As two of 43 traffic signs: they hardly lower the accuracy."""
    arrows = harm(0.96, flip=0.92, flip_vertical=0.2, rotate=0.9)
    assert choose_augmentation(exchanging(arrows, 0.3), epochs=5)[0].flip
    how, reasons = choose_augmentation(exchanging(arrows, 0.7), epochs=40)
    assert not how.flip
    assert reasons[0].endswith("and classes turn into each other, so this change is not used.")


def test_images_are_shifted_unless_a_shift_changes_what_is_seen() -> None:
    others = {"flip": 0.6, "flip_vertical": 0.4, "rotate": 0.8}
    digits, reasons = choose_augmentation(harm(0.95, shift=0.93, **others), epochs=5)
    assert digits.shift > 0
    assert reasons[-1].startswith("Images shifted by up to 6 % of their side: 93.0 % right")
    clothes, reasons = choose_augmentation(harm(0.83, shift=0.77, **others), epochs=5)
    assert clothes.shift == 0
    assert reasons[-1].endswith("so this change is not used.")
    long, reasons = choose_augmentation(harm(0.83, shift=0.77, **others), epochs=40)
    assert long.shift > 0
    assert reasons[-1].endswith("it helps all the same, so this change is used.")


def test_nothing_is_told_of_a_shift_that_was_not_judged() -> None:
    """It is less than a pixel."""
    found = harm(0.97, flip=0.35, flip_vertical=0.4, rotate=0.95)
    changed = {name: value for name, value in found.changed.items() if name != "shift"}
    how, reasons = choose_augmentation(replace(found, changed=changed), epochs=5)
    same, told = choose_augmentation(found, epochs=5)
    assert how == same
    assert reasons == tuple(reason for reason in told if "shifted" not in reason)


def test_photographs_are_mirrored_and_not_turned_upside_down() -> None:
    how, _ = choose_augmentation(harm(0.55, flip=0.54, flip_vertical=0.38, rotate=0.5), epochs=20)
    assert how.flip
    assert not how.flip_vertical
    assert how.rotate == 0
    assert how.cutout > 0
    short, _ = choose_augmentation(harm(0.55, flip=0.54, flip_vertical=0.38, rotate=0.5), epochs=3)
    assert short.cutout == 0


@pytest.mark.parametrize(
    ("plain", "changed", "why"),
    [  # mirrored, upside down, rotated
        (0.7, (0.69, 0.45, 0.69), ("used", "not used", "not needed, as mirrored images are used")),
        (0.7, (0.3, 0.7, 0.39), ("not used", "only used together with mirroring", "not used")),
        (0.872, (0.688, 0.466, 0.86), ("not used", "not used", "when mirrored")),
        (0.2, (0.2, 0.2, 0.1), ("used", "too little to tell, so this change is not used", "not")),
        (0.97, (0.35, 0.4, 0.95), ("not used", "not used", "so this change is used")),
        (0.8, (0.8, 0.8, 0.1), ("used", "so this change is used", "so this change is not used")),
    ],
)
def test_the_reason_that_is_told_is_the_one_that_decided(
    plain: float, changed: tuple[float, float, float], why: tuple[str, str, str]
) -> None:
    names = ("flip", "flip_vertical", "rotate")
    found = harm(plain, **dict(zip(names, changed, strict=True)))
    how, reasons = choose_augmentation(found, epochs=10)
    used = (how.flip, how.flip_vertical, how.rotate > 0)
    for is_used, reason, told in zip(used, reasons[:3], why, strict=True):
        assert told in reason
        assert is_used == reason.endswith(" so this change is used.")


def test_the_reason_begins_with_the_accuracies() -> None:
    found = harm(0.188, flip=0.188, flip_vertical=0.188, rotate=0.312)
    assert choose_augmentation(found, epochs=5)[1][2] == (
        "Images rotated by 15 degrees: 31.2 % right against 18.8 % of unchanged ones, which is "
        "harmless, but not needed, as mirrored images are used."
    )


def test_what_was_learned_beyond_chance_counts() -> None:
    changed = {"flip": 0.75, "flip_vertical": 0.4, "rotate": 0.7, "shift": 0.8}
    rare = Harm(plain=0.8, chance=0.1, changed=changed, swapped={}, images=1000)
    assert not choose_augmentation(rare, epochs=5)[0].flip
    common = Harm(plain=0.8, chance=0.79, changed=changed, swapped={}, images=20)
    assert choose_augmentation(common, epochs=5)[0].flip


def test_where_every_change_harms_none_is_used() -> None:
    how, _ = choose_augmentation(harm(0.9, flip=0.2, flip_vertical=0.2, rotate=0.3), epochs=20)
    assert (how.flip, how.flip_vertical, how.rotate) == (False, False, 0.0)


def test_a_network_that_knows_little_is_not_believed_about_upside_down_images() -> None:
    blind = harm(0.2, flip=0.2, flip_vertical=0.2, rotate=0.2)
    how, reasons = choose_augmentation(blind, epochs=20)
    assert how.flip
    assert not how.flip_vertical
    assert any("upside down" in reason and "not used" in reason for reason in reasons)
    sure, _ = choose_augmentation(harm(0.8, flip=0.8, flip_vertical=0.8, rotate=0.8), epochs=20)
    assert sure.flip_vertical


def test_without_a_judgment_nothing_is_changed() -> None:
    how, (reason,) = choose_augmentation(None, epochs=0.5)
    assert how == Augmentation()
    assert reason == UNJUDGED
