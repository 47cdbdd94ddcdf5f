"""The learning rate as a pure function of progress: piecewise linear, replanned between slices.

Progress is counted in examples seen, the only unit that does not depend on the batch size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class Segment:
    """From ``begin`` to ``end`` examples, the multiplier is linear from ``first`` to ``last``.

    Example:
        >>> warmup = Segment(begin=0, end=100, first=0.0, last=1.0)
        >>> multiplier([warmup, Segment(begin=100, end=300, first=1.0, last=0.0)], 200)
        0.5

    """

    begin: int
    end: int
    first: float
    last: float

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end:
            raise ValueError(f"A segment needs 0 <= begin < end, but got {self}.")


def multiplier(segments: Sequence[Segment], seen: int) -> float:
    """Multiplier of the learning rate after ``seen`` examples.

    Raises:
        ValueError: No segment contains ``seen``. The end of the last segment belongs to it.
    """
    for segment in segments:
        if segment.begin <= seen < segment.end or (segment is segments[-1] and seen == segment.end):
            share = (seen - segment.begin) / (segment.end - segment.begin)
            return segment.first + share * (segment.last - segment.first)
    raise ValueError(f"No segment holds {seen} examples: {list(segments)}.")


def highest_ahead(segments: Sequence[Segment], seen: int) -> float:
    """Largest multiplier from ``seen`` examples on: a rise counts with its peak.

    Example:
        >>> plan = warmup_decay(1000, warmup=0.2)
        >>> highest_ahead(plan, 0), highest_ahead(plan, 600)
        (1.0, 0.5)

    """
    later = [s for s in segments if s.end > seen]
    return max(
        [multiplier(segments, seen), *(s.last for s in later), *(s.first for s in later[1:])]
    )


def warmup_decay(end: int, *, warmup: float) -> tuple[Segment, ...]:
    """Plan a full training: linear warmup over the share ``warmup``, then linear decay to zero.

    Example:
        >>> [multiplier(warmup_decay(1000, warmup=0.2), seen) for seen in (0, 100, 200, 600, 1000)]
        [0.0, 0.5, 1.0, 0.5, 0.0]

    """
    top = int(end * warmup)
    rise = (Segment(begin=0, end=top, first=0.0, last=1.0),) if top else ()
    return (*rise, Segment(begin=top, end=end, first=1.0, last=0.0))


def refit(segments: Sequence[Segment], *, seen: int, end: int) -> tuple[Segment, ...]:
    """Refit the rest of a plan to another ``end``, since the time estimate has changed.

    The past stays unchanged, and the multiplier continues without a jump. An unfinished warmup is
    kept; if ``end`` comes before its peak, it is cut short.

    Raises:
        ValueError: ``end`` is not after ``seen``.

    Example:
        >>> plan = warmup_decay(1000, warmup=0.0)
        >>> shorter = refit(plan, seen=500, end=750)
        >>> multiplier(shorter, 500), multiplier(shorter, 625), multiplier(shorter, 750)
        (0.5, 0.25, 0.0)

    """
    if end <= seen:
        raise ValueError(f"`end` must be after `seen`, but got {end=}, {seen=}.")
    if segments[-1].end == end:
        return tuple(segments)
    kept = [s for s in segments if s.end <= seen]
    begin, here = seen, multiplier(segments, seen)
    current = next(s for s in segments if s.end > seen or s is segments[-1])
    if current.begin < seen < current.end:
        kept.append(Segment(begin=current.begin, end=seen, first=current.first, last=here))
    if current.last > current.first and current.end < end:
        kept.append(Segment(begin=seen, end=current.end, first=here, last=current.last))
        begin, here = current.end, current.last
    return (*kept, Segment(begin=begin, end=end, first=here, last=0.0))


def rise(
    segments: Sequence[Segment], *, seen: int, top: int, end: int, peak: float
) -> tuple[Segment, ...]:
    """Go on with a plan that ends at ``seen``: up to ``peak`` at ``top``, then decay to zero.

    If ``top`` is not between ``seen`` and ``end``, the multiplier decays at once.

    Example:
        >>> plan = warmup_decay(1000, warmup=0.0)
        >>> longer = rise(plan, seen=1000, top=1100, end=2000, peak=0.4)
        >>> multiplier(longer, 1050), multiplier(longer, 1100), multiplier(longer, 2000)
        (0.2, 0.4, 0.0)

    """
    here = multiplier(segments, seen)
    if not seen < top < end:
        return (*segments, Segment(begin=seen, end=end, first=here, last=0.0))
    return (
        *segments,
        Segment(begin=seen, end=top, first=here, last=peak),
        Segment(begin=top, end=end, first=peak, last=0.0),
    )


def damp(segments: Sequence[Segment], *, seen: int, factor: float) -> tuple[Segment, ...]:
    """Scale the rest of a plan by ``factor``, as after a divergence.

    Example:
        >>> plan = damp(warmup_decay(1000, warmup=0.0), seen=500, factor=0.5)
        >>> multiplier(plan, 500), multiplier(plan, 750)
        (0.25, 0.125)

    """
    done = [s for s in segments if s.end <= seen]
    rest: list[Segment] = []
    for segment in segments[len(done) :]:
        begin, end = max(segment.begin, seen), segment.end
        if begin > segment.begin:
            share = multiplier([segment], begin)
            done.append(Segment(begin=segment.begin, end=begin, first=segment.first, last=share))
        first = multiplier([segment], begin) * factor
        rest.append(Segment(begin=begin, end=end, first=first, last=segment.last * factor))
    return (*done, *rest)
