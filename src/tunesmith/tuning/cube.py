"""Mapping between a search space and the unit cube, in which samplers compute.

Letters: N = configs, D = fields of the space.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.space import Choice, Config, Int, Range, Space, complete

Floats = NDArray[np.float64]


def _edges(range_: Range) -> tuple[float, float]:
    """Bounds of a numeric range on its own scale; each integer has an interval of equal length."""
    assert not isinstance(range_, Choice)
    half = 0.5 if isinstance(range_, Int) else 0.0
    low, high = range_.low - half, range_.high + half
    return (math.log(low), math.log(high)) if range_.log else (low, high)


def to_units(range_: Range, values: Sequence[Any]) -> Floats:
    """Map values of a range to ``[0, 1]``; an option is at the middle of its interval.

    Example:
        >>> to_units(Choice("a", "b"), ["b", "a"]).tolist()
        [0.75, 0.25]

    """
    if isinstance(range_, Choice):
        count = len(range_.options)
        return np.array([(range_.options.index(value) + 0.5) / count for value in values])
    low, high = _edges(range_)
    x_N = np.array(values, dtype=np.float64)
    return ((np.log(x_N) if range_.log else x_N) - low) / (high - low)


def from_unit(range_: Range, unit: float) -> Any:
    """Undo `to_units` for one value.

    Example:
        >>> from_unit(Int(1, 4), 0.99), from_unit(Choice("a", "b"), 0.5)
        (4, 'b')

    """
    if isinstance(range_, Choice):
        count = len(range_.options)
        return range_.options[min(count - 1, int(unit * count))]
    low, high = _edges(range_)
    x = low + (high - low) * unit
    x = min(range_.high, max(range_.low, math.exp(x) if range_.log else x))
    return min(range_.high, max(range_.low, round(x))) if isinstance(range_, Int) else x


def encode(space: Space, configs: Sequence[Config]) -> Floats:
    """Map configs to points ``(N, D)``; inactive fields are at their defaults."""
    columns = [
        to_units(field.range, [config.get(name, field.default) for config in configs])
        for name, field in space.items()
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(configs), 0))


def decode(space: Space, x_D: Floats) -> dict[str, Any]:
    """Map a point to its config, without inactive fields."""
    values = {
        name: from_unit(field.range, float(unit))
        for (name, field), unit in zip(space.items(), x_D, strict=True)
    }
    return complete(space, values)


def options_of(space: Space) -> NDArray[np.int64]:
    """Number of options of each field; 0 for a number.

    Example:
        >>> from tunesmith.core.space import Field
        >>> options_of({"a": Field(Choice("x", "y"), "x"), "b": Field(Int(1, 4), 2)}).tolist()
        [2, 0]

    """
    ranges = [field.range for field in space.values()]
    return np.array([len(r.options) if isinstance(r, Choice) else 0 for r in ranges], np.int64)


def embed(x_ND: Floats, options_D: NDArray[np.int64]) -> Floats:
    """Map points to columns ``(N, E)`` in which all options of a choice are at distance 1.

    Example:
        >>> embed(np.array([[0.2, 0.75]]), np.array([0, 2])).round(3).tolist()
        [[0.2, 0.0, 0.707]]

    """
    columns: list[Floats] = [np.zeros((len(x_ND), 0))]
    for x_N, count in zip(x_ND.T, options_D, strict=True):
        columns.append(
            np.where(is_option(x_N, count), math.sqrt(0.5), 0.0) if count else x_N[:, None]
        )
    return np.concatenate(columns, axis=1)


def is_option(x_N: Floats, count: int) -> NDArray[np.bool_]:
    """Which of so many options each value of a choice is, ``[N, count]``.

    Example:
        >>> is_option(np.array([0.2, 0.75]), 2).tolist()
        [[True, False], [False, True]]

    """
    is_option_NE: NDArray[np.bool_] = (x_N[:, None] * count).astype(np.int64) == np.arange(count)
    return is_option_NE


def squared_distances(x_CE: Floats, x_NE: Floats) -> Floats:
    """Squared Euclidean distances ``[C, N]``, up to rounding, which may leave them below 0.

    Example:
        >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])).tolist()
        [[25.0]]

    """
    squares_CN: Floats = (x_CE**2).sum(axis=1)[:, None] + (x_NE**2).sum(axis=1) - 2 * x_CE @ x_NE.T
    return squares_CN


def reflected(x_ND: Floats) -> Floats:
    """Move points into the unit cube, as if its walls were mirrors.

    Example:
        >>> reflected(np.array([-0.25, 0.5, 1.25])).tolist()
        [0.25, 0.5, 0.75]

    """
    inside_ND: Floats = 1 - np.abs(1 - np.abs(x_ND) % 2)
    return inside_ND
