"""Backdoors in the data: patterns on many images, learned instead of what is shown."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.words import counted
from tunesmith.data.clean import bearing
from tunesmith.jobs.deep.suspects import too_few
from tunesmith.jobs.deep.trying import READ, Backdoor
from tunesmith.jobs.gate.alike import Alike
from tunesmith.jobs.gate.findings import Data
from tunesmith.jobs.gate.look import recipe
from tunesmith.records.cache import Cache
from tunesmith.report.findings import Finding
from tunesmith.screening.copies import comparable
from tunesmith.screening.overlays import FEWEST as FEW_OVERLAID
from tunesmith.screening.overlays import find_overlay
from tunesmith.screening.parting import LEAST as LEAST_OVERLAID
from tunesmith.screening.parting import Parted
from tunesmith.screening.patches import find_repeated
from tunesmith.screening.repeated import LEAST_COUNT as FEW_STAMPED
from tunesmith.screening.repeated import Repeated, least_of

Images = NDArray[np.uint8]
Places = NDArray[np.int64]
Group = TypeVar("Group", Parted, Repeated)

REDUCED = ", as far as it shows in 32 x 32 gray pixels"  # see `comparable`
FEW = 8  # images to compare those with a pattern with, at least
COMMON = 0.9  # share of a class with the pattern from which it is part of how the class looks
MANY = 0.1  # share of all images above which a pattern of no class comes from how they were made
MOST_STAMPS = 20  # stamps to report and try, at most; a page of forms or screenshots has hundreds
PLANTED = (
    "A network may learn the pattern instead of what is shown: a watermark does that by accident, "
    "a backdoor on purpose. Remove the pattern, or leave the images out."
)


@final
@dataclass(frozen=True, kw_only=True)
class Backdoors:
    """All patterns that were found.

    Attributes:
        backdoors: Patterns that may be triggers, the largest stamps first.
        images: Number of images that were compared, of copies one each.
        is_reduced: Whether they are larger than what was compared of them.
        more: Number of further stamps, beyond the `MOST_STAMPS` most frequent ones, at least: the
            search itself stops after very many.
    """

    backdoors: Sequence[Backdoor]
    images: int
    is_reduced: bool
    more: int


@final
@dataclass(frozen=True, kw_only=True)
class _Group:
    """Images that share a pattern.

    Attributes:
        kind: See `Finding`.
        places: Indices of these images, copies included; the most certain first.
        what: Description of the pattern, for a title.
        where: What is known about the pattern, as a sentence.
    """

    kind: str
    places: Places
    what: str
    where: str


def find_backdoors(data: Data, alike: Alike, cache: Cache) -> Backdoors:
    """Find small stamps, and faint overlays over whole images; copies count once."""
    _, first = np.unique(alike.same_N, return_index=True)
    gray_NSS = comparable(data.loaded.pixels, first)
    stamps = sorted(_repeated(gray_NSS, cache), key=lambda each: -len(each.places))
    # A stamp is also a pattern, and would mask a fainter overlay.
    stamped = np.concatenate([first[:0], *(each.places for each in stamps)])
    rest = np.setdiff1d(np.arange(len(first)), stamped)
    groups = [_stamp(data, each, first[each.places]) for each in stamps[:MOST_STAMPS]]
    groups += [_overlay(first[rest[each.places]]) for each in _overlaid(gray_NSS[rest], cache)]
    whole = [replace(each, places=bearing(alike.same_N, each.places)) for each in groups]
    more = max(0, len(stamps) - MOST_STAMPS)
    return Backdoors(
        backdoors=[_backdoor(data, each) for each in whole],
        images=len(first),
        is_reduced=bool((data.loaded.shapes > gray_NSS.shape[1:]).any()),
        more=more,
    )


def grouped_once(
    kind: type[Group],
    find: Callable[[], Iterable[Group]],
    how: str,
    contents: Sequence[NDArray[Any]],
    cache: Cache,
) -> list[Group]:
    """Find groups of images, cached by the contents that are searched."""

    def found() -> list[dict[str, Any]]:
        return [asdict(each) | {"places": each.places.tolist()} for each in find()]

    known = cache.once(how, contents, found)
    return [kind(**each | {"places": np.array(each["places"], np.int64)}) for each in known]


def _repeated(gray_NSS: Images, cache: Cache) -> list[Repeated]:
    how = recipe("stamps and squares", "opencv-python-headless")
    return grouped_once(Repeated, lambda: find_repeated(gray_NSS), how, [gray_NSS], cache)


def _overlaid(gray_NSS: Images, cache: Cache) -> list[Parted]:
    """Find the most prominent faint overlay, if there is any."""

    def find() -> list[Parted]:
        overlay = find_overlay(gray_NSS)
        return [overlay] if overlay else []

    how = recipe("overlay", "opencv-python-headless")
    return grouped_once(Parted, find, how, [gray_NSS], cache)


def _stamp(data: Data, found: Repeated, places: Places) -> _Group:
    return _Group(
        kind="stamp",
        places=places,
        what="with the same small pattern in one place",
        where=(
            f"The pattern is at row {found.top} and column {found.left} of "
            f"{data.loaded.pixels.shape[1]}, and as good as nowhere else."
        ),
    )


def _overlay(places: Places) -> _Group:
    return _Group(
        kind="overlay",
        places=places,
        what="with the same faint pattern all over",
        where=(
            "Something is laid over these images that others do not have: noise, waves, a frame or "
            "another picture. Those that bear most of it come first."
        ),
    )


def _backdoor(data: Data, group: _Group) -> Backdoor:
    places, labels_N, classes = group.places, data.labels, data.source.classes
    counts_K = np.bincount(labels_N[places], minlength=len(classes))
    label = int(counts_K.argmax())
    share, usual = counts_K[label] / len(places), float((labels_N == label).mean())
    is_telling = share > (1 + usual) / 2  # closer to certainty than to the base rate
    is_all = counts_K[label] >= COMMON * np.count_nonzero(labels_N == label)
    is_common = is_telling and is_all  # else it tells nothing, or marks only a part of the class
    of_all = len(places) / len(labels_N)
    is_made = not is_telling and of_all > MANY
    if is_common:
        means = _common(classes[label])
    elif is_made:
        means = how_made(of_all)
    else:
        means = PLANTED
    bears = (
        f"{group.where} {100 * share:.0f} % of these images are labeled “{classes[label]}”, of "
        f"all images {100 * usual:.0f} %."
    )
    finding = Finding(
        kind=group.kind,
        weight="serious" if is_telling and not is_common else "doubtful",
        title=f"{counted(len(places), 'image')} {group.what}",
        meaning=f"{bears} {means}",
        items=data.items(places),
        is_suspect=not (is_common or is_made),
    )
    wanted = label if is_telling else None
    return Backdoor(
        finding=finding,
        places=places,
        others=_others(data, places, label),
        wanted=wanted,
        free=_free(data, places, wanted),
        data=data,
    )


def how_made(share: float) -> str:
    """Explain what a pattern on many images of many classes means."""
    return (
        f"It is so in many classes, in {100 * share:.0f} % of all images: more likely this is how "
        "they were made (by two scanners, in a frame, with black bars) than a backdoor. They are "
        "not in the list of what to leave out, since that would take much of the data away. Make "
        "all images alike in this respect, or see to it that each class has its share of both "
        "kinds. To leave them out all the same, pass a list of their names, which are in "
        "check.json, with --quarantine."
    )


def _common(label: str) -> str:
    """Explain a pattern on a whole class: leaving its images out would leave out the class."""
    return (
        f"A shortcut: as good as all images of “{label}” bear it, and a network may learn it "
        "instead of what is shown. If it is what makes the class (a shop's logo, a kind of form), "
        "all is well; if not, remove it, or add images of the class without it. The images are not "
        "in the list of what to leave out, since nothing would be left of the class."
    )


def _others(data: Data, places: Places, label: int) -> Sequence[Places]:
    """Return the indices of images without a pattern: of the same class, and of all."""
    is_other_N = ~np.isin(np.arange(len(data.labels)), places)
    kinds = [np.flatnonzero(is_other_N & (data.labels == label)), np.flatnonzero(is_other_N)]
    return [_some(kind, READ) for kind in kinds if len(kind) >= FEW]


def _free(data: Data, places: Places, wanted: int | None) -> Places:
    """Return the indices of images to try a pattern on; test images if there are any."""
    is_free_N = ~np.isin(np.arange(len(data.labels)), places) & (data.labels != wanted)
    if (is_free_N & data.tested).any():
        is_free_N &= data.tested
    return _some(np.flatnonzero(is_free_N), READ)


def _some(places: Places, most: int) -> Places:
    """Choose some images; those that come first are already a random choice."""
    return np.random.default_rng(0).permutation(places)[:most]


def tell_backdoors(found: Backdoors) -> Iterator[Finding | str]:
    """Report what was found, and what was not."""
    kinds = {backdoor.finding.kind for backdoor in found.backdoors}
    small = " (one that takes less than a tenth of the side does not)" if found.is_reduced else ""
    stamp = f"A small pattern at the same place in many images{REDUCED}{small}"
    overlay = f"A faint pattern over the whole of many images{REDUCED}"
    for kind, what, least, fewest in (
        ("stamp", stamp, FEW_STAMPED, least_of(found.images)),
        ("overlay", overlay, FEW_OVERLAID, LEAST_OVERLAID),
    ):
        if kind not in kinds:
            none = f"none (one on fewer than {fewest:,} of them would not be found)"
            yield f"{what}: {none if found.images >= least else too_few(least)}."
    yield from (backdoor.finding for backdoor in found.backdoors)
    if found.more:
        yield Finding(
            kind="stamp",
            weight="doubtful",
            title=(
                f"At least {counted(found.more, 'more small pattern')}, each in one place of many "
                "images"
            ),
            meaning=(
                f"The {MOST_STAMPS} that most images bear are shown and tried; these are neither, "
                "and not in the list of what to leave out. So many are rarely planted: more likely "
                "parts of a form, a frame or a screen are on many images. Cut off or cover what is "
                "the same on them and check again, or a backdoor among these is not seen."
            ),
        )
