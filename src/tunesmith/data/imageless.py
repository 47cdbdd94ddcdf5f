"""Folders that are next to class folders, but hold no image: a class may silently be missing."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from tunesmith.core.errors import SourceError
from tunesmith.core.headers import SUFFIXES, read_header
from tunesmith.core.words import counted, tally
from tunesmith.data.folders import NOT_IMAGE, NOT_READ, PARTS, listed, part_of

LONE = "folder without images"  # kind of what is skipped
INSPECTED = (NOT_IMAGE, NOT_READ)  # kinds of files that may be images all the same
PEEKED = 10  # files inspected in such a folder
MOST_CLAIMED = 2**32  # pixels; a text that starts like an image claims far more


def imageless(
    origin: str,
    names: Sequence[str],
    others: Sequence[tuple[str, str]],
    begin: Callable[[int], bytes],
) -> Counter[str]:
    """Inspect the folders that are next to class folders, but hold no image.

    Args:
        origin: Folder or archive that holds the files, for messages.
        names: "/"-separated paths of its images.
        others: "/"-separated path and kind of what is skipped; that of a folder ends in "/".
        begin: Function that returns the first bytes of an other file, by its index.

    Returns:
        Number of these folders, under a kind that says what they hold, if their files are no
        images.

    Raises:
        SourceError: Their files are unreadable images, so that a class would silently be missing.
    """
    has_parts = all(map(part_of, names))
    depth = 2 if has_parts else 1
    whole = {tuple(name.split("/")[:depth]) for name in names}
    taken = {folders[:many] for folders in whole for many in range(depth + 1)}
    lone: dict[str, list[int]] = {}
    for place, (name, _) in enumerate(others):
        folders = name.split("/")[:-1][:depth]
        if tuple(folders) not in taken and (not has_parts or folders[0].lower() in PARTS):
            lone.setdefault("/".join(folders), []).append(place)
    bad = [folder for folder, places in lone.items() if _has_images(others, places, begin)]
    if bad:
        inside = [others[place] for folder in bad for place in lone[folder]]
        files = [name for name, kind in inside if kind in INSPECTED]
        ends = Counter(PurePosixPath(file).suffix.lower() or "nothing" for file in files)
        raise SourceError(
            f"A folder beside those of classes is a class too, but in {origin} none of the "
            f"{counted(len(files), 'file')} in {listed(bad)} can be read as an image (endings: "
            f"{listed([end for end, _ in ends.most_common()])}). Images end in "
            f"{' '.join(SUFFIXES)}: convert or rename the files, or move the folder elsewhere."
        )
    kinds = {
        folder: Counter(others[place][1] for place in places) for folder, places in lone.items()
    }
    holds = [f"{folder}: {tally(count).replace(', ', ' and ')}" for folder, count in kinds.items()]
    return +Counter({f"{LONE} ({listed(holds)})": len(lone)})


def _has_images(
    others: Sequence[tuple[str, str]], places: Sequence[int], begin: Callable[[int], bytes]
) -> bool:
    """Whether any file without a supported image suffix is an image after all."""
    if any(others[place][1] == NOT_READ for place in places):
        return True
    unknown = [place for place in places if others[place][1] == NOT_IMAGE]
    headers = (read_header(begin(place)) for place in unknown[:PEEKED])
    return any(header and 0 < header.pixels < MOST_CLAIMED for header in headers)
