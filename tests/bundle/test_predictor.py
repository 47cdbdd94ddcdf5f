"""Tests of `tunesmith.bundle.predictor`."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import external_data_helper

from tunesmith.bundle import predictor
from tunesmith.bundle.manifest import GRAPH_FILE, Manifest, write_manifest
from tunesmith.bundle.predictor import Graph, Predictor, load
from tunesmith.core import pixels
from tunesmith.core.errors import BundleError, SourceError

Decoded = NDArray[np.uint8] | str
COLORS = {"blau": (10, 20, 90), "grün": (10, 90, 20), "紅": (90, 20, 10)}


def flat(color: str, height: int = 8, width: int = 12) -> NDArray[np.uint8]:
    """Paint an RGB image [H, W, C] of one color."""
    return np.full((height, width, 3), COLORS[color], np.uint8)


def save(path: Path, image_HWC: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image_HWC[..., ::-1])[1].tobytes())
    return path


@pytest.fixture
def model(bundle: Path) -> Predictor:
    return load(bundle, threads=1)


def test_an_array_gets_the_classes_in_the_manifests_order(model: Predictor) -> None:
    answers = model.predict(np.stack([flat(color) for color in COLORS]))
    assert model.classes == tuple(COLORS)
    assert [answer.label for answer in answers] == list(COLORS)
    assert [answer.name for answer in answers] == ["#0", "#1", "#2"]
    for answer in answers:
        assert answer.error is None
        assert answer.probabilities is not None
        assert answer.probability == max(answer.probabilities)
        assert sum(answer.probabilities) == pytest.approx(1)


def test_files_of_many_sizes_answer_as_their_pixels_do(model: Predictor, tmp_path: Path) -> None:
    colors = list(COLORS) * 15  # more than are decoded at once
    images = [flat(color, 3 + i % 4, 5) for i, color in enumerate(colors)]
    files = [save(tmp_path / f"{i:02}.png", image) for i, image in enumerate(images)]
    answers = model.predict(files)
    assert [answer.name for answer in answers] == [str(file) for file in files]
    assert [answer.label for answer in answers] == colors
    for answer, image in zip(answers, images, strict=True):
        expected = model.probabilities(image[None])[0]
        np.testing.assert_allclose(np.array(answer.probabilities), expected, atol=1e-6)


def test_a_bad_file_does_not_end_the_others(model: Predictor, tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", flat("紅"))
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "half.png").write_bytes(good.read_bytes()[:30])
    (tmp_path / "empty.png").touch()
    names = ["text.jpg", "good.png", "gone.png", "half.png", "empty.png"]
    answers = model.predict([str(tmp_path / name) for name in names])
    assert [answer.label for answer in answers] == [None, "紅", None, None, None]
    assert [answer.probabilities is None for answer in answers] == [True, False, True, True, True]
    text, _, gone, half, empty = (answer.error for answer in answers)
    assert str(text).startswith("it is no image")
    assert gone == "it cannot be read: No such file or directory"
    assert str(half).startswith("the PNG is damaged")
    assert empty == "the file is empty"


def test_what_cannot_be_looked_at_does_not_end_the_others(
    model: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modes stop no root, who may run the tests: the system's calls refuse instead."""
    good = save(tmp_path / "new" / "good.png", flat("紅"))
    secret = save(tmp_path / "new" / "secret.png", flat("紅"))
    closed = save(tmp_path / "new" / "closed" / "a.png", flat("紅")).parent

    def refusing(call: Callable[..., Any], refused: Path) -> Callable[..., Any]:
        def ask(path: Any, *arguments: Any, **options: Any) -> Any:
            if os.fspath(path) == str(refused):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return call(path, *arguments, **options)

        return ask

    for name, refused in {"lstat": secret, "stat": secret, "scandir": closed}.items():
        monkeypatch.setattr(os, name, refusing(getattr(os, name), refused))
    answers = model.predict([tmp_path / "new", secret, tmp_path / f"{'x' * 300}.png"])
    names = [closed, good, secret, secret]
    assert [answer.name for answer in answers[:4]] == [str(name) for name in names]
    assert [answer.label for answer in answers] == [None, "紅", None, None, None]
    assert [answers[i].error for i in (0, 2, 3)] == ["it cannot be read: Permission denied"] * 3
    assert answers[4].error == "it cannot be read: File name too long"


def test_an_image_that_memory_has_no_room_for_does_not_either(
    model: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    file = save(tmp_path / "large.png", flat("blau"))
    monkeypatch.setattr(pixels, "_read", exhausted)
    (answer,) = model.predict(file)
    assert answer.label is None
    assert answer.error == pixels.NO_MEMORY


def test_a_folder_is_the_images_below_it_sorted(model: Predictor, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    for name in ("b.PNG", "a/z.png", "c.png", "d.jfif", ".hidden.png", ".cache/d.png"):
        save(folder / name, flat("blau"))
    (folder / "notes.txt").write_text("no image, and not taken for one")
    (folder / "folder.png").mkdir()
    expected = [str(folder / name) for name in ("a/z.png", "b.PNG", "c.png", "d.jfif")]
    assert [answer.name for answer in model.predict(folder)] == expected
    assert [answer.name for answer in model.predict(str(folder))] == expected
    both = model.predict([folder / "c.png", folder])
    assert [answer.name for answer in both] == [expected[2], *expected]


def test_a_link_is_followed_if_it_was_typed_and_not_found(model: Predictor, tmp_path: Path) -> None:
    file = save(tmp_path / "new" / "a.png", flat("blau"))
    secret = save(tmp_path / "secret" / "b.png", flat("紅"))
    (tmp_path / "new" / "b.png").symlink_to(secret)
    (tmp_path / "new" / "more").symlink_to(secret.parent)
    (tmp_path / "link").symlink_to("new")
    assert [answer.name for answer in model.predict(tmp_path / "new")] == [str(file)]
    assert [answer.name for answer in model.predict(tmp_path / "link")] == [
        str(tmp_path / "link" / "a.png")
    ]
    assert [answer.label for answer in model.predict(tmp_path / "new" / "b.png")] == ["紅"]


def test_a_link_in_the_place_of_a_file_is_not_followed(
    model: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = save(tmp_path / "secret.png", flat("紅"))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.png").symlink_to(secret)
    # As if the folder had been listed before the link was there.
    monkeypatch.setattr(predictor, "_files", lambda folder: [folder / "a.png"])
    (answer,) = model.predict(tmp_path / "new")
    assert (answer.label, "symbolic links" in str(answer.error)) == (None, True)


def test_what_is_no_image_by_its_kind_or_size_is_not_read(model: Predictor, tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", flat("grün"))
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "large.png").touch()
    os.truncate(tmp_path / "large.png", 10**11)  # a sparse file: it takes no space
    large, pipe, fine = model.predict([tmp_path / "large.png", tmp_path / "pipe.png", good])
    assert large.error == "it cannot be read: it has 100,000,000,000 bytes, more than 100,000,000"
    assert pipe.error == "it cannot be read: it is no regular file"
    assert fine.label == "grün"
    assert len(model.predict(tmp_path)) == 2  # a pipe in a folder is not listed


def test_large_images_are_neither_held_nor_answered_many_at_a_time(
    model: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = flat("blau").size
    monkeypatch.setattr(predictor, "cores", lambda: 1)
    monkeypatch.setattr(predictor, "MOST_DECODED", predictor.AT_ONCE * values)
    monkeypatch.setattr(predictor, "MOST_VALUES", 3 * values)
    rounds: list[int] = []
    calls: list[int] = []
    answer, probabilities = Predictor._answers, Graph.probabilities

    def answering(self: Predictor, files: list[Path], images: list[Decoded]) -> object:
        rounds.append(len(images))
        return answer(self, files, images)

    def asking(self: Graph, x_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        calls.append(len(x_NHWC))
        return probabilities(self, x_NHWC)

    monkeypatch.setattr(Predictor, "_answers", answering)
    monkeypatch.setattr(Graph, "probabilities", asking)
    small = [save(tmp_path / f"{i:03}.png", flat("blau")) for i in range(40)]
    large = [save(tmp_path / f"{i:03}.png", flat("紅", 16, 13)) for i in range(40, 45)]
    answers = model.predict([*small, *large])
    assert [each.label for each in answers] == ["blau"] * 40 + ["紅"] * 5
    assert rounds == [2, 32, 11]
    assert max(calls) == 3
    rounds.clear()
    assert [each.label for each in model.predict(large)] == ["紅"] * 5
    assert rounds == [2, 2, 1]


def test_a_folder_without_images_is_listed_among_the_others(
    model: Predictor, tmp_path: Path
) -> None:
    (tmp_path / "none").mkdir()
    none, good = model.predict([tmp_path / "none", save(tmp_path / "one.png", flat("grün"))])
    assert none.name == str(tmp_path / "none")
    assert none.label is None
    assert str(none.error).startswith("the folder has no image files (names ending with .")
    assert good.label == "grün"


@pytest.mark.parametrize("inputs", [5, [5], [np.zeros((8, 8, 3), np.uint8)], None])
def test_what_are_no_paths_is_refused(model: Predictor, inputs: Any) -> None:
    with pytest.raises(SourceError, match=r"Inputs must be a path, .*but got .*pass numpy\.stack"):
        model.predict(inputs)


def test_one_file_and_no_file(model: Predictor, tmp_path: Path) -> None:
    file = save(tmp_path / "one.png", flat("grün"))
    assert [answer.label for answer in model.predict(file)] == ["grün"]
    assert model.predict([]) == []


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((2, 8, 8, 4), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((2, 0, 8, 3), np.uint8),
        np.zeros((1, 2, 8, 8, 3), np.uint8),
    ],
)
def test_an_array_that_does_not_fit_is_refused(model: Predictor, array: NDArray[np.uint8]) -> None:
    with pytest.raises(SourceError, match=r"must be a uint8 array of shape \(N, H, W, 3\), but go"):
        model.probabilities(array)


def test_large_arrays_are_answered_in_pieces(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    x_NHWC = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)
    whole = model.probabilities(x_NHWC)
    monkeypatch.setattr(predictor, "MOST_VALUES", 2 * 4 * 5 * 3)
    np.testing.assert_array_equal(model.probabilities(x_NHWC), whole)
    np.testing.assert_array_equal(model.probabilities(x_NHWC[::-1]), whole[::-1])
    assert model.probabilities(x_NHWC[:0]).shape == (0, 3)


def test_a_damaged_graph_is_refused_even_if_its_hash_is_right(
    bundle: Path, manifest: Manifest
) -> None:
    (bundle / GRAPH_FILE).write_bytes(b"no graph")
    write_manifest(bundle, manifest)
    with pytest.raises(BundleError, match=r"model\.onnx is no graph of a bundle"):
        load(bundle)


def test_a_graph_never_reads_another_file(bundle: Path, manifest: Manifest) -> None:
    (bundle / "secret").write_bytes(np.array([2, 1, 0]).tobytes())
    graph = onnx.load(bundle / GRAPH_FILE)
    order = next(tensor for tensor in graph.graph.initializer if tensor.name == "order")
    external_data_helper.set_external_data(order, "secret")
    order.ClearField("raw_data")
    (bundle / GRAPH_FILE).write_bytes(graph.SerializeToString())
    write_manifest(bundle, manifest)
    with pytest.raises(BundleError, match=r"model\.onnx is no graph of a bundle"):
        load(bundle)


def test_a_graph_larger_than_two_gigabytes_is_refused(tmp_path: Path) -> None:
    with (tmp_path / GRAPH_FILE).open("wb") as file:
        os.truncate(file.fileno(), 2**31)  # a sparse file: it takes no space
    with pytest.raises(BundleError, match="is larger than 2 GB, which no bundle's graph is"):
        Graph(tmp_path / GRAPH_FILE)


def test_what_is_no_path_of_a_bundle_is_refused() -> None:
    number: Any = 5
    with pytest.raises(BundleError, match=r"is named by its path, but got int\. Pass"):
        load(number)


def test_a_missing_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx cannot be read: No such file"):
        Graph(tmp_path / GRAPH_FILE)


def test_a_bundle_mixed_from_two_is_refused(bundle: Path, manifest: Manifest) -> None:
    write_manifest(bundle, manifest.model_copy(update={"classes": ("a", "b")}))
    with pytest.raises(BundleError, match=r"knows 3 classes, but manifest\.json states 3 and 2"):
        load(bundle)


def test_it_needs_no_package_of_the_train_extra(bundle: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from tunesmith.bundle.predictor import load\n"
        "load(sys.argv[1]).predict(np.zeros((1, 8, 8, 3), np.uint8))\n"
        "assert not {'torch', 'onnx', 'sklearn', 'safetensors'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(bundle)], check=True)
