"""Built-in data sets, known by name."""

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from tunesmith.core.errors import SourceError
from tunesmith.core.files import expanded
from tunesmith.core.optional import require
from tunesmith.data.arrays import Arrays, from_arrays

DIGITS = "digits"
GOOGLE = "https://storage.googleapis.com/"


@final
@dataclass(frozen=True)
class Remote:
    """A file to download.

    Attributes:
        name: File name.
        size: Size in bytes.
        sha256: SHA-256 of the content, in hexadecimal.
        mirrors: URLs without the file name, in the order in which to try them.
    """

    name: str
    size: int
    sha256: str
    mirrors: tuple[str, ...]


def _remotes(table: str, *mirrors: str) -> tuple[Remote, ...]:
    """Parse rows of size, SHA-256 and name."""
    rows = (line.split() for line in table.strip().splitlines())
    return tuple(Remote(name, int(size), sha256, mirrors) for size, sha256, name in rows)


# Files of each data set to download.
REMOTES = {
    "mnist": _remotes(
        """
9912422 440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609 train-images-idx3-ubyte.gz
28881 3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c train-labels-idx1-ubyte.gz
1648877 8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6 t10k-images-idx3-ubyte.gz
4542 f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6 t10k-labels-idx1-ubyte.gz
        """,
        f"{GOOGLE}cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    "fashion-mnist": _remotes(
        """
26421880 3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84 train-images-idx3-ubyte.gz
29515 a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845 train-labels-idx1-ubyte.gz
4422102 346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073 t10k-images-idx3-ubyte.gz
5148 67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5 t10k-labels-idx1-ubyte.gz
        """,
        f"{GOOGLE}tensorflow/tf-keras-datasets/",
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    "cifar10": _remotes(
        """
170052171 c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd cifar-10-binary.tar.gz
        """,
        "https://www.cs.toronto.edu/~kriz/",
        f"{GOOGLE}s4tf-hosted-binaries/datasets/CIFAR10/",
    ),
}
NAMES = (DIGITS, *REMOTES)


def load_digits() -> Arrays:
    """Load 1,797 handwritten digits of 8 x 8 pixels in 17 gray levels from scikit-learn.

    They are scaled from 0..16 to 0..255 (Alpaydin and Kaynak 1998).

    Raises:
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> load_digits().images.shape
        (1797, 8, 8, 1)

    """
    bunch = require("sklearn.datasets", extra="train").load_digits()
    return from_arrays(np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target)


def _home() -> Path:
    """The user's home folder; that of temporary files if there is none, as in some containers."""
    home = expanded("~")
    return home if home.is_absolute() else Path(tempfile.gettempdir())


def cache(name: str) -> Path:
    """The folder that a data set is downloaded to."""
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        root = Path(chosen)
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or _home())
    else:
        root = _home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return root / "tunesmith" / name


def places(name: str) -> list[Path]:
    """Paths where a data set is searched: ``$TUNESMITH_DATA``, system folders, our cache."""
    own = [expanded(folder) for folder in [os.environ.get("TUNESMITH_DATA")] if folder]
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [
        *(folder / each for folder in own for each in (name, f"{name}.zip")),
        *(Path(folder) / "datasets" / name for folder in shared.split(os.pathsep) if folder),
        cache(name),
    ]


def find(name: str) -> Path | None:
    """First path that holds a data set, or None; an incomplete download does not count."""
    *others, own = places(name)
    is_whole = all(_is_there(own / remote.name) for remote in REMOTES[name])
    return next((place for place in others if _is_there(place)), own if is_whole else None)


def _is_there(path: Path) -> bool:
    """Whether a path exists; False if this user may not access its folder."""
    return os.path.exists(path)  # noqa: PTH110 (pathlib's raises where a folder may not be entered)


def lacking(source: Any) -> tuple[Remote, ...]:
    """Files that must be downloaded before a source can be opened; for most sources, none."""
    text = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    is_name = text in REMOTES and not _is_there(Path(text))
    return REMOTES[text] if is_name and find(text) is None else ()


def locate(name: str) -> Path:
    """Path of a data set.

    Raises:
        SourceError: The data set is not on this machine.
    """
    if place := find(name):
        return place
    raise SourceError(
        f"A data set known by name must be on this machine, but {name} is at none of "
        f"{', '.join(map(str, places(name)))}. Put it there, or let `tunesmith fit` download it."
    )
