"""Effect of one field on the values of trials, given how alike these are in the other fields.

A sampler proposes near the best trials in all fields at once. So good trials are relatives: they
share the values of fields that do nothing with the few trials that they descend from. In genetics,
effects are told from kinship by generalized least squares, whose covariance is the kinship (Kang et
al. 2008, "EMMA"). Here it is that of a Gaussian process over the other fields.

Letters: N = trials, S = shapes that an effect may have, B = permutations.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from tunesmith.core.space import Choice, Config, Range, Space
from tunesmith.tuning.cube import Floats, embed, encode, options_of, to_units
from tunesmith.tuning.kernel import covariance
from tunesmith.tuning.parts import SMALLEST

FEWEST = 12  # trials below which nothing can be said
FITTED = 200  # trials at most to which the process is fitted, which bounds the time
ROUNDING = 1e-9  # share of a statistic below which a difference is none


@final
@dataclass(frozen=True, kw_only=True)
class Effect:
    """What the trials tell of a field's effect.

    Attributes:
        rest_N: Ranks of the values, as far as neither their mean nor the other fields of earlier
            trials tell them; all of them vary equally.
        shape_NS: The shapes that the effect may have in these, orthonormal.
        share: Share of the differences between the ranks that the field explains, less that
            expected by chance; at least 0 and at most 1.
    """

    rest_N: Floats
    shape_NS: Floats
    share: float

    @classmethod
    def of(
        cls, name: str, space: Space, configs: Sequence[Config], values_N: Floats
    ) -> Self | None:
        """Find the effect of a field; None if too few trials have it, or all the same value.

        Args:
            name: Name of the field.
            space: Search space.
            configs: Configs of the trials, in the order of their start.
            values_N: Their values.
        """
        told = _told(name, space[name].range, configs)
        if len(told) < FEWEST:
            return None
        configs = [configs[n] for n in told]
        shape_NS = _shapes(space[name].range, [config[name] for config in configs])
        if not shape_NS.size:
            return None
        rank_N = ranks(values_N[told])
        rank_N -= rank_N.mean()
        return cls._given(_alike(_others(space, name), configs, rank_N), rank_N, shape_NS)

    @classmethod
    def _given(cls, alike_NN: Floats, rank_N: Floats, shape_NS: Floats) -> Self:
        """Fit the shapes by generalized least squares.

        Dividing by the root of the covariance leaves of each trial what those before it do not
        tell. The sampler knew no more than those, so that in a search, too, this is independent of
        what it chose, unless the field has an effect.
        """
        count, shapes = shape_NS.shape
        free = np.linalg.solve(
            np.linalg.cholesky(alike_NN), np.column_stack([np.ones(count), rank_N, shape_NS])
        )
        mean_N = free[:, 0] / np.linalg.norm(free[:, 0])
        free = free[:, 1:] - np.outer(mean_N, mean_N @ free[:, 1:])
        rest_N, (free_NS, root_SS) = free[:, 0], np.linalg.qr(free[:, 1:])
        to_rank_SS, found_S = np.linalg.inv(root_SS), free_NS.T @ rest_N
        noise = (rest_N @ rest_N - found_S @ found_S) / (count - shapes - 1)
        # Without other fields, this is Kelley's epsilon squared (1935).
        explained = ((to_rank_SS @ found_S) ** 2).sum() - noise * (to_rank_SS**2).sum()
        share = min(1.0, max(0.0, float(explained / max(rank_N @ rank_N, ROUNDING))))
        return cls(rest_N=rest_N, shape_NS=free_NS, share=share)

    def chance(self, *, draws: int) -> float:
        """Chance that the shapes explain at least as much if there is no effect: a p-value.

        By permutations of the rest, always the same ones (Freedman and Lane 1983).
        """
        drawn_BN = np.tile(self.rest_N, (draws - 1, 1))
        np.random.default_rng(0).permuted(drawn_BN, axis=1, out=drawn_BN)
        found, drawn_B = (
            ((rest @ self.shape_NS) ** 2).sum(axis=-1) for rest in (self.rest_N, drawn_BN)
        )
        return float(1 + (drawn_B >= found * (1 - ROUNDING)).sum()) / draws


def ranks(values_N: Floats) -> Floats:
    """Rank of each value; equal ones share the middle of theirs.

    Example:
        >>> ranks(np.array([7.0, 5.0, 7.0, 9.0])).tolist()
        [2.0, 0.5, 2.0, 3.5]

    """
    _, place_N, count_M = np.unique(values_N, return_inverse=True, return_counts=True)
    middle_M: Floats = np.cumsum(count_M) - count_M / 2
    return middle_M[place_N]


def _told(name: str, range_: Range, configs: Sequence[Config]) -> list[int]:
    """Places of the configs with the field, but those with an option that was hardly tried."""
    known = [place for place, config in enumerate(configs) if name in config]
    if not isinstance(range_, Choice):
        return known
    units = to_units(range_, [configs[place][name] for place in known]).tolist()
    tried = Counter(units)
    return [n for n, unit in zip(known, units, strict=True) if tried[unit] >= SMALLEST]


def _shapes(range_: Range, values: Sequence[object]) -> Floats:
    """Shapes that the effect of a field may have, as orthonormal columns without mean.

    A choice has a level for each option; a number has a parabola of its ranks, so that an optimum
    in between shows.
    """
    unit_N = to_units(range_, values)
    if isinstance(range_, Choice):
        shape_NS = (unit_N[:, None] == np.unique(unit_N)).astype(np.float64)
    else:
        rank_N = ranks(unit_N) / len(unit_N)
        shape_NS = np.stack([rank_N, rank_N**2], axis=1)
    shape_NS, size_S, _ = np.linalg.svd(shape_NS - shape_NS.mean(axis=0), full_matrices=False)
    return shape_NS[:, size_S > ROUNDING]


def _others(space: Space, name: str) -> Space:
    """The fields but one, and but those that are active only for some of its values."""
    gone = {name}
    for other, field in space.items():  # a condition names a field before it
        if field.when is not None and field.when.field in gone:
            gone.add(other)
    return {other: field for other, field in space.items() if other not in gone}


def _alike(others: Space, configs: Sequence[Config], rank_N: Floats) -> Floats:
    """Covariance of the ranks as far as the other fields make them alike.

    Of numbers, the ranks count: late in a search, most lie near the best one, where the ranks of
    the values change fast.
    """
    x_ND, options_D = encode(others, configs), options_of(others)
    for d in np.flatnonzero(options_D == 0):
        x_ND[:, d] = ranks(x_ND[:, d]) / len(x_ND)
    field_E = np.arange(len(others)).repeat(np.maximum(options_D, 1))
    part = np.random.default_rng(0).permutation(len(rank_N))[:FITTED]
    return covariance(embed(x_ND, options_D), rank_N, field_E=field_E, part=part)
