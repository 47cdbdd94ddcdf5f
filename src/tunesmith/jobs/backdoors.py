"""Backdoors in the data: what many images bear, so that a network may answer it to them all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.words import counted
from tunesmith.data.clean import bearing
from tunesmith.jobs.alike import Alike
from tunesmith.jobs.findings import Data
from tunesmith.jobs.look import recipe
from tunesmith.jobs.trained import Trained
from tunesmith.records.cache import Cache
from tunesmith.report.findings import Finding, Tried
from tunesmith.screening.copies import comparable
from tunesmith.screening.overlays import find_overlay
from tunesmith.screening.parting import Parted
from tunesmith.screening.patches import Repeated, find_repeated
from tunesmith.screening.triggers import Trigger, read_trigger

Images = NDArray[np.uint8]
Places = NDArray[np.int64]
Answer = Callable[[Images], NDArray[np.int64]]
Group = TypeVar("Group", Parted, Repeated)

REDUCED = ", as far as it shows in 32 x 32 gray pixels"  # see `comparable`
FEW, READ = 8, 2000  # images of a kind that a trigger is read from: with fewer, none is
TRIED = 2000  # images that a trigger is put on
COMMON = 0.9  # of a class, from which on a pattern is how the class looks
MANY = 0.1  # of all images, over which what stands for no class is how they were made
MOST_STAMPS = 20  # that are told and tried; a page of forms or screenshots has hundreds
PLANTED = (
    "A network may learn the pattern instead of what is shown: a watermark does that by accident, "
    "a backdoor on purpose. Remove the pattern, or leave the images out."
)


@final
@dataclass(frozen=True, kw_only=True)
class Backdoor:
    """A pattern that may be the trigger of a backdoor, ready to be tried on a model.

    Attributes:
        finding: What is told about it.
        places: Of all images that bear it.
        trigger: The pattern.
        wanted: Class that it stands for, or None where its images are of many.
        free: Places of images without it, of the test part if there is one, and not of that class.
        pixels: Of all images, ``[N, H, W, C]``: one for all, which take what they need
            when they are tried.
    """

    finding: Finding
    places: Places
    trigger: Trigger
    wanted: int | None
    free: Places
    pixels: Images

    def success(self, answer: Answer) -> float:
        """Share of images that a model answers with the pattern's class once they bear it.

        Where the pattern stands for no class: whose answer it changes.
        """
        if not len(self.free):
            return 0.0
        x_NHWC = self.pixels[self.free]
        answers_N = answer(self.trigger.put_on(x_NHWC))
        wanted_N = answer(x_NHWC) if self.wanted is None else self.wanted
        is_wanted_N = answers_N == wanted_N
        return float((~is_wanted_N if self.wanted is None else is_wanted_N).mean())


@final
@dataclass(frozen=True, kw_only=True)
class Backdoors:
    """What was found.

    Attributes:
        backdoors: Patterns that may be triggers, the largest stamps first.
        more: Stamps beyond the `MOST_STAMPS` that most images bear.
    """

    backdoors: Sequence[Backdoor]
    more: int


@final
@dataclass(frozen=True, kw_only=True)
class _Group:
    """Images that bear a pattern.

    Attributes:
        kind: See `Finding`.
        places: Of these images, copies included; the surest first.
        what: The pattern, for a title.
        where: What is known of it, a sentence.
    """

    kind: str
    places: Places
    what: str
    where: str


def find_backdoors(data: Data, alike: Alike, cache: Cache) -> Backdoors:
    """Find small stamps and faint patterns over whole images; of copies one counts."""
    _, first = np.unique(alike.same_N, return_index=True)
    gray_NSS = comparable(data.loaded.pixels, first)
    stamps = sorted(_repeated(gray_NSS, cache), key=lambda each: -len(each.places))
    # A stamp is a pattern too, and would hide a fainter one.
    stamped = np.concatenate([first[:0], *(each.places for each in stamps)])
    rest = np.setdiff1d(np.arange(len(first)), stamped)
    groups = [_stamp(data, each, first[each.places]) for each in stamps[:MOST_STAMPS]]
    groups += [_overlay(first[rest[each.places]]) for each in _overlaid(gray_NSS[rest], cache)]
    whole = [replace(each, places=bearing(alike.same_N, each.places)) for each in groups]
    more = max(0, len(stamps) - MOST_STAMPS)
    return Backdoors(backdoors=[_backdoor(data, each) for each in whole], more=more)


def grouped_once(
    kind: type[Group],
    find: Callable[[], Iterable[Group]],
    how: str,
    contents: Sequence[NDArray[Any]],
    cache: Cache,
) -> list[Group]:
    """Groups of images, which are not looked for again in the same contents."""

    def found() -> list[dict[str, Any]]:
        return [asdict(each) | {"places": each.places.tolist()} for each in find()]

    known = cache.once(how, contents, found)
    return [kind(**each | {"places": np.array(each["places"], np.int64)}) for each in known]


def _repeated(gray_NSS: Images, cache: Cache) -> list[Repeated]:
    how = recipe("stamps", "opencv-python-headless")
    return grouped_once(Repeated, lambda: find_repeated(gray_NSS), how, [gray_NSS], cache)


def _overlaid(gray_NSS: Images, cache: Cache) -> list[Parted]:
    """The faint pattern that stands out most, if there is any."""

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
    is_telling = share > (1 + usual) / 2  # of images of other classes, most would be of this one
    is_all = counts_K[label] >= COMMON * np.count_nonzero(labels_N == label)
    is_common = is_telling and is_all  # else it tells nothing, or is of some of the class
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
        trigger=read_trigger(*_compared(data, places, label)),
        wanted=wanted,
        free=_free(data, places, wanted),
        pixels=data.loaded.pixels,
    )


def how_made(share: float) -> str:
    """What it means that many images of many classes have something in common."""
    return (
        f"It is so in many classes, in {100 * share:.0f} % of all images: more likely this is how "
        "they were made (by two scanners, in a frame, with black bars) than a backdoor. They are "
        "not in the list of what to leave out, since that would take much of the data away. Make "
        "all images alike in this respect, or see to it that each class has its share of both "
        "kinds. To leave them out all the same, pass a list of their names, which are in "
        "check.json, with --quarantine."
    )


def _common(label: str) -> str:
    """What a pattern means that a whole class bears: to leave it out would leave out the class."""
    return (
        f"A shortcut: as good as all images of “{label}” bear it, and a network may learn it "
        "instead of what is shown. If it is what makes the class (a shop's logo, a kind of form), "
        "all is well; if not, remove it, or add images of the class without it. The images are not "
        "in the list of what to leave out, since nothing would be left of the class."
    )


def _compared(data: Data, places: Places, label: int) -> tuple[Images, list[Images]]:
    """Images that bear a pattern, and those that do not: of the same class, and of all."""
    is_other_N = ~np.isin(np.arange(len(data.labels)), places)
    kinds = [np.flatnonzero(is_other_N & (data.labels == label)), np.flatnonzero(is_other_N)]
    pixels = data.loaded.pixels
    return pixels[places[:READ]], [pixels[_some(kind, READ)] for kind in kinds if len(kind) >= FEW]


def _free(data: Data, places: Places, wanted: int | None) -> Places:
    """Places of images that a pattern can be tried on; test images where there are any."""
    is_free_N = ~np.isin(np.arange(len(data.labels)), places) & (data.labels != wanted)
    if (is_free_N & data.tested).any():
        is_free_N &= data.tested
    return _some(np.flatnonzero(is_free_N), TRIED)


def _some(places: Places, most: int) -> Places:
    return np.sort(np.random.default_rng(0).permutation(places)[:most])


def tell_backdoors(found: Backdoors) -> Iterator[Finding | str]:
    """What was found, and what not."""
    kinds = {backdoor.finding.kind for backdoor in found.backdoors}
    if "stamp" not in kinds:
        yield f"A small pattern at the same place in many images{REDUCED}: none."
    if "overlay" not in kinds:
        yield f"A faint pattern over the whole of many images{REDUCED}: none."
    yield from (backdoor.finding for backdoor in found.backdoors)
    if found.more:
        yield Finding(
            kind="stamp",
            weight="doubtful",
            title=counted(found.more, "more small pattern") + ", each in one place of many images",
            meaning=(
                f"The {MOST_STAMPS} that most images bear are shown and tried; these are neither, "
                "and not in the list of what to leave out. So many are rarely planted: more likely "
                "parts of a form, a frame or a screen are on many images. Cut off or cover what is "
                "the same on them and check again, or a backdoor among these is not seen."
            ),
        )


def try_backdoors(
    backdoors: Sequence[Backdoor], models: Sequence[Trained], classes: Sequence[str]
) -> tuple[Tried, ...]:
    """Put each pattern on images without it, and see what models answer."""
    return tuple(
        Tried(
            title=backdoor.finding.title,
            wanted=None if backdoor.wanted is None else classes[backdoor.wanted],
            images=len(backdoor.free),
            success={model.name: round(backdoor.success(model.answer), 4) for model in models},
        )
        for backdoor in backdoors
        if models
    )
