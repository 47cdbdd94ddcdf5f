"""Tests of `tunesmith.bundle.manifest`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.bundle.manifest import (
    CODE_IN_DATA,
    MANIFEST_FILE,
    Manifest,
    read_manifest,
    write_manifest,
)
from tunesmith.core.errors import BundleError


def change(folder: Path, **values: Any) -> None:
    """Put other values into a bundle's manifest."""
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def test_what_is_written_is_read(bundle: Path, manifest: Manifest) -> None:
    read = read_manifest(bundle)
    assert read.files.keys() == {"model.onnx", "model.safetensors"}
    assert read.model_copy(update={"files": {}}) == manifest
    assert write_manifest(bundle, read) == read


def test_half_written_files_are_no_part_of_a_bundle(bundle: Path, manifest: Manifest) -> None:
    (bundle / ".model.onnx").write_bytes(b"half")
    assert ".model.onnx" not in write_manifest(bundle, manifest).files


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
@pytest.mark.parametrize("place", [0, -1])
def test_a_changed_byte_is_found(bundle: Path, name: str, place: int) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[place] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} does not match the bundle's manifest \(SHA"):
        read_manifest(bundle)


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=rf"lacks its file {name}\. Copy the whole folder again"):
        read_manifest(bundle)


def test_a_folder_in_place_of_a_file_is_refused(bundle: Path) -> None:
    (bundle / "model.safetensors").unlink()
    (bundle / "model.safetensors").mkdir()
    with pytest.raises(BundleError, match=r"model\.safetensors cannot be read: Is a directory"):
        read_manifest(bundle)


@pytest.mark.parametrize("name", ["nowhere", "bundle/model.onnx", "."])
def test_what_is_no_bundle_is_refused(bundle: Path, name: str) -> None:
    with pytest.raises(BundleError, match=r"is no bundle: it has no manifest\.json"):
        read_manifest(bundle.parent / name)


def test_a_manifest_that_cannot_be_read_is_refused(bundle: Path) -> None:
    (bundle / MANIFEST_FILE).unlink()
    (bundle / MANIFEST_FILE).mkdir()
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read: Is a directory"):
        read_manifest(bundle)


def test_a_newer_format_is_refused(bundle: Path) -> None:
    change(bundle, format=2, classes="a new way to write them", more=1)
    with pytest.raises(
        BundleError, match=r"has format 2, and this Tunesmith reads format 1\. Update"
    ):
        read_manifest(bundle)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"classes": ["one"]}, "is damaged: classes: Tuple should have at least 2 items"),
        ({"temperature": 0}, "is damaged: temperature: Input should be greater than 0"),
        ({"files": {"../model.onnx": "0" * 64}}, "is damaged: files.*String should match pattern"),
        ({"files": {}}, r"is damaged: it lists no model\.onnx"),
        ({"surprise": 1}, "is damaged: surprise: Extra inputs are not permitted"),
    ],
)
def test_a_damaged_manifest_is_refused(bundle: Path, values: Any, message: str) -> None:
    change(bundle, **values)
    with pytest.raises(BundleError, match=message):
        read_manifest(bundle)


def test_half_a_manifest_is_refused(bundle: Path) -> None:
    path = bundle / MANIFEST_FILE
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BundleError, match="is damaged: the file: Invalid JSON"):
        read_manifest(bundle)


@pytest.mark.parametrize("suffix", sorted(CODE_IN_DATA))
def test_pickled_data_are_refused(bundle: Path, suffix: str) -> None:
    (bundle / f"weights{suffix.upper()}").write_bytes(b"\x80\x04.")
    with pytest.raises(BundleError, match="holds no pickled data, which could run code, but"):
        read_manifest(bundle)
