"""Tests of `tunesmith.screening.looks`."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.screening import looks as module
from tunesmith.screening.looks import UNLIKE, far_out, measure, unlike


def photographs(count: int) -> NDArray[np.uint8]:
    """Colored noise of many scales, differently bright: ``[N, 24, 24, 3]``."""
    chance = np.random.default_rng(0)
    found = np.empty((count, 24, 24, 3), np.uint8)
    for place in range(count):
        rough = chance.normal(size=(24, 24, 3)).astype(np.float32)
        smooth = cv2.GaussianBlur(rough, (0, 0), float(chance.uniform(1, 2)))
        smooth *= chance.uniform(30, 50) / smooth.std()
        found[place] = (smooth + chance.uniform(115, 135)).clip(0, 255)
    return found


def shapes_of(x_NHWC: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.full((len(x_NHWC), 2), x_NHWC.shape[1])


def blurred(x_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur, and give the contrast back."""
    smooth = cv2.GaussianBlur(x_HWC.astype(np.float32), (0, 0), 6)
    smooth = (smooth - smooth.mean()) * (40 / smooth.std()) + 125
    return np.asarray(smooth.clip(0, 255), np.uint8)


def noisy(x_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    gray_HW1 = np.random.default_rng(1).normal(125, 40, (*x_HWC.shape[:2], 1))
    colors = x_HWC.astype(np.float64) - x_HWC.mean(axis=2, keepdims=True)
    return np.asarray((gray_HW1 + colors).clip(0, 255), np.uint8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: np.full_like(x, 3), "nearly of one shade"),
        (blurred, "blurred"),
        (lambda x: np.where(x > 85, x - 85, 0).astype(np.uint8), "much darker than the others"),
        (noisy, "much noisier than the others"),
    ],
)
def test_an_accident_is_told_from_the_rest(change: object, words: str) -> None:
    assert callable(change)
    x_NHWC = photographs(300)
    x_NHWC[42] = change(x_NHWC[42])
    looks = measure(x_NHWC, shapes_of(x_NHWC))
    respect_N, far_N = unlike(looks)
    assert np.abs(far_N).argmax() == 42
    assert np.abs(far_N[42]) > 1
    told = list(UNLIKE.values())[respect_N[42]][int(far_N[42] > 0)]
    assert told == words
    assert np.count_nonzero(np.abs(far_N) > 1) <= 3


def test_sizes_of_the_files_count() -> None:
    x_NHWC = photographs(100)
    shapes_N2 = shapes_of(x_NHWC)
    shapes_N2[3], shapes_N2[4] = (2000, 2000), (24, 240)
    respect_N, far_N = unlike(measure(x_NHWC, shapes_N2))
    names = list(UNLIKE)
    assert names[respect_N[3]] == "pixels"
    assert names[respect_N[4]] == "aspect"
    assert (far_N[[3, 4]] > 1).all()


def test_what_all_share_is_nothing_odd() -> None:
    assert (far_out(np.full(50, 7.0, np.float32)) == 0).all()
    gray_NHW1 = photographs(50)[..., :1]
    assert (measure(gray_NHW1, shapes_of(gray_NHW1))["colorfulness"] == 0).all()


def test_a_skewed_number_has_no_outliers_for_that() -> None:
    values_N = np.random.default_rng(0).lognormal(size=2000).astype(np.float32)
    assert (np.abs(far_out(values_N)) > 1).mean() < 0.005


def test_two_pixels_less_are_not_narrow() -> None:
    x_NHWC, shapes_N2 = photographs(100), np.full((100, 2), (480, 640))
    usual = unlike(measure(x_NHWC, shapes_N2))
    shapes_N2[3, 0] = 478
    np.testing.assert_array_equal(unlike(measure(x_NHWC, shapes_N2)), usual)


@pytest.mark.parametrize("shape", [(5, 1, 9, 3), (5, 9, 2, 1), (5, 1, 1, 4)])
def test_images_without_an_inside_have_no_sharpness(shape: tuple[int, ...]) -> None:
    x_NHWC = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    looks = measure(x_NHWC, np.full((5, 2), shape[1:3]))
    assert (looks["sharpness"] == 0).all()
    assert all(np.isfinite(values_N).all() for values_N in looks.values())


def test_few_at_a_time_look_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x_NHWC = photographs(20)
    at_once = measure(x_NHWC, shapes_of(x_NHWC))
    taken: list[int] = []
    monkeypatch.setattr(module, "MOST_PIXELS", 7 * 24 * 24)
    of_seven = module._measure

    def noting(x_BHWC: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        taken.append(len(x_BHWC))
        return of_seven(x_BHWC)

    monkeypatch.setattr(module, "_measure", noting)
    in_steps = measure(x_NHWC, shapes_of(x_NHWC))
    assert taken == [7, 7, 6]
    for name in UNLIKE:
        np.testing.assert_allclose(in_steps[name], at_once[name], rtol=1e-5)
