"""Tests of `tunesmith.data.tars`."""

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tunesmith.core.errors import SourceError
from tunesmith.core.files import LARGEST_FILE
from tunesmith.data import archives
from tunesmith.data.tars import Tar, members

FILES = {"b/2.png": b"two" * 100, "a/1.png": b"one", "notes.txt": b"n", "a/.x.png": b"h"}
MODES = ["w", "w:gz", "w:bz2", "w:xz"]
NOISE = Random(0).randbytes(1000)


def pack(
    path: Path, files: Mapping[str, bytes] | Sequence[tuple[str, bytes]], mode: str = "w"
) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items() if isinstance(files, Mapping) else files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def pack_one(path: Path, **fields: Any) -> Path:
    """A tar file of one odd member."""
    info = tarfile.TarInfo("a/1.png")
    for name, value in fields.items():
        setattr(info, name, value)
    with tarfile.open(path, "w") as archive:
        archive.addfile(info)
    return path


def header(**fields: Any) -> bytes:
    """A header of whatever it claims; sizes too large for octal digits are in base 256."""
    info = tarfile.TarInfo("a/1.txt")
    for name, value in fields.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def records(kind: bytes, content: bytes) -> bytes:
    """A pax header, which states more of the member behind it, or of all."""
    return header(type=kind, size=len(content)) + content + bytes(-len(content) % 512)


def outcome(path: Path) -> dict[str, bytes] | str:
    """What is read, or why nothing is."""
    try:
        archive = Tar(path)
    except SourceError as error:
        return str(error)
    return {each.name: archive.read(each) for each in archive.members}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("top", ["", "./", "all/"])
def test_members_are_read_as_they_were_written(tmp_path: Path, mode: str, top: str) -> None:
    files = {top + name: content for name, content in FILES.items() if top != "all/" or "/" in name}
    archive = Tar(pack(tmp_path / "x.tar", files, mode))
    assert [member.name for member in archive.members] == ["a/1.png", "b/2.png"]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(archive.read, archive.members)) == [b"one", b"two" * 100]
    assert archive.skipped["hidden file"] == 1


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_other_content_has_another_stamp(tmp_path: Path, mode: str) -> None:
    first = Tar(pack(tmp_path / "1.tar", {"a/1.png": b"one"}, mode)).members[0]
    same = Tar(pack(tmp_path / "2.tar", {"a/1.png": b"one"}, mode)).members[0]
    other = Tar(pack(tmp_path / "3.tar", {"a/1.png": b"longer"}, mode)).members[0]
    assert first.stamp == same.stamp != other.stamp


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "../1.png"}, "outside the folder"),
        ({"name": "/etc/1.png"}, "absolute path"),
        ({"type": tarfile.SYMTYPE, "linkname": "x"}, "is a link"),
        ({"type": tarfile.LNKTYPE, "linkname": "x"}, "is a link"),
        ({"type": tarfile.CHRTYPE}, "is a device"),
        ({"type": tarfile.FIFOTYPE, "name": "pipe"}, "is a device"),
        ({"name": "test.tgz"}, "is an archive itself"),
        ({"type": b"Z"}, "is of an unknown kind"),
    ],
    ids=["parent", "absolute", "symlink", "hardlink", "device", "pipe", "nested", "unknown"],
)
def test_a_member_that_rules_the_archive_out_is_refused(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SourceError, match=reason):
        Tar(pack_one(tmp_path / "x.tar", **fields))


def test_a_folder_named_like_an_archive_or_an_image_is_none(tmp_path: Path) -> None:
    assert not Tar(pack_one(tmp_path / "x.tar", name="a.zip", type=tarfile.DIRTYPE)).members
    assert not Tar(pack_one(tmp_path / "x.tar", name="a.png", type=tarfile.DIRTYPE)).members


def test_a_giant_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    info = tarfile.TarInfo("a/1.png")
    info.size = LARGEST_FILE + 1
    path.write_bytes(info.tobuf() + bytes(2048))
    with pytest.raises(SourceError, match="claims 100,000,001 bytes"):
        Tar(path)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_FILE", 1000)
    with pytest.raises(SourceError, match="unpacks to more than 200 times its size"):
        Tar(pack(tmp_path / "x.tar.gz", {"a/1.png": bytes(10**6)}, "w:gz"))


@pytest.mark.parametrize("mode", MODES)
def test_a_file_that_was_cut_off_anywhere_is_told(tmp_path: Path, mode: str) -> None:
    files = {"a/1.png": NOISE[:700], "b/1.png": NOISE[700:], "b/2.png": b"b"}
    path = pack(tmp_path / "x.tar", files, mode)
    whole = path.read_bytes()
    last = 512 * 7 if mode == "w" else len(whole)  # three headers, four blocks of content
    for size in range(0, last, 64):
        path.write_bytes(whole[:size])
        with pytest.raises(SourceError, match="fetch it again"):
            Tar(path)


@pytest.mark.parametrize("mode", MODES[1:])
def test_a_packed_file_is_told_or_read_as_it_was(tmp_path: Path, mode: str) -> None:
    """A few bytes may change unseen: codes that bzip2 never uses, the names of gzip."""
    files = {"a/1.png": NOISE, "b/1.png": b"b"}
    path = pack(tmp_path / "x.tar", files, mode)
    whole = path.read_bytes()
    outcomes = []
    for place in range(20, len(whole), 37):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        outcomes.append(outcome(path))
    told = [each for each in outcomes if each != files]
    assert all("cannot be read as a tar file" in str(each) for each in told)
    assert len(told) > 0.9 * len(outcomes)


def test_a_header_that_is_damaged_does_not_end_the_list(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", {"a/1.png": b"one", "b/1.png": b"two"})
    whole = path.read_bytes()
    path.write_bytes(whole[:1030] + b"x" + whole[1031:])
    with pytest.raises(SourceError, match="it ends without an end mark"):
        Tar(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(SourceError, match="there is something behind its end"):
        Tar(path)


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    for content in (b"", b"no tar", b"\x1f\x8b\x08" + bytes(50)):
        path.write_bytes(content)
        with pytest.raises(SourceError, match="cannot be read as a tar file"):
            Tar(path)


SIZE, REAL_SIZE = b"14 size=-2048\n", b"25 GNU.sparse.realsize=5\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (header(size=-512), "a member claims -512 bytes"),
        (header(size=2**80), "a header makes no sense"),
        (header(type=tarfile.GNUTYPE_LONGNAME, size=-512), "claim more than 1,000,000 bytes"),
        (header(type=tarfile.XHDTYPE, size=-512), "claim more than 1,000,000 bytes"),
        (header(type=tarfile.GNUTYPE_LONGLINK, size=10**10), "claim more than 1,000,000 bytes"),
        (header(type=tarfile.XGLTYPE, size=10**10), "claim more than 1,000,000 bytes"),
        (header(type=tarfile.GNUTYPE_SPARSE, size=-(10**6)), "leads back"),
        (records(tarfile.GNUTYPE_LONGNAME, b"x") * 400, "a header makes no sense"),
        (records(tarfile.XHDTYPE, bytes(300_000)) * 4, "claim more than 1,000,000 bytes"),
        (records(tarfile.XHDTYPE, SIZE) + header(), "a member claims -2,048 bytes"),
        (
            records(tarfile.XHDTYPE, REAL_SIZE) + records(tarfile.XHDTYPE, SIZE) + header(),
            "reaches into the next one",
        ),
        (records(tarfile.XGLTYPE, b"13 size=1000\n") + header(), "reaches into the next one"),
        (records(tarfile.XHDTYPE, b"24 GNU.sparse.size=nine\n") + header(), "makes no sense"),
    ],
    ids=[
        "below zero",
        "giant",
        "name below zero",
        "records below zero",
        "giant link",
        "giant records",
        "sparse below zero",
        "chain",
        "many records",
        "size below zero in records",
        "size in records of records",
        "size of all",
        "no number",
    ],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_what_a_header_claims_is_not_believed(
    tmp_path: Path, data: bytes, reason: str, is_packed: bool
) -> None:
    path = tmp_path / "x.tar"
    data += bytes(1024)
    path.write_bytes(gzip.compress(data) if is_packed else data)
    with pytest.raises(SourceError, match=f"cannot be read as a tar file: .*{reason}"):
        Tar(path)


def test_many_records_of_all_members_are_refused(tmp_path: Path) -> None:
    stated = {f"key{i}": "value" for i in range(101)}
    for count, is_read in ((100, True), (101, False)):
        path = tmp_path / f"{count}.tar"
        chosen = dict(list(stated.items())[:count])
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers=chosen) as archive:
            archive.addfile(tarfile.TarInfo("a/1.png"))
        assert isinstance(outcome(path), dict) == is_read
    assert "it states 101 records for all its members" in str(outcome(tmp_path / "101.tar"))


def test_a_long_name_is_read(tmp_path: Path) -> None:
    name = f"a/{'猫' * 90}.png"
    for format_ in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "x.tar", "w", format=format_) as archive:
            archive.addfile(tarfile.TarInfo(name))
        assert [member.name for member in Tar(tmp_path / "x.tar").members] == [name]


def test_the_content_of_a_member_can_be_read_on_the_way(tmp_path: Path) -> None:
    files = {"a": NOISE[:512], "b": b"b", "c": b""}
    with pack(tmp_path / "x.tar", files).open("rb") as file:
        assert {info.name: file.read(info.size) for info in members(file)} == files


def test_of_one_name_the_last_is_read_and_the_others_counted(tmp_path: Path) -> None:
    pairs = [("a/1.png", b"old"), ("b/1.png", b"other"), ("./a/1.png", b"new"), ("b/x.txt", b"")]
    archive = Tar(pack(tmp_path / "x.tar", pairs))
    assert outcome(tmp_path / "x.tar") == {"a/1.png": b"new", "b/1.png": b"other"}
    assert archive.skipped == {
        "file of another kind": 1,
        "file that a later one replaces": 1,
    }


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_other_files_are_known_by_how_they_begin(tmp_path: Path, mode: str) -> None:
    files = {"all/a/1.png": b"1", "all/b/2.heic": NOISE, "all/b/.x": b"h", "more.txt": b""}
    archive = Tar(pack(tmp_path / "x.tar", files, mode))
    assert [other.name for other in archive.others] == ["b/2.heic", "more.txt"]
    assert [archive.begin(other) for other in archive.others] == [NOISE, b""]
    assert archive.skipped["image of a format that is not read"] == 1
