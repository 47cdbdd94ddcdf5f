"""Near duplicates: the same image, but re-encoded, brightened, resized or shifted by a few pixels.

A shift keeps the amplitudes of an image's Fourier coefficients and changes their phases; a gain
scales them all. So amplitudes find the candidates among all images, and phases find the shift
between two of them. If the phases of their overlap then agree far better than those of images that
are merely similar, one is a near duplicate of the other.

Shape letters: N images of S x S pixels, Q query images, F frequencies, D descriptor dimensions, K
candidates per query, T shifts, P pairs.
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

SIDE = 32  # side in pixels at which images are compared, or less if they are smaller
HIGHEST = 6  # cycles per image; resizing to 60 % and JPEG preserve these
KEPT = 32  # dimensions of a descriptor
CANDIDATES = 6  # nearest images that are compared with each query
LEAST_ALIKE = 0.25  # of the median distance of the farthest candidate: all six may be copies
CLOSEST = 2  # candidates that are compared in full
ALIKE = 0.3  # distance of windowed spectra up to which they are
FARTHEST = 3  # pixels by which a duplicate may be shifted
BLANK = 2.0  # standard deviation in gray levels below which an image is blank
# The distance limit depends on how far apart unrelated images are: a share of a quantile of
# second-best candidates. Images of handwriting are all similar; photographs are not. The second
# pair holds where more than 2 % of the images have several duplicates; elsewhere it is lower.
UNRELATED = ((0.02, 0.06), (0.25, 0.006))
STRICTEST, LOOSEST = 2e-5, 4e-4
ROWS = 8192  # images at a time


def comparable(pixels_NHWC: NDArray[np.uint8], rows: Places) -> NDArray[np.uint8]:
    """Convert images to gray squares ``[R, S, S]``; S is `SIDE`, or less if they are smaller."""
    side = min(SIDE, *pixels_NHWC.shape[1:3])
    gray_RSS = np.empty((len(rows), side, side), np.uint8)
    for place, row in enumerate(rows):
        x_HW1 = recolor(pixels_NHWC[row], GRAY)
        is_ready = x_HW1.shape[:2] == (side, side)
        gray_RSS[place] = (x_HW1 if is_ready else squeeze(x_HW1, (side, side)))[..., 0]
    return gray_RSS


def find_copies(gray_NSS: NDArray[np.uint8], asked: Places | None = None) -> Places:
    """Find near duplicates.

    Time grows like that of `nearest`; memory is about three times that of the images. Blank images
    are never duplicates of each other.

    Args:
        gray_NSS: Square gray images; see `comparable`. Of exact duplicates, pass only one: many of
            them would crowd out the near duplicates.
        asked: Indices of the query images, whose duplicates are searched; None for all.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x_NSS = rng.integers(0, 256, (50, 16, 16)).astype(np.uint8)
        >>> x_NSS[7] = np.roll(x_NSS[3], 1, axis=1) // 2 + 60
        >>> find_copies(x_NSS).tolist()
        [[3, 7]]

    """
    places_N = np.flatnonzero(_deviations(gray_NSS) >= BLANK)
    asked_Q = (
        np.arange(len(places_N)) if asked is None else np.flatnonzero(np.isin(places_N, asked))
    )
    if len(places_N) <= CANDIDATES or not len(asked_Q):
        return np.zeros((0, 2), np.int64)
    gray_NSS = gray_NSS[places_N]
    spectra_NF = _spectra(gray_NSS)
    candidates_QK = nearest(_described(spectra_NF), asked_Q, CANDIDATES)
    compared = _compare(spectra_NF, asked_Q, candidates_QK, gray_NSS.shape[1])
    rows_P, ranks_P = np.nonzero(compared.distances[:, :CLOSEST] <= ALIKE)
    others_P, shifts_P = compared.places[rows_P, ranks_P], compared.shifts[rows_P, ranks_P]
    apart_P = _disagreement(gray_NSS, asked_Q[rows_P], others_P, shifts_P)
    # Relative to the farthest candidate: how much better than an image that is merely similar.
    alike_Q = compared.distances[:, -1]
    alike_Q = alike_Q.clip(max(1e-6, LEAST_ALIKE * float(np.median(alike_Q))))
    distances_P = apart_P**2 / alike_Q[rows_P]
    found = distances_P <= _most(distances_P, rows_P, len(asked_Q))
    pairs_P2 = np.sort(np.stack([asked_Q[rows_P], others_P], axis=1)[found], axis=1)
    pairs: Places = places_N[np.unique(pairs_P2, axis=0)]
    return pairs


def find_mirrored(gray_NSS: NDArray[np.uint8], asked: Places | None = None) -> Places:
    """Find pairs in which one image is a near duplicate of the other's horizontal mirror image.

    Takes the arguments of `find_copies` and is as strict: common shapes that are nearly symmetric,
    such as some digits, count only if they match much better than others.

    Returns:
        Indices of both images, ``[P, 2]``, the smaller first; sorted, each pair once.
    """
    n = len(gray_NSS)
    asked_Q = np.arange(n) if asked is None else asked
    turned_QSS = gray_NSS[asked_Q][:, :, ::-1]
    pairs_P2 = find_copies(np.concatenate([gray_NSS, turned_QSS]), n + np.arange(len(asked_Q)))
    pairs_P2 = pairs_P2[pairs_P2[:, 0] < n]  # in others, both are mirrored
    pairs_P2[:, 1] = asked_Q[pairs_P2[:, 1] - n]
    others = pairs_P2[:, 0] != pairs_P2[:, 1]
    mirrored_P2: Places = np.unique(np.sort(pairs_P2[others], axis=1), axis=0)
    return mirrored_P2


def _deviations(gray_NSS: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Standard deviation of each image's gray levels, ``[N]``."""
    flat_NX = gray_NSS.reshape(len(gray_NSS), -1)
    blocks = (flat_NX[begin : begin + ROWS] for begin in range(0, len(flat_NX), ROWS))
    return np.concatenate([np.zeros(0), *(block.std(axis=1) for block in blocks)])


def _most(distances_P: Floats, rows_P: Places, asked: int) -> float:
    """Largest distance of two images that counts as a near duplicate."""
    second_Q = np.full(asked, np.inf, np.float32)
    is_second = np.diff(rows_P, prepend=-1) == 0
    both = np.flatnonzero(is_second)
    second_Q[rows_P[both]] = np.maximum(distances_P[both - 1], distances_P[both])
    second_Q.sort()
    limit = max(share * float(second_Q[int(quantile * asked)]) for quantile, share in UNRELATED)
    return float(np.clip(limit, STRICTEST, LOOSEST))


def _frequencies(side: int) -> tuple[Places, Places]:
    """Low frequencies, down and across, without complex conjugates: ``[F]`` each."""
    highest = min(HIGHEST, side // 2 - 1)
    down, across = np.meshgrid(
        np.arange(-highest, highest + 1), np.arange(highest + 1), indexing="ij"
    )
    kept = (across > 0) | (down > 0)
    return down[kept], across[kept]


def _spectra(gray_NSS: NDArray[np.uint8]) -> Complex:
    """Windowed Fourier coefficients of the images less their mean, ``[N, F]``."""
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
    """Unit descriptors ``[N, D]``: amplitudes, centered and whitened over all images."""
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
    """Candidates of each query image, nearest first, ``[Q, K]`` each.

    Attributes:
        places: Indices of the candidates.
        distances: Distance of the windowed spectra at the best shift, from 0 to 2.
        shifts: Index of that shift in `_shifts`.
    """

    places: Places
    distances: Floats
    shifts: Places


def _shifts(side: int) -> Places:
    """All candidate shifts, in pixels down and across, ``[T, 2]``."""
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
    """Part of each image that overlaps with the other image after a shift."""
    side = gray_PSS.shape[1]
    rows = slice(max(down, 0), side + min(down, 0))
    return gray_PSS[:, rows, max(across, 0) : side + min(across, 0)]


def _disagreement(
    gray_NSS: NDArray[np.uint8], one_P: Places, other_P: Places, shifts_P: Places
) -> Floats:
    """Phase distance of the overlap of each pair at its shift, ``[P]``."""
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
    """Phase distance of each pair of images, ``[P]``: 0 if they are equal, at most 2.

    Each frequency is weighted by the product of both amplitudes, so that frequencies which
    resizing or compression removed from one image do not count.
    """
    waves_XG, weights_F = _weighted_waves(*one_PHW.shape[1:])

    def spectrum(x_PHW: NDArray[np.uint8]) -> Complex:
        found_PG = x_PHW.reshape(len(x_PHW), -1).astype(np.float32) @ waves_XG
        found_PF = found_PG[:, : len(weights_F)] + 1j * found_PG[:, len(weights_F) :]
        return found_PF.astype(np.complex64, copy=False)

    one_PF, other_PF = spectrum(one_PHW), spectrum(other_PHW)
    agreed_P = (one_PF * other_PF.conj()).real @ weights_F
    most_P = (np.abs(one_PF) * np.abs(other_PF)) @ weights_F
    apart_P: Floats = 1 - agreed_P / most_P.clip(1e-6)
    return apart_P.clip(0)


def _weighted_waves(height: int, width: int) -> tuple[Floats, Floats]:
    """Windowed waves of the frequencies that count, ``[H W, 2 F]``, and their weights, ``[F]``.

    Real parts come first. Each wave is orthogonal to the window, so that brightness has no effect.
    A product with few waves takes a tenth of the time of whole Fourier transforms.
    """
    down, across = np.fft.fftfreq(height, 1 / height), np.fft.rfftfreq(width, 1 / width)
    cycles = np.hypot(down[:, None], across)
    is_used = (cycles <= HIGHEST) & (cycles > 0)
    down_F, across_F = (each[is_used] for each in np.meshgrid(down, across, indexing="ij"))
    down_XF = np.outer(np.repeat(np.arange(height) / height, width), down_F)
    across_XF = np.outer(np.tile(np.arange(width) / width, height), across_F)
    window_HW = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]) ** 0.25
    window_X1 = window_HW.reshape(-1, 1)
    waves_XF = window_X1 * np.exp(-2j * np.pi * (down_XF + across_XF))
    waves_XF -= window_X1 / window_X1.sum() * waves_XF.sum(axis=0)
    waves_XG = np.concatenate([waves_XF.real, waves_XF.imag], axis=1).astype(np.float32)
    # Amplitudes of natural images fall with frequency; these weights compensate for that.
    return waves_XG, cycles[is_used].astype(np.float32)
