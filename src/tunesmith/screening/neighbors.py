"""The most similar of many vectors: among few by looking at all, among many by cells.

Each vector belongs to the cell whose center it is most similar to; centers are some of the vectors,
so that there are many where vectors crowd. Looked into are the cells that are closest to the vector
asked about (an inverted file with several probes, after Jegou, Douze and Schmid 2011, "Product
quantization for nearest neighbor search", IEEE TPAMI 33).

Shape letters: N unit vectors of D numbers, Q of them asked about, K similar ones of each, C cells,
P of them looked into, M vectors in one, R rows at a time.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

FEW = 10_000  # vectors up to which it is quicker to look at all
PROBES = 16  # cells that are looked into for each vector
SPREAD = 4  # cells for each root of N: then there are about as many cells as vectors in 16 of them
CROWDED = 4  # times the mean size; what a cell holds beyond that is not looked at
ROWS, COLUMNS, LANES = 512, 8192, 128  # of a block of similarities; it stays in the cache
MOST_NUMBERS = 16_000_000  # of vectors that are looked at once more at a time


def comparisons(vectors: int, asked: int) -> int:
    """How many pairs of vectors `nearest` compares at most.

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
    """Vectors of one cell that are looked at."""
    return CROWDED * vectors // _cells(vectors)


def nearest(d_ND: Floats, asked_Q: Places, k: int) -> Places:
    """Places ``[Q, K]`` of the k most similar unit vectors, the most similar first, never itself.

    Of more than `FEW` vectors, about one in a hundred similar ones is missed, and time grows with
    Q times the root of N instead of Q times N.

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
    """Look at all.

    Similarities are looked at in blocks that stay in the cache; of each lane of a block only the
    best is kept, and lanes among the best k + 1 are looked at once more.
    """
    n, columns = len(d_ND), min(COLUMNS, -(-len(d_ND) // LANES) * LANES)
    # One more number tells padding, which is similar to nothing, from vectors.
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
    n, q = len(d_ND), len(asked_Q)
    centers_CD = d_ND[np.random.default_rng(0).permutation(n)[: _cells(n)]]
    homes_N = _closest(d_ND, np.arange(n), centers_CD, 1)[:, 0]
    members_N = np.argsort(homes_N, kind="stable")
    begin_C = np.searchsorted(homes_N[members_N], np.arange(len(centers_CD) + 1))
    probed_QP = _closest(d_ND, asked_Q, centers_CD, min(PROBES, len(centers_CD)))
    # Who stands here until somebody similar is found: anyone but the vector itself.
    places_QK = (asked_Q[:, None] + 1 + np.arange(k)) % n
    similar_QK = np.full((q, k), -np.inf, np.float32)
    for probed_Q in probed_QP.T:
        by_cell_Q = np.argsort(probed_Q, kind="stable")
        ends = np.flatnonzero(np.diff(probed_Q[by_cell_Q])) + 1
        for rows_R in np.split(by_cell_Q, np.union1d(ends, np.arange(ROWS, q, ROWS))):
            cell = probed_Q[rows_R[0]]
            members_M = members_N[begin_C[cell] : begin_C[cell + 1]][: _most(n)]
            found_RM = _similar(d_ND[asked_Q[rows_R]], d_ND[members_M])
            found_RM[asked_Q[rows_R, None] == members_M] = -np.inf
            all_RX = np.concatenate([similar_QK[rows_R], found_RM], axis=1)
            best_RK = np.argpartition(all_RX, -k, axis=1)[:, -k:]
            similar_QK[rows_R] = np.take_along_axis(all_RX, best_RK, axis=1)
            # Of X the first K are those of before.
            before_RK = np.take_along_axis(places_QK[rows_R], best_RK.clip(max=k - 1), axis=1)
            now_RK = np.append(members_M, -1)[(best_RK - k).clip(min=-1)]
            places_QK[rows_R] = np.where(best_RK < k, before_RK, now_RK)
    order_QK = np.argsort(-similar_QK, axis=1, kind="stable")
    return np.take_along_axis(places_QK, order_QK, axis=1)


def _closest(d_ND: Floats, rows_Q: Places, centers_CD: Floats, count: int) -> NDArray[np.int32]:
    """Numbers ``[Q, count]`` of the cells whose centers are closest to some vectors."""
    found = np.empty((len(rows_Q), count), np.int32)
    for begin in range(0, len(rows_Q), ROWS):
        some = slice(begin, begin + ROWS)
        similar_RC = _similar(d_ND[rows_Q[some]], centers_CD)
        found[some] = np.argpartition(similar_RC, -count, axis=1)[:, -count:]
    return found
