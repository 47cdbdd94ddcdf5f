"""Helpers for messages to users."""

import difflib
import re
from collections.abc import Iterable, Mapping

ALSO = {"gpu": "cuda"}  # what users call a thing whose name is not alike
SURROGATE = re.compile("[\ud800-\udfff]")  # from bytes that are invalid Unicode


def nearest(name: str, names: Iterable[str]) -> str:
    """Suggest the most similar of ``names``, in any case, in a sentence; empty if none is similar.

    Example:
        >>> nearest("budgte", ["budget", "seed"]), nearest("GPU", ["cpu", "cuda"])
        (' Did you mean `budget`?', ' Did you mean `cuda`?')

    """
    known = {each.casefold(): each for each in names}
    asked = name.casefold()
    if (other := ALSO.get(asked)) in known:
        return f" Did you mean `{known[other]}`?"
    close = difflib.get_close_matches(asked, known, n=1, cutoff=0.6)
    return f" Did you mean `{known[close[0]]}`?" if close else ""


def sentence(text: str) -> str:
    """End a text with a period if nothing ends it.

    Example:
        >>> sentence("It raised KeyError: 'x'"), sentence("Is that so?")
        ("It raised KeyError: 'x'.", 'Is that so?')

    """
    text = text.rstrip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def duration(seconds: float) -> str:
    """Format a time span for people to read.

    Example:
        >>> duration(8.25), duration(95), duration(4000), duration(float("inf"))
        ('8.2 s', '1 min 35 s', '1 h 06 min', 'unlimited time')

    """
    if seconds == float("inf"):
        return "unlimited time"
    if seconds < 60:  # noqa: PLR2004 (seconds in a minute)
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 (minutes in an hour)
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def brief(seconds: float) -> str:
    """Format a time span that may be far below a second.

    Example:
        >>> brief(0.0123), brief(0.1), brief(95)
        ('12 ms', '0.1 s', '1 min 35 s')

    """
    return f"{1000 * seconds:.2g} ms" if 0 < seconds < 0.095 else duration(seconds)  # noqa: PLR2004 (else 0.1 s)


def megabytes(count: float) -> str:
    """Format a number of bytes as megabytes.

    Example:
        >>> megabytes(2_500_000)
        '2.5 MB'

    """
    return f"{count / 1e6:,.1f} MB"


def counted(count: int, noun: str, plural: str = "", *, verb: tuple[str, str] = ("", "")) -> str:
    """Format a count with its noun and, if given, the agreeing form of a verb.

    Example:
        >>> counted(1, "image"), counted(1200, "class", "classes", verb=("is", "are"))
        ('1 image', '1,200 classes are')

    """
    noun, agreeing = (noun, verb[0]) if count == 1 else (plural or f"{noun}s", verb[1])
    return f"{count:,} {noun} {agreeing}".rstrip()


def passes(epochs: float, noun: str = "image") -> str:
    """Say how often each image is seen, or which part of the images if not each is.

    Example:
        >>> passes(3.21), passes(0.27), passes(0.004)
        ('each image about 3.2 times', '27 % of the images', 'under 1 % of the images')

    """
    if epochs >= 0.995:  # noqa: PLR2004 (below, fewer than 100 %)
        return f"each {noun} about {epochs:.1f} times"
    share = f"{100 * epochs:.0f}" if epochs >= 0.01 else "under 1"  # noqa: PLR2004 (a percent)
    return f"{share} % of the {noun}s"


def sides(height: int, width: int) -> str:
    """Format the size of an image; which number is which is said unless they are equal.

    Example:
        >>> sides(28, 28), sides(45, 48)
        ('28 x 28 pixels', '48 x 45 pixels (width x height)')

    """
    return f"{width} x {height} pixels" + ("" if width == height else " (width x height)")


def tally(counts: Mapping[str, int]) -> str:
    """Format counts of things that are described in the singular, by a noun and what follows it.

    Example:
        >>> tally({"empty folder": 2, "row without a label": 1, "image of a kind": 1200})
        '2 empty folders, 1 row without a label, 1,200 images of a kind'

    """
    return ", ".join(
        counted(count, kind, re.sub(r"\b(file|folder|image|link|row)\b", r"\1s", kind, count=1))
        for kind, count in counts.items()
    )


def writable(text: str, mark: str = "\\") -> str:
    r"""Escape what is invalid Unicode, as in names from old file systems, so that it can be stored.

    Args:
        text: Text that may not be encodable.
        mark: What an escape begins with: a backslash, or two of them within JSON.

    Example:
        >>> writable("caf\udce9, café")
        'caf\\udce9, café'

    """
    return SURROGATE.sub(lambda found: f"{mark}u{ord(found[0]):04x}", text)


def shortened(text: str, most: int) -> str:
    """Leave out the middle of a text that is longer than ``most`` characters.

    Example:
        >>> shortened("It raised ValueError: a long list of numbers", 30)
        'It raised Val [...] of numbers'

    """
    tail, mark = most // 3, " [...] "
    head = most - tail - len(mark)
    return text if len(text) <= most else f"{text[:head]}{mark}{text[-tail:]}"


def assigned(values: Mapping[str, str]) -> str:
    """Format names and values as on the command line.

    Example:
        >>> assigned({"path": "file", "label": "kind of animal"})
        'path=file, label=kind of animal'

    """
    return ", ".join(f"{name}={value}" for name, value in values.items())


def short(value: object) -> str:
    """Format the value of a setting, a float with three significant digits.

    Example:
        >>> short(0.0123456), short(512), short("adam")
        ('0.0123', '512', 'adam')

    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)
