"""Nearest neighbor search: exhaustive among few vectors, by an inverted file among many.

Each vector belongs to the cell whose center it is most similar to. Centers are random vectors of
the set, so there are more of them in dense regions. Only the cells closest to a query are searched
(an inverted file with several probes, after Jegou, Douze and Schmid 2011, "Product quantization for
nearest neighbor search", IEEE TPAMI 33).

Shape letters: N unit vectors of D dimensions, Q queries, K neighbors of each, C cells, P probed
cells, M vectors in one, R rows at a time.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.cores import cores

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

FEW = 10_000  # vectors up to which an exhaustive search is faster
PROBES = 16  # cells that are searched per query
SPREAD = 4  # cells per square root of N; then there are as many cells as vectors in 16 of them
CROWDED = 4  # times the mean size; vectors of a cell beyond that are not searched
BLOCK = 8192  # vectors that are asked about at a time
ROWS, COLUMNS, LANES = 512, 8192, 128  # of a block of similarities, which fits into the cache
MOST_NUMBERS = 16_000_000  # values of the vectors that are scored again at a time


def comparisons(vectors: int, asked: int) -> int:
    """Maximum number of pairs of vectors that `nearest` compares.

    Example:
        >>> comparisons(10_000, 10_000), comparisons(1_000_000, 1_000_000)
        (100000000, 24000000000)

    """
    if vectors <= FEW:
        return vectors * asked
    return _cells(vectors) * (vectors + asked) + asked * PROBES * _most(vectors)


def _cells(vectors: int) -> int:
    return SPREAD * math.isqrt(vectors)


def _most(vectors: int) -> int:
    """Maximum number of vectors that are searched in one cell."""
    return CROWDED * vectors // _cells(vectors)


def nearest(d_ND: Floats, asked_Q: Places, k: int) -> Places:
    """Indices ``[Q, K]`` of each query's k most similar unit vectors except itself, best first.

    Among more than `FEW` vectors, about one neighbor in a hundred is missed, and time grows with
    Q times the square root of N instead of Q times N.

    Example:
        >>> d_ND = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], np.float32)
        >>> nearest(d_ND, np.array([0, 1]), 2).tolist()
        [[3, 2], [2, 3]]

    """
    return (_of_all if len(d_ND) <= FEW else _by_cells)(d_ND, asked_Q, k)


def _similar(one_RD: Floats, other_MD: Floats) -> Floats:
    found_RM: Floats = one_RD @ other_MD.T
    return found_RM


def _of_all(d_ND: Floats, asked_Q: Places, k: int) -> Places:
    """Search exhaustively.

    Similarities are computed in blocks that fit into the cache. Of each lane of a block, only the
    maximum is kept; the best k + 1 lanes are then scored again.
    """
    n, columns = len(d_ND), min(COLUMNS, -(-len(d_ND) // LANES) * LANES)
    # One more dimension makes padding dissimilar to every vector.
    flat = np.zeros((-(-n // columns) * columns, d_ND.shape[1] + 1), np.float32)
    flat[:n, :-1], flat[n:, -1] = d_ND, -4
    blocks = flat.reshape(-1, columns, flat.shape[1])
    depth = columns // LANES
    steps = np.arange(depth) * LANES
    found_QK = np.empty((len(asked_Q), k), np.int64)
    rows_at_once = max(1, min(ROWS, MOST_NUMBERS // ((k + 1) * depth * flat.shape[1])))
    for begin in range(0, len(asked_Q), rows_at_once):
        rows = asked_Q[begin : begin + rows_at_once]
        asked_RD = np.pad(d_ND[rows], ((0, 0), (0, 1)), constant_values=1)
        best = [_similar(asked_RD, b).reshape(len(rows), depth, LANES).max(axis=1) for b in blocks]
        best_RL = np.concatenate(best, axis=1)
        most = min(k + 1, best_RL.shape[1])
        lanes_RL = np.argpartition(-best_RL, most - 1, axis=1)[:, :most]
        block_RL, lane_RL = np.divmod(lanes_RL, LANES)
        begin_RL = block_RL * columns + lane_RL
        places_RC = (begin_RL[:, :, None] + steps).reshape(len(rows), -1)
        alike_RC = np.einsum("rd,rcd->rc", asked_RD, flat[places_RC])
        alike_RC[places_RC == rows[:, None]] = -np.inf
        order = np.argsort(-alike_RC, axis=1)[:, :k]
        found_QK[begin : begin + rows_at_once] = np.take_along_axis(places_RC, order, axis=1)
    return found_QK


def _by_cells(d_ND: Floats, asked_Q: Places, k: int) -> Places:
    """Look into the cells that are closest."""
    n = len(d_ND)
    centers_CD = d_ND[np.random.default_rng(0).permutation(n)[: _cells(n)]]
    parts = [d_ND[begin : begin + ROWS] for begin in range(0, n, ROWS)]
    homes_N = np.concatenate([_similar(part, centers_CD).argmax(axis=1) for part in parts])
    members_N = np.argsort(homes_N, kind="stable")
    ends_C = np.searchsorted(homes_N[members_N], np.arange(len(centers_CD)), side="right")
    cells = [own[: _most(n)] for own in np.split(members_N, ends_C[:-1])]
    blocks = [asked_Q[begin : begin + BLOCK] for begin in range(0, len(asked_Q), BLOCK)]
    with ThreadPoolExecutor(cores()) as pool:  # sorting, most of the work, holds no lock
        found = pool.map(lambda block: _probed(d_ND, block, centers_CD, cells, k), blocks)
        return np.concatenate(list(found))


def _probed(
    d_ND: Floats, rows_R: Places, centers_CD: Floats, cells: Sequence[Places], k: int
) -> Places:
    """Places ``[R, K]`` of the most similar ones in the cells that are closest to some vectors."""
    probed_RP = _closest(d_ND, rows_R, centers_CD, min(PROBES, len(cells)))
    probes = probed_RP.shape[1]
    # The best of each cell, one after the other. Who stands here until somebody similar is found:
    # anyone but the vector itself.
    similar_XK = np.full((probed_RP.size, k), -np.inf, np.float32)
    places_XK = ((rows_R[:, None] + 1 + np.arange(k)) % len(d_ND)).repeat(probes, axis=0)
    by_cell_X = np.argsort(probed_RP, axis=None, kind="stable")
    breaks = np.flatnonzero(np.diff(probed_RP.flat[by_cell_X])) + 1
    for some_Y in np.split(by_cell_X, breaks):
        members_M, rows_Y = cells[probed_RP.flat[some_Y[0]]], rows_R[some_Y // probes]
        found_YM = _similar(d_ND[rows_Y], d_ND[members_M])
        found_YM[rows_Y[:, None] == members_M] = -np.inf
        most = min(k, len(members_M))
        best_YK = np.argpartition(found_YM, -most, axis=1)[:, -most:]
        values_YK = np.take_along_axis(found_YM, best_YK, axis=1)
        similar_XK[some_Y, :most] = values_YK
        is_other_YK = np.isfinite(values_YK)
        places_XK[some_Y, :most] = np.where(
            is_other_YK, members_M[best_YK], places_XK[some_Y, :most]
        )
    similar_RX = similar_XK.reshape(len(rows_R), -1)
    places_RX: Places = places_XK.reshape(len(rows_R), -1)
    best_RK = np.argpartition(-similar_RX, k - 1, axis=1)[:, :k]
    order_RK = np.argsort(-np.take_along_axis(similar_RX, best_RK, axis=1), axis=1, kind="stable")
    return np.take_along_axis(places_RX, np.take_along_axis(best_RK, order_RK, axis=1), axis=1)


def _closest(d_ND: Floats, rows_Q: Places, centers_CD: Floats, count: int) -> NDArray[np.int32]:
    """Indices ``[Q, count]`` of the cells whose centers are closest to some vectors."""
    found = np.empty((len(rows_Q), count), np.int32)
    for begin in range(0, len(rows_Q), ROWS):
        some = slice(begin, begin + ROWS)
        similar_RC = _similar(d_ND[rows_Q[some]], centers_CD)
        found[some] = np.argpartition(similar_RC, -count, axis=1)[:, -count:]
    return found
