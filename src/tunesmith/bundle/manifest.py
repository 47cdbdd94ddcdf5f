"""A bundle's manifest: its files with their hashes, classes, input and score."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tunesmith.core.errors import BundleError
from tunesmith.core.files import replace_file
from tunesmith.core.optional import install

BUNDLE = "bundle"  # name of the folder in the run's folder
MANIFEST_FILE = "manifest.json"
GRAPH_FILE = "model.onnx"
FORMAT: Final = 1

# Suffixes of files that may run code when loaded with the usual tools.
CODE_IN_DATA = {".ckpt", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pt2", ".pth"}

# A file in the bundle's own folder: no subfolder, no drive, not hidden.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[int, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Input(_Part):
    """Input of the network; the graph takes images of any size and resizes them itself."""

    height: Positive
    width: Positive
    channels: Literal[1, 3, 4]
    resize: Literal["antialiased bilinear, stretched"] = "antialiased bilinear, stretched"


class Score(_Part):
    """A metric on ``n`` images, with its 95 % confidence interval."""

    metric: str
    value: float
    low: float
    high: float
    n: int

    def words(self, images: str) -> str:
        """State it in a line.

        Example:
            >>> Score(metric="accuracy", value=0.9, low=0.8, high=0.95, n=60).words("test images")
            'accuracy 0.9000, 95 % confidence 0.8000 to 0.9500, on 60 test images'

        """
        bounds = f"95 % confidence {self.low:.4f} to {self.high:.4f}"
        return f"{self.metric} {self.value:.4f}, {bounds}, on {self.n:,} {images}"


class NetworkSource(_Part):
    """Source file of a user-defined network."""

    path: str
    function: str
    sha256: Sha256


class ModelInfo(_Part):
    """Architecture of the network."""

    family: str
    parameters: int
    config: Mapping[str, Any]
    views: tuple[str, ...] = ()
    """Views of an image whose logits are averaged; in an ensemble, each network has its own."""
    source: NetworkSource | None = None


class Latency(_Part):
    """Median latency of the graph in ms, by batch size, on images of the input's size."""

    ms: Mapping[str, float]
    threads: Positive


class Training(_Part):
    """How the network was trained."""

    examples: int
    seconds: float
    seed: int


class Manifest(_Part):
    """Everything needed to use a bundle, and to trust it."""

    format: Literal[1] = FORMAT
    tunesmith_version: str
    created: str
    """ISO 8601, UTC."""
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    """Class names, in the order of the probabilities."""
    input: Input
    temperature: Annotated[float, Field(gt=0)]
    """Softmax temperature, by which the graph divides the logits."""
    score: Score
    model: ModelInfo
    latency: Latency
    training: Training
    files: Mapping[FileName, Sha256] = Field(default_factory=dict)
    """SHA-256 of each file."""


def sha256_of(path: Path) -> str:
    """Hash a file.

    Raises:
        BundleError: The file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise BundleError(
            f"The bundle {path.parent} lacks its file {path.name}. Copy the whole folder again."
        ) from None
    except OSError as error:
        raise BundleError(f"The bundle's file {path} cannot be read: {error.strerror}.") from None


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Hash every file of a bundle and write its manifest, atomically.

    Args:
        folder: Folder of the bundle, with all other files already written.
        manifest: Manifest to write; its ``files`` are replaced.

    Returns:
        The manifest as written.
    """
    # Hidden files are incomplete leftovers of an earlier attempt.
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.is_file() and path.name != MANIFEST_FILE and not path.name.startswith(".")
    )
    files = {name: sha256_of(folder / name) for name in names}
    written = Manifest.model_validate(manifest.model_dump() | {"files": files})
    replace_file(folder / MANIFEST_FILE, f"{written.model_dump_json(indent=2)}\n".encode())
    return written


def read_manifest(folder: Path) -> Manifest:
    """Read a bundle's manifest and verify the hash of each file.

    Raises:
        BundleError: The folder is not a bundle, was made by a newer Tunesmith, is incomplete or
            damaged, or holds a file that could run code.
    """
    manifest = _parse(folder)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in CODE_IN_DATA:
            raise BundleError(
                f"A bundle holds no pickled data, which could run code, but {path} looks like it. "
                "Remove the file, and do not trust the rest without asking where it comes from."
            )
    for name, expected in manifest.files.items():
        found = sha256_of(folder / name)
        if found != expected:
            raise BundleError(
                f"{folder / name} does not match the bundle's manifest (SHA-256 {found[:12]}… "
                f"instead of {expected[:12]}…): it was changed or damaged. Copy the bundle again."
            )
    return manifest


def _parse(folder: Path) -> Manifest:
    path = folder / MANIFEST_FILE
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(
            f"{folder} is no bundle: it has no {MANIFEST_FILE}. A bundle is the folder `bundle` "
            "inside a finished run."
        ) from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("format",) and isinstance(first["input"], int):
            raise BundleError(
                f"{folder} has format {first['input']}, and this Tunesmith reads format {FORMAT}. "
                f"Update it with `git pull`. {install()}"
            ) from None
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BundleError(f"{path} is damaged: {place}: {first['msg']}.") from None
    if GRAPH_FILE not in manifest.files:
        raise BundleError(f"{path} is damaged: it lists no {GRAPH_FILE}.")
    return manifest
