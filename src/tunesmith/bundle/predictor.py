"""Predict with a bundle: onnxruntime, NumPy and OpenCV, never torch.

Shape letters: N images, H height, W width, C channels, K classes.
"""

import math
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tunesmith.bundle.manifest import GRAPH_FILE, MANIFEST_FILE, Manifest, read_manifest
from tunesmith.core.cores import cores
from tunesmith.core.errors import BundleError, SourceError
from tunesmith.core.files import open_plain
from tunesmith.core.headers import SUFFIXES
from tunesmith.core.pixels import decode_or_say

PathLike = str | os.PathLike[str]
# A file's content and the number of channels -> pixels (H, W, C), or why decoding failed.
Decode = Callable[[bytes, int], NDArray[np.uint8] | str]
MOST_BYTES = 2**31 - 1  # size limit of a protocol buffer
MOST_VALUES = 2**18  # input values per call of the graph; its activations are much more
AT_ONCE = 32  # files decoded before the graph is called, at most
MOST_DECODED = 2**26  # pixel values in that many images; of larger ones, fewer are decoded at once


@final
class Graph:
    """An exported graph, ready to run on the CPU.

    Args:
        path: ONNX file. It must be a single file: external data are never read.
        threads: Number of threads per call; by default as many as this process has cores.

    Raises:
        BundleError: The file is missing, larger than 2 GB, or not a graph with one image input.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised, so logging them would repeat them
        try:
            if path.stat().st_size > MOST_BYTES:
                raise BundleError(f"{path} is larger than 2 GB, which no bundle's graph is.")
            # Bytes, not a path: a graph from bytes cannot refer to further files.
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
        try:
            self._session: Any = ort.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            (given,), (output,) = self._session.get_inputs(), self._session.get_outputs()
            self.channels, self.outputs = int(given.shape[3]), int(output.shape[1])
        except Exception as error:  # onnxruntime raises many classes of errors
            raise BundleError(f"{path} is no graph of a bundle: {error}") from error
        self._input, self._output = given.name, output.name

    def probabilities(self, x_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the graph, in smaller batches if there are many pixels.

        Args:
            x_NHWC: uint8 images, RGB or gray; any N, H and W.

        Returns:
            float32 of shape ``(N, K)``.
        """
        step = _step(x_NHWC.shape[1:])
        pieces: list[NDArray[np.float32]] = [np.empty((0, self.outputs), np.float32)]
        for begin in range(0, len(x_NHWC), step):
            piece = np.ascontiguousarray(x_NHWC[begin : begin + step])
            pieces += self._session.run([self._output], {self._input: piece})
        return np.concatenate(pieces)


@final
@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Prediction for one image.

    Attributes:
        name: Path of the file, or ``#3`` for the fourth image of an array.
        label: Most probable class; None if the file could not be read.
        probability: Probability of that class.
        probabilities: Probabilities of all classes, in the order of `Predictor.classes`.
        error: Why the file could not be read.
    """

    name: str
    label: str | None = None
    probability: float | None = None
    probabilities: tuple[float, ...] | None = None
    error: str | None = None


@final
class Predictor:
    """A bundle's model, as opened by `load`.

    Attributes:
        manifest: Manifest of the bundle.
    """

    def __init__(self, graph: Graph, manifest: Manifest) -> None:
        self._graph = graph
        self.manifest = manifest

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        return self.manifest.classes

    def probabilities(self, x_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predict class probabilities for an array of images.

        Args:
            x_NHWC: uint8 images ``(N, H, W, C)``, or ``(N, H, W)`` for gray; RGB, any H and W.

        Returns:
            float32 of shape ``(N, K)``.

        Raises:
            SourceError: The array has another type or shape than the network expects.
        """
        channels = self.manifest.input.channels
        x_NHWC = x_NHWC[..., None] if x_NHWC.ndim == 3 else x_NHWC  # noqa: PLR2004 (N, H, W)
        if x_NHWC.dtype != np.uint8 or x_NHWC.shape[3:] != (channels,) or 0 in x_NHWC.shape[1:]:
            raise SourceError(
                f"Images must be a uint8 array of shape (N, H, W, {channels}), but got "
                f"{x_NHWC.dtype} of shape {x_NHWC.shape}."
            )
        return self._graph.probabilities(x_NHWC)

    def predict(
        self,
        inputs: PathLike | Sequence[PathLike] | NDArray[np.uint8],
        *,
        decode: Decode = decode_or_say,
    ) -> list[Prediction]:
        """Predict the class of each image; what cannot be read does not affect the others.

        Args:
            inputs: Files; a folder stands for all image files below it, sorted, without symbolic
                links. Or an array as in `probabilities`.
            decode: Thread-safe function that decodes a file. The default decodes in this process:
                headers that claim too many pixels are refused, but the time is not limited, and a
                file that crashes the decoder kills the process. `tunesmith.jobs.predict` decodes
                in processes with limits.

        Raises:
            SourceError: Inputs are no paths, or an array has the wrong type or shape.
        """
        if isinstance(inputs, np.ndarray):
            p_NK = self.probabilities(inputs)
            return [self._answer(f"#{i}", p_K) for i, p_K in enumerate(p_NK)]
        typed = _typed(inputs)
        files = [file for path in typed for file in _files(path)]
        channels = self.manifest.input.channels
        read = partial(_read, typed=frozenset(typed), channels=channels, decode=decode)
        answers: list[Prediction] = []
        count = _at_once([])
        with ThreadPoolExecutor(cores()) as pool:
            while some := files[len(answers) : len(answers) + count]:
                images = list(pool.map(read, some))
                answers += self._answers(some, images)
                count = _at_once(images)
                del images  # before the next ones take as much memory
        return answers

    def _answers(
        self, files: Sequence[Path], images: Sequence[NDArray[np.uint8] | str]
    ) -> Iterator[Prediction]:
        """Predict images in batches of equal shape."""
        by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            if not isinstance(image, str):
                by_shape[image.shape].append(index)
        answers: dict[int, NDArray[np.float32]] = {}
        for shape, indices in by_shape.items():
            step = _step(shape)
            for part in (indices[i : i + step] for i in range(0, len(indices), step)):
                p_NK = self._graph.probabilities(np.stack([images[i] for i in part]))
                answers.update(zip(part, p_NK, strict=True))
        for index, (file, image) in enumerate(zip(files, images, strict=True)):
            if isinstance(image, str):
                yield Prediction(name=str(file), error=image)
            else:
                yield self._answer(str(file), answers[index])

    def _answer(self, name: str, p_K: NDArray[np.float32]) -> Prediction:
        best = int(p_K.argmax())
        return Prediction(
            name=name,
            label=self.classes[best],
            probability=float(p_K[best]),
            probabilities=tuple(p_K.tolist()),
        )


def _step(shape: tuple[int, ...]) -> int:
    """Batch size of one call of the graph, for images of a shape."""
    return max(1, MOST_VALUES // max(1, math.prod(shape)))


def _at_once(images: Sequence[NDArray[np.uint8] | str]) -> int:
    """Number of files to decode next: two per core, or more if the last images were small."""
    largest = max((x.size for x in images if not isinstance(x, str)), default=MOST_DECODED)
    return AT_ONCE if AT_ONCE * largest <= MOST_DECODED else min(AT_ONCE, 2 * cores())


def _typed(inputs: object) -> list[Path]:
    """Return the paths that the user passed."""
    paths: list[Any] = [inputs]
    if isinstance(inputs, Iterable) and not isinstance(inputs, str):
        paths = [*inputs]
    if odd := [path for path in paths if not isinstance(path, str | os.PathLike)]:
        raise SourceError(
            "Inputs must be a path, a list of paths, or one uint8 array of shape (N, H, W, C), but "
            f"got {type(odd[0]).__name__}. Of several arrays of one size, pass numpy.stack(images)."
        )
    return [*map(Path, paths)]


def _files(path: Path) -> list[Path]:
    """Return a folder's image files without hidden files and symbolic links, or a path itself.

    Among them are what cannot be looked at and a folder without any: to be listed as unread.
    """
    found: list[Path] = []  # a file is what cannot be walked
    walk = os.walk(path, onerror=lambda error: found.append(Path(error.filename or path)))
    for place, folders, names in walk:
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if _is_listed(Path(place, name))]
    return sorted(found) or [path]


def _is_listed(file: Path) -> bool:
    """Whether a file in a folder counts as an image: by its name, unless it is a link or a pipe."""
    if file.name.startswith(".") or file.suffix.lower() not in SUFFIXES:
        return False
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return True  # so that it is told why


def _read(
    file: Path, *, typed: Collection[Path], channels: int, decode: Decode
) -> NDArray[np.uint8] | str:
    """Decode a file to ``(H, W, C)``; return the reason if it fails.

    Symbolic links are followed only if the user passed them, not inside a folder.
    """
    try:
        if file.is_dir():
            os.scandir(file).close()  # it may be that it cannot be read
            return f"the folder has no image files (names ending with {' '.join(SUFFIXES)})"
        with open_plain(file, follow=file in typed) as (opened, found):
            return decode(opened.read(found.st_size), channels)
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"


def load(folder: PathLike, *, threads: int | None = None) -> Predictor:
    """Open a bundle.

    Args:
        folder: Folder ``bundle`` of a finished run.
        threads: Number of threads per call of the graph; by default the number of cores.

    Raises:
        BundleError: It is no path, or incomplete, damaged, or made by a newer Tunesmith.
    """
    try:
        folder = Path(folder)
    except TypeError:
        got = type(folder).__name__
        raise BundleError(f"A bundle is named by its path, but got {got}. Pass that.") from None
    manifest = read_manifest(folder)
    graph = Graph(folder / GRAPH_FILE, threads=threads)
    expected = manifest.input.channels, len(manifest.classes)
    if (graph.channels, graph.outputs) != expected:
        raise BundleError(
            f"{folder / GRAPH_FILE} reads {graph.channels} channels and knows {graph.outputs} "
            f"classes, but {MANIFEST_FILE} states {expected[0]} and {expected[1]}. The bundle was "
            "mixed from two; copy it again."
        )
    return Predictor(graph, manifest)
