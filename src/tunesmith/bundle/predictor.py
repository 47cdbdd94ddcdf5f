"""Use a bundle: images in, classes with probabilities out. Needs neither torch nor a network.

Shape letters: N images, H, W, C channels, K classes.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tunesmith.bundle.manifest import GRAPH_FILE, Manifest, read_manifest
from tunesmith.core.errors import BundleError, SourceError
from tunesmith.core.pixels import Undecodable, decode

BATCH = 32  # images answered together
MOST_THREADS = 8
MOST_GRAPH_BYTES = 1 << 30

Inputs = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | NDArray[np.uint8]


def usable_threads() -> int:
    """Processors that this process may use, at most `MOST_THREADS`."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(count, MOST_THREADS)


@final
@dataclass(frozen=True, kw_only=True)
class Graph:
    """An exported graph, ready to run. Threads may share it.

    Attributes:
        threads: Threads of one call.
    """

    threads: int
    _session: onnxruntime.InferenceSession = field(repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, threads: int | None = None) -> "Graph":
        """Load a graph.

        Args:
            path: The ``.onnx`` file.
            threads: Threads of one call; by default all usable processors, at most 8.

        Raises:
            BundleError: The file is missing, too large or no graph of Tunesmith's.
        """
        path = Path(path)
        try:
            size = path.stat().st_size
            if size > MOST_GRAPH_BYTES:
                raise BundleError(
                    f"{path} must have at most {MOST_GRAPH_BYTES >> 20} MiB, but has {size >> 20}."
                )
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}.") from None
        threads = threads or usable_threads()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised, and said once
        try:
            # Bytes, not a path: a graph that names files beside it is not followed.
            session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 (onnxruntime's errors share no base class)
            raise BundleError(f"{path} is no graph that can be run: {error}") from None
        names = [n.name for n in session.get_inputs()], [n.name for n in session.get_outputs()]
        if names[0] != ["images"] or "probabilities" not in names[1]:
            raise BundleError(
                f"{path} must map `images` to `probabilities`, but it maps {names[0]} to {names[1]}."
            )
        return cls(threads=threads, _session=session)

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says about itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, x_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answer one batch: uint8 ``(N, H, W, C)`` to probabilities ``(N, K)``."""
        p_NK: NDArray[np.float32] = self._session.run(["probabilities"], {"images": x_NHWC})[0]
        return p_NK


@final
@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer to one image.

    Attributes:
        name: The file, or ``"#3"`` for the fourth of an array.
        label: The most probable class; None if the image could not be read.
        probability: Of that class.
        probabilities: Of every class, by its name.
        error: Why there is no answer, in words; None if there is one.
    """

    name: str
    label: str | None
    probability: float | None
    probabilities: Mapping[str, float]
    error: str | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A bundle, ready to use.

    Attributes:
        manifest: What the bundle says about itself.
        graph: What it computes.
    """

    manifest: Manifest
    graph: Graph

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the probabilities."""
        return self.manifest.classes

    def probabilities(self, x_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answer images of one size.

        Args:
            x_NHWC: uint8 images ``(N, H, W, C)``, RGB; gray ones may come as ``(N, H, W)``.

        Returns:
            Probabilities ``(N, K)``.

        Raises:
            SourceError: These are no images that this model can read.
        """
        x_NHWC = self._checked(x_NHWC)
        parts = [self.graph(x_NHWC[i : i + BATCH]) for i in range(0, len(x_NHWC), BATCH)]
        return np.concatenate(parts or [np.zeros((0, len(self.classes)), np.float32)])

    def predict(self, inputs: Inputs) -> list[Prediction]:
        """Name the class of images.

        Args:
            inputs: Paths of files, a folder (searched to any depth, hidden files left out), or an
                array as for `probabilities`.

        Returns:
            One answer an image, in the order given; natural order for a folder. A file that cannot
            be read as an image gets the reason instead.

        Raises:
            SourceError: The folder or array holds no image that this model can read.
        """
        if isinstance(inputs, np.ndarray):
            return [self._answer(f"#{n}", p) for n, p in enumerate(self.probabilities(inputs))]
        paths = [Path(p) for p in _paths(inputs)]
        threads = self.graph.threads
        answers: list[Prediction] = []
        with ThreadPoolExecutor(threads) as pool:
            for chunk in _chunks(paths, BATCH):
                read = list(pool.map(self._read, chunk))
                answers += self._answer_chunk(chunk, read)
        return answers

    def _checked(self, x_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        channels = self.manifest.input.channels
        if x_NHWC.ndim == 3 and channels == 1:  # noqa: PLR2004 (N, H, W)
            x_NHWC = x_NHWC[..., None]
        fits = x_NHWC.ndim == 4 and x_NHWC.shape[3] == channels and 0 not in x_NHWC.shape[1:]  # noqa: PLR2004 (N, H, W, C)
        if not fits or x_NHWC.dtype != np.uint8:
            raise SourceError(
                f"This model reads uint8 images of shape [N, H, W, {channels}], "
                f"but got {x_NHWC.dtype} of shape {list(x_NHWC.shape)}."
            )
        return x_NHWC

    def _read(self, path: Path) -> NDArray[np.uint8] | str:
        """Decode a file, or say why not."""
        try:
            return decode(path.read_bytes(), self.manifest.input.channels)
        except Undecodable as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)

    def _answer_chunk(
        self, paths: Sequence[Path], read: Sequence[NDArray[np.uint8] | str]
    ) -> Iterator[Prediction]:
        for _, group in groupby(range(len(paths)), key=lambda i: _shape(read[i])):
            places = list(group)
            names = [_printable(paths[i]) for i in places]
            images = [image for i in places if not isinstance(image := read[i], str)]
            if images:
                yield from map(self._answer, names, self.graph(np.stack(images)))
            else:
                for name, i in zip(names, places, strict=True):
                    yield Prediction(
                        name=name, label=None, probability=None, probabilities={},
                        error=str(read[i]),
                    )  # fmt: skip

    def _answer(self, name: str, p_K: NDArray[np.float32]) -> Prediction:
        best = int(p_K.argmax())
        return Prediction(
            name=name,
            label=self.classes[best],
            probability=float(p_K[best]),
            probabilities=dict(zip(self.classes, p_K.tolist(), strict=True)),
        )


def load(folder: str | os.PathLike[str], *, threads: int | None = None) -> Predictor:
    """Load a bundle.

    Args:
        folder: The bundle.
        threads: Threads of one call; by default all usable processors, at most 8.

    Raises:
        BundleError: It is no bundle, or it is incomplete or damaged.
    """
    manifest = read_manifest(Path(folder))
    graph = Graph.load(Path(folder) / GRAPH_FILE, threads=threads)
    return Predictor(manifest=manifest, graph=graph)


def _shape(read: NDArray[np.uint8] | str) -> tuple[int, ...]:
    return () if isinstance(read, str) else read.shape


def _printable(path: Path) -> str:
    """A path as text that can always be written; bytes that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key by which ``2.png`` comes before ``10.png``."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", str(path))
    ]


def _paths(inputs: Inputs) -> Iterable[str | os.PathLike[str]]:
    if not isinstance(inputs, str | os.PathLike):
        return inputs  # type: ignore[return-value]
    folder = Path(inputs)
    if not folder.is_dir():
        return [folder]
    found = [
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    ]
    if not found:
        raise SourceError(f"The folder {folder} holds no file to predict.")
    return sorted(found, key=_natural)


def _chunks(items: Sequence[Path], size: int) -> Iterator[list[Path]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
