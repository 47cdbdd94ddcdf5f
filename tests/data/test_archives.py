"""Tests of `tunesmith.data.archives`."""

import io
import os
import struct
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import SourceError
from tunesmith.data.archives import Archive

PATHS = ("a/1.png", "b/2.png")


def pack(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def patch(path: Path, *, flags: int | None = None, size: int | None = None) -> Path:
    """Change what the last entry of the central directory claims."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    if flags is not None:
        struct.pack_into("<H", data, entry + 8, flags)
    if size is not None:
        struct.pack_into("<I", data, entry + 24, size)
    path.write_bytes(data)
    return path


@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
def test_members_are_read_as_they_were_written(contents: list[bytes], method: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        names = [f"a/{i}.png" for i in range(len(contents))]
        path = pack(Path(folder) / "x.zip", dict(zip(names, contents, strict=True)), method)
        archive = Archive(path)
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(archive.read, archive.members)) == contents
        assert [m.name for m in archive.members] == names


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../evil.png", "outside the folder"),
        ("a/../../evil.png", "outside the folder"),
        ("a/../../evil.txt", "outside the folder"),
        ("..\\evil.png", "outside the folder"),
        ("/etc/evil.png", "absolute path"),
        ("\\\\server\\evil.png", "absolute path"),
        ("C:/evil.png", "names a drive"),
        ("c:evil.png", "names a drive"),
    ],
)
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    path = pack(tmp_path / "x.zip", {"a/1.png": b"x", name: b"y"})
    with pytest.raises(SourceError, match=f"member .*evil.* {reason}"):
        Archive(path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a/link.png")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(SourceError, match=r"a/link\.png is a link"):
        Archive(tmp_path / "x.zip")


@pytest.mark.parametrize("name", ["test.zip", "a/more.TAR.GZ", "x.rar"])
def test_an_archive_inside_is_refused(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "x.zip", {"a/1.png": b"x", name: b"PK"})
    with pytest.raises(SourceError, match=f"member {name} is an archive itself"):
        Archive(path)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = patch(pack(tmp_path / "x.zip", {"a/1.png": b"x"}), flags=1)
    with pytest.raises(SourceError, match=r"a/1\.png is encrypted"):
        Archive(path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "ratio.zip", {"a/1.png": bytes(2_000_000)})
    with pytest.raises(SourceError, match=r"a/1\.png claims to unpack to more than 200 times"):
        Archive(path)
    path = patch(pack(tmp_path / "size.zip", {"a/1.png": b"x"}), size=200_000_000)
    with pytest.raises(SourceError, match=r"a/1\.png claims 200,000,000 bytes, more than 100,000"):
        Archive(path)


def test_an_odd_packing_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a/1.png": b"x"}, zipfile.ZIP_LZMA)
    with pytest.raises(SourceError, match="other than store and deflate"):
        Archive(path)


def test_a_member_that_lies_about_its_size_is_an_unreadable_file(tmp_path: Path) -> None:
    path = patch(pack(tmp_path / "x.zip", {"a/1.png": bytes(5000)}), size=10)
    archive = Archive(path)
    with pytest.raises(OSError, match="damaged"):
        archive.read(archive.members[0])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_byte_is_an_unreadable_file(tmp_path: Path, method: int) -> None:
    path = pack(tmp_path / "x.zip", {"a/1.png": bytes(range(200)), "b/1.png": b"fine"}, method)
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(data)
    archive = Archive(path)
    with pytest.raises(OSError, match="the archive is damaged here"):
        archive.read(archive.members[0])
    assert archive.read(archive.members[1]) == b"fine"


@pytest.mark.parametrize("content", [b"", b"no zip file at all", b"PK\x03\x04 cut off"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read as a zip file"):
        Archive(tmp_path / "x.zip")


def test_other_files_are_counted(tmp_path: Path) -> None:
    others = {"__MACOSX/a/._1.png": b"", "a/.DS_Store": b"", "a/notes.txt": b"", ".git/x.zip": b""}
    archive = Archive(pack(tmp_path / "x.zip", {**others, "b.zip/1.png": b"x", "b.zip/": b""}))
    assert [m.name for m in archive.members] == ["b.zip/1.png"]
    assert archive.skipped == {"hidden file": 3, "file of another kind": 1}


@pytest.mark.parametrize("top", ["", "photos/"])
@pytest.mark.parametrize("part", ["", "train/", "test/"])
def test_one_folder_around_all_is_cut_off(tmp_path: Path, top: str, part: str) -> None:
    names = [f"{top}{part}{name}" for name in PATHS]
    archive = Archive(pack(tmp_path / "x.zip", dict.fromkeys(names, b"x")))
    assert [m.name for m in archive.members] == [f"{part}{name}" for name in PATHS]


def test_names_of_any_script_are_read(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as written:
        written.writestr("猫/1.png", b"x")
        written.writestr("狗/1.png", b"x")
    plain = content.getvalue()
    for number, data in enumerate((plain, plain.replace(b"\x00\x08", b"\x00\x00"))):
        path = tmp_path / f"{number}.zip"  # the second does not say that its names are UTF-8
        path.write_bytes(data)
        assert {m.name for m in Archive(path).members} == {"猫/1.png", "狗/1.png"}


def test_backslashes_of_old_windows_archives_separate(tmp_path: Path) -> None:
    archive = Archive(pack(tmp_path / "x.zip", {"a\\1.png": b"x", "b\\1.png": b"x"}))
    assert [m.name for m in archive.members] == ["a/1.png", "b/1.png"]


def test_members_that_begin_with_the_folder_itself_are_not_hidden(tmp_path: Path) -> None:
    found = Archive(pack(tmp_path / "x.zip", {"./": b"", **{f"./{path}": b"x" for path in PATHS}}))
    assert tuple(member.name for member in found.members) == PATHS
    assert not found.skipped
    with pytest.raises(SourceError, match="outside the folder"):
        Archive(pack(tmp_path / "y.zip", {"./../1.png": b"x"}))


def test_an_archive_that_is_cut_off_while_it_is_read_ends_nothing(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {f"a/{i}.png": os.urandom(9000) for i in range(9)})
    archive = Archive(path)
    assert len(archive.read(archive.members[0])) == 9000
    os.truncate(path, 100)
    with pytest.raises(OSError, match="it changed after the data were listed"):
        archive.read(archive.members[5])


def test_a_local_header_of_any_length_is_read_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for size in (0, 200, 400, 60_000):
            info = zipfile.ZipInfo(f"a/{size}.png")
            info.extra = struct.pack("<HH", 0xCAFE, size) + bytes(size)
            archive.writestr(info, b"content")
    found = Archive(tmp_path / "x.zip")
    assert [found.read(member) for member in found.members] == [b"content"] * 4


def test_members_that_share_their_bytes_are_a_bomb(tmp_path: Path) -> None:
    content = os.urandom(9_000) + bytes(990_000)
    path = pack(tmp_path / "x.zip", {"a/1.png": content})
    data = path.read_bytes()
    begin, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = data[begin:end] * 150
    closing = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 150, 150, len(entries), begin, 0)
    path.write_bytes(data[:begin] + entries + closing)
    with pytest.raises(SourceError, match=r"unpacks to more than 200 times its size\. If you"):
        Archive(path)


def test_an_entry_that_swallows_others_is_told(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {f"a/{i}.png": b"x" for i in range(4)})
    data = path.read_bytes()
    comment = data.index(b"PK\x01\x02") + 32  # the length of the first entry's comment
    path.write_bytes(data[:comment] + b"\x35" + data[comment + 1 :])
    with pytest.raises(SourceError, match=r"it lists 3 members, but promises 4\. If it was cut"):
        Archive(path)


def test_of_one_name_the_last_is_read_and_the_others_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.png", "old")
        archive.writestr("b/1.png", "other")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/1.png", "new")
    found = Archive(path)
    assert [member.name for member in found.members] == ["a/1.png", "b/1.png"]
    assert [found.read(member) for member in found.members] == [b"new", b"other"]
    assert found.skipped == {"file that a later one replaces": 1}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_other_files_are_known_by_how_they_begin(tmp_path: Path, method: int) -> None:
    noise = os.urandom(300_000)
    files = {"all/a/1.png": b"1", "all/b/2.avif": noise, "all/b/.x": b"h", "more.txt": b""}
    found = Archive(pack(tmp_path / "x.zip", files, method))
    assert [other.name for other in found.others] == ["b/2.avif", "more.txt"]
    begin, nothing = map(found.begin, found.others)
    assert noise.startswith(begin)
    assert len(begin) > 50_000
    assert nothing == b""
    assert found.skipped["image of a format that is not read"] == 1


def test_of_a_bomb_that_is_no_image_only_the_beginning_is_unpacked(tmp_path: Path) -> None:
    found = Archive(pack(tmp_path / "x.zip", {"a/1.png": b"1", "b/2.svg": bytes(10**7)}))
    assert [len(found.begin(other)) for other in found.others] == [100_000]
    found = Archive(pack(tmp_path / "x.zip", {"a/1.txt": bytes(10**7)}, zipfile.ZIP_LZMA))
    assert found.begin(found.others[0]) == b""


def test_a_place_beyond_all_files_is_an_unreadable_file(tmp_path: Path) -> None:
    found = Archive(pack(tmp_path / "x.zip", {"a/1.png": b"x"}))
    with pytest.raises(OSError, match="the archive is damaged here"):
        found.read(replace(found.members[0], offset=2**64 - 1))


@pytest.mark.slow
def test_more_members_than_the_end_can_count_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for index in range(70_000):
            archive.writestr(f"a/{index}.png", b"")
    assert len(Archive(tmp_path / "x.zip").members) == 70_000
