"""Near copies: the same picture, but re-encoded, brightened, resized or shifted by a few pixels.

A shift leaves the amplitudes of a picture's frequencies as they are and turns their phases; a gain
scales them all. So amplitudes find the candidates among all pictures, and phases the shift between
two of them. Where the phases of what both show then agree far better than those of pictures that
are merely alike, one is a copy of the other.

Shape letters: N pictures of S x S pixels, Q of them asked about, F frequencies, D numbers that
describe a picture, K candidates for each, T shifts, P pairs.
"""

from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.pixels import GRAY, recolor, squeeze
from tunesmith.screening.neighbors import nearest

Floats = NDArray[np.float32]
Complex = NDArray[np.complex64]
Places = NDArray[np.int64]

SIDE = 32  # pictures are compared at this many pixels, or fewer where they have fewer
HIGHEST = 6  # cycles a picture; resizing to 60 % and JPEG leave these intact
KEPT = 32  # numbers that describe a picture
CANDIDATES = 6  # nearest pictures that are compared with each
AROUND = 24  # with one that is farther than these, since the nearest may all be copies
CLOSEST = 2  # of these that are compared in full
ALIKE = 0.3  # distance of windowed spectra up to which that is worth it
FARTHEST = 3  # pixels that a copy may be shifted by
BLANK = 2.0  # gray levels of deviation under which there is nothing to compare
# How far apart copies may be depends on how far apart unrelated pictures are: a share of what one
# in 50 second-best candidates comes within. Handwritten ones are all alike; photographs are not.
UNRELATED, SHARE_OF_IT, STRICTEST, LOOSEST = 0.02, 0.06, 2e-5, 4e-4
ROWS = 8192  # pictures at a time


@final
@dataclass(frozen=True, kw_only=True)
class Copies:
    """Pairs of pictures that are copies of each other.

    Attributes:
        pairs: Places of both, ``[P, 2]``, the smaller first; sorted, each pair once.
        distances: 0 for a perfect match, up to `LOOSEST`, ``[P]``.
    """

    pairs: Places
    distances: Floats


def comparable(pixels_NHWC: NDArray[np.uint8], rows: Places) -> NDArray[np.uint8]:
    """Make gray squares ``[R, S, S]`` of some images; S is `SIDE`, or less if they are smaller."""
    side = min(SIDE, *pixels_NHWC.shape[1:3])
    gray_RSS = np.empty((len(rows), side, side), np.uint8)
    for place, row in enumerate(rows):
        x_HW1 = recolor(pixels_NHWC[row], GRAY)
        is_ready = x_HW1.shape[:2] == (side, side)
        gray_RSS[place] = (x_HW1 if is_ready else squeeze(x_HW1, (side, side)))[..., 0]
    return gray_RSS


def find_copies(gray_NSS: NDArray[np.uint8], asked: Places | None = None) -> Copies:
    """Find near copies.

    Time grows as that of `nearest`; memory is about three times that of the pictures. Pictures with
    nothing on them are never copies of each other.

    Args:
        gray_NSS: Square gray pictures, see `comparable`. Of pictures that are equal to the pixel,
            one is enough: many of them would crowd out the near copies.
        asked: Places of those whose copies are looked for; None for all.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x_NSS = rng.integers(0, 256, (50, 16, 16)).astype(np.uint8)
        >>> x_NSS[7] = np.roll(x_NSS[3], 1, axis=1) // 2 + 60
        >>> find_copies(x_NSS).pairs.tolist()
        [[3, 7]]

    """
    none = Copies(pairs=np.zeros((0, 2), np.int64), distances=np.zeros(0, np.float32))
    places_N = np.flatnonzero(_deviations(gray_NSS) >= BLANK)
    asked_Q = (
        np.arange(len(places_N)) if asked is None else np.flatnonzero(np.isin(places_N, asked))
    )
    if len(places_N) <= CANDIDATES or not len(asked_Q):
        return none
    around = min(AROUND, len(places_N) - 1)
    gray_NSS = gray_NSS[places_N]
    spectra_NF = _spectra(gray_NSS)
    candidates_QK = nearest(_described(spectra_NF), asked_Q, around)
    candidates_QK = np.delete(candidates_QK, np.s_[CANDIDATES:-1], axis=1)
    compared = _compare(spectra_NF, asked_Q, candidates_QK, gray_NSS.shape[1])
    rows_P, ranks_P = np.nonzero(compared.distances[:, :CLOSEST] <= ALIKE)
    others_P, shifts_P = compared.places[rows_P, ranks_P], compared.shifts[rows_P, ranks_P]
    apart_P = _disagreement(gray_NSS, asked_Q[rows_P], others_P, shifts_P)
    # Over the distance of the farthest candidate: how much better than what is merely alike.
    distances_P = apart_P**2 / compared.distances[rows_P, -1].clip(1e-6)
    found = distances_P <= _most(distances_P, rows_P, len(asked_Q))
    pairs_P2 = np.sort(np.stack([asked_Q[rows_P], others_P], axis=1)[found], axis=1)
    pairs_P2, first = np.unique(pairs_P2, axis=0, return_index=True)
    return Copies(pairs=places_N[pairs_P2], distances=distances_P[found][first])


def find_mirrored(gray_NSS: NDArray[np.uint8], asked: Places | None = None) -> Places:
    """Find pictures of which one is a near copy of the other's mirror image, left for right.

    Takes what `find_copies` takes, and is as strict: of shapes that are common and nearly their own
    mirror images, as some digits are, only a much better match than others is believed.

    Returns:
        Places of both, ``[P, 2]``, the smaller first; sorted, each pair once.
    """
    n = len(gray_NSS)
    asked_Q = np.arange(n) if asked is None else asked
    turned_QSS = gray_NSS[asked_Q][:, :, ::-1]
    pairs_P2 = find_copies(
        np.concatenate([gray_NSS, turned_QSS]), n + np.arange(len(asked_Q))
    ).pairs
    pairs_P2 = pairs_P2[pairs_P2[:, 0] < n]  # of others, both are turned
    pairs_P2[:, 1] = asked_Q[pairs_P2[:, 1] - n]
    others = pairs_P2[:, 0] != pairs_P2[:, 1]
    mirrored_P2: Places = np.unique(np.sort(pairs_P2[others], axis=1), axis=0)
    return mirrored_P2


def _deviations(gray_NSS: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How far gray levels lie from their mean in each picture, ``[N]``."""
    flat_NX = gray_NSS.reshape(len(gray_NSS), -1)
    blocks = (flat_NX[begin : begin + ROWS] for begin in range(0, len(flat_NX), ROWS))
    return np.concatenate([np.zeros(0), *(block.std(axis=1) for block in blocks)])


def _most(distances_P: Floats, rows_P: Places, asked: int) -> float:
    """The distance up to which two pictures are called copies."""
    second_Q = np.full(asked, np.inf, np.float32)
    is_second = np.diff(rows_P, prepend=-1) == 0
    both = np.flatnonzero(is_second)
    second_Q[rows_P[both]] = np.maximum(distances_P[both - 1], distances_P[both])
    unrelated = float(np.partition(second_Q, int(UNRELATED * asked))[int(UNRELATED * asked)])
    return float(np.clip(SHARE_OF_IT * unrelated, STRICTEST, LOOSEST))


def _frequencies(side: int) -> tuple[Places, Places]:
    """Low frequencies, down and across, of which none is another's mirror image: ``[F]`` each."""
    highest = min(HIGHEST, side // 2 - 1)
    down, across = np.meshgrid(
        np.arange(-highest, highest + 1), np.arange(highest + 1), indexing="ij"
    )
    kept = (across > 0) | (down > 0)
    return down[kept], across[kept]


def _spectra(gray_NSS: NDArray[np.uint8]) -> Complex:
    """Windowed Fourier coefficients ``[N, F]``; the mean has no part in them."""
    side = gray_NSS.shape[1]
    down_F, across_F = _frequencies(side)
    at = np.arange(side) / side
    turn_FSS = down_F[:, None, None] * at[:, None] + across_F[:, None, None] * at
    window_S = np.hanning(side + 2)[1:-1] ** 0.5
    waves_FSS = np.exp(-2j * np.pi * turn_FSS) * np.outer(window_S, window_S)
    waves_FX = waves_FSS.reshape(len(down_F), -1)
    waves_FX -= waves_FX.mean(axis=1, keepdims=True)
    both_XG = np.concatenate([waves_FX.real, waves_FX.imag]).T.astype(np.float32)
    spectra_NF = np.empty((len(gray_NSS), len(down_F)), np.complex64)
    for begin in range(0, len(gray_NSS), ROWS):
        some = slice(begin, begin + ROWS)
        found_NG = gray_NSS[some].reshape(-1, side * side).astype(np.float32) @ both_XG
        spectra_NF[some] = found_NG[:, : len(down_F)] + 1j * found_NG[:, len(down_F) :]
    return spectra_NF


def _described(spectra_NF: Complex) -> Floats:
    """Unit vectors ``[N, D]`` of amplitudes, with what all pictures have in common taken out."""
    found_NF = np.abs(spectra_NF)
    found_NF = np.sqrt(found_NF / np.linalg.norm(found_NF, axis=1, keepdims=True).clip(1e-3))
    found_NF -= found_NF.mean(axis=0)
    values_F, axes_FF = np.linalg.eigh(found_NF.T @ found_NF / len(found_NF))
    values_D = values_F[-KEPT:]
    described_ND = found_NF @ (axes_FF[:, -KEPT:] / np.sqrt(values_D + 1e-3 * values_D[-1]))
    length_N1 = np.linalg.norm(described_ND, axis=1, keepdims=True).clip(1e-6)
    unit_ND: Floats = described_ND / length_N1
    return unit_ND


@final
@dataclass(frozen=True, kw_only=True)
class _Compared:
    """Candidates for each picture that was asked about, the nearest first, ``[Q, K]`` each.

    Attributes:
        places: Of the candidates.
        distances: Of their windowed spectra at the best shift, from 0 to 2.
        shifts: Number of that shift, see `_shifts`.
    """

    places: Places
    distances: Floats
    shifts: Places


def _shifts(side: int) -> Places:
    """All shifts that are tried, pixels down and across, ``[T, 2]``."""
    farthest = min(FARTHEST, side // 8)
    steps = np.arange(-farthest, farthest + 1)
    return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)


def _compare(spectra_NF: Complex, asked_Q: Places, places_QK: Places, side: int) -> _Compared:
    """Find the shift at which each candidate fits best: the peak of the cross-correlation."""
    parts_NF2 = spectra_NF.view(np.float32).reshape(*spectra_NF.shape, 2)
    scale_F = np.sqrt(np.einsum("nfp,nfp->f", parts_NF2, parts_NF2) / len(spectra_NF))

    def white(places_R: Places) -> Complex:
        white_RF = spectra_NF[places_R] / scale_F.clip(1e-6)
        unit_RF: Complex = white_RF / np.linalg.norm(white_RF, axis=1, keepdims=True).clip(1e-6)
        return unit_RF

    turns_FT = np.stack(_frequencies(side), axis=1) @ _shifts(side).T
    waves_FT = np.exp(2j * np.pi * turns_FT / side).astype(np.complex64)
    distances_QK = np.empty(places_QK.shape, np.float32)
    shifts_QK = np.empty(places_QK.shape, np.int64)
    for begin in range(0, len(asked_Q), ROWS):
        some = slice(begin, begin + ROWS)
        white_RF = white(asked_Q[some])
        for k in range(places_QK.shape[1]):
            crossed_RF = white_RF * white(places_QK[some, k]).conj()
            agreed_RT = crossed_RF.real @ waves_FT.real - crossed_RF.imag @ waves_FT.imag
            shifts_QK[some, k] = agreed_RT.argmax(axis=1)
            distances_QK[some, k] = 1 - agreed_RT.max(axis=1)
    order = np.argsort(distances_QK, axis=1, kind="stable")
    sort = partial(np.take_along_axis, indices=order, axis=1)
    return _Compared(places=sort(places_QK), distances=sort(distances_QK), shifts=sort(shifts_QK))


def _overlap(gray_PSS: NDArray[np.uint8], down: int, across: int) -> NDArray[np.uint8]:
    """What is left of pictures behind a shift."""
    side = gray_PSS.shape[1]
    rows = slice(max(down, 0), side + min(down, 0))
    return gray_PSS[:, rows, max(across, 0) : side + min(across, 0)]


def _disagreement(
    gray_NSS: NDArray[np.uint8], one_P: Places, other_P: Places, shifts_P: Places
) -> Floats:
    """How far the phases of what both pictures show at a shift differ, ``[P]``."""
    found_P = np.empty(len(one_P), np.float32)
    shifts_T2 = _shifts(gray_NSS.shape[1])
    for shift in np.unique(shifts_P):
        mine = np.flatnonzero(shifts_P == shift)
        down, across = shifts_T2[shift].tolist()
        for begin in range(0, len(mine), ROWS):
            rows = mine[begin : begin + ROWS]
            one_PHW = _overlap(gray_NSS[one_P[rows]], down, across)
            other_PHW = _overlap(gray_NSS[other_P[rows]], -down, -across)
            found_P[rows] = phases_apart(one_PHW, other_PHW)
    return found_P


def phases_apart(one_PHW: NDArray[np.uint8], other_PHW: NDArray[np.uint8]) -> Floats:
    """How far the phases of two pictures differ: 0 for equal ones, up to 2, ``[P]``.

    Each frequency counts by the product of both amplitudes: what resizing or compression took
    from one of the two has no say.
    """
    height, width = one_PHW.shape[1:]
    down_H1 = np.fft.fftfreq(height, 1 / height)[:, None]
    across_W = np.fft.rfftfreq(width, 1 / width)
    cycles_HW = np.hypot(down_H1, across_W)
    # Amplitudes fall with frequency in pictures of anything; this gives the higher ones a say.
    weights_HW = np.where(cycles_HW <= HIGHEST, cycles_HW, 0).astype(np.float32)
    window_HW = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]) ** 0.25
    window_HW = window_HW.astype(np.float32)

    def spectrum(x_PHW: NDArray[np.uint8]) -> Complex:
        mean_P = np.einsum("phw,hw->p", x_PHW, window_HW) / window_HW.sum()
        found = np.fft.rfft2((x_PHW - mean_P[:, None, None]) * window_HW)
        return found.astype(np.complex64, copy=False)

    one_PHF, other_PHF = spectrum(one_PHW), spectrum(other_PHW)
    agreed_P = np.einsum("phf,hf->p", (one_PHF * other_PHF.conj()).real, weights_HW)
    most_P = np.einsum("phf,hf->p", np.abs(one_PHF) * np.abs(other_PHF), weights_HW)
    apart_P: Floats = 1 - agreed_P / most_P.clip(1e-6)
    return apart_P.clip(0)
