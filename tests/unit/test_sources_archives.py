"""Archives as sources, the hostile ones above all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources import Found, Item, Skipped, Source, Unreadable, open_source
from rag.errors import SourceError
from rag.settings import Settings

MIB = 1024 * 1024
LIMIT = 32 * MIB
KINDS = ["x.zip", "x.tar", "x.tar.gz", "x.tgz", "x.tar.bz2", "x.tar.xz"]


def archive(path: Path, members: dict[str, bytes]) -> Path:
    """An archive of the kind that the path's suffix names."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in members.items():
                packed.writestr(name, data)
    else:
        data = tar([(tarfile.TarInfo(name), data) for name, data in members.items()])
        pack = {".tar": bytes, ".gz": gzip.compress, ".tgz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
        path.write_bytes(pack[path.suffix](data))
    return path


def tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as packed:
        for info, data in members:
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return made.getvalue()


def opened(path: Path, **values: Any) -> Source:
    return open_source(path, Settings(**values))


def found_in(source: Source) -> list[Found]:
    """All of it, also where it ends in the error that there is no document."""
    found = []
    with suppress(SourceError):
        for each in source.items():
            found.append(each)
    return found


def texts(source: Source) -> dict[str, bytes]:
    return {each.path: source.read(each, LIMIT) for each in source.items() if isinstance(each, Item)}


def bad(source: Source) -> list[Unreadable]:
    return [each for each in found_in(source) if isinstance(each, Unreadable)]


@pytest.mark.parametrize("name", KINDS)
class TestEveryKind:
    def test_its_members_are_documents(self, tmp_path: Path, name: str) -> None:
        path = archive(tmp_path / name, {"a.md": b"A.", "deep/er/b ü.txt": b"B.", "c.exe": b"", ".h.md": b"H."})
        source = opened(path)
        assert texts(source) == {f"{name}/a.md": b"A.", f"{name}/deep/er/b ü.txt": b"B."}
        items = [each for each in source.items() if isinstance(each, Item)]
        assert [each.uri for each in items] == [f"{path.as_uri()}#/a.md", f"{path.as_uri()}#/deep/er/b%20%C3%BC.txt"]
        assert all(source.owns(each.uri) for each in items)
        assert [each.kind for each in source.items() if isinstance(each, Skipped)] == [".exe"]
        source.close()

    def test_its_members_have_its_stamp_once_it_is_old(self, tmp_path: Path, name: str) -> None:
        path = archive(tmp_path / name, {"a.md": b"A."})
        assert [each.stamp for each in opened(path).items() if isinstance(each, Item)] == [""]
        os.utime(path, (1, 1))
        assert [each.stamp for each in opened(path).items() if isinstance(each, Item)] == [
            f"{path.stat().st_size}:1000000000"
        ]

    def test_it_is_found_in_a_folder_too(self, tmp_path: Path, name: str) -> None:
        archive(tmp_path / name, {"a.md": b"A.", "b.txt": b"B."})
        (tmp_path / "c.md").write_bytes(b"C.")
        assert set(texts(opened(tmp_path))) == {f"{name}/a.md", f"{name}/b.txt", "c.md"}
        narrowed = open_source(tmp_path, Settings(), include=["*.txt"])
        assert set(texts(narrowed)) == {f"{name}/b.txt"}
        assert not narrowed.owns(f"{(tmp_path / name).as_uri()}#/a.md")

    def test_names_that_lead_out_of_it_stay_inside(self, tmp_path: Path, name: str) -> None:
        names = {"../../etc/a.md": b"1", "/etc/b.md": b"2", "x/../c.md": b"3", "..\\d.md": b"4"}
        path = archive(tmp_path / name, names)
        source = opened(path)
        items = [each for each in source.items() if isinstance(each, Item)]
        inside = [each.uri.removeprefix(f"{path.as_uri()}#") for each in items]
        assert inside == ["/etc/a.md", "/etc/b.md", "/x/c.md", "/d.md"]
        assert [source.read(each, LIMIT) for each in items] == [b"1", b"2", b"3", b"4"]
        assert [each.name for each in tmp_path.iterdir()] == [name]

    def test_an_archive_in_it_is_not_opened(self, tmp_path: Path, name: str) -> None:
        path = archive(tmp_path / name, {"a.md": b"A.", "inner.zip": b"PK", "deep/x.tar.gz": b""})
        found = bad(opened(path))
        assert [(each.uri.partition("#")[2], each.code) for each in found] == [
            ("/inner.zip", "nested_archive"),
            ("/deep/x.tar.gz", "nested_archive"),
        ]

    def test_a_name_that_comes_twice_is_read_once(self, tmp_path: Path, name: str) -> None:
        path = archive(tmp_path / name, {"a.md": b"1", "./a.md": b"2"})
        source = opened(path)
        assert texts(source) == {f"{name}/a.md": b"1"}
        assert [each.code for each in bad(source)] == ["duplicate_name"]

    def test_more_files_than_are_allowed_are_left_and_told(self, tmp_path: Path, name: str) -> None:
        path = archive(tmp_path / name, {f"{number}.md": b"x" for number in range(5)})
        source = opened(path, max_archive_files=3)
        found = found_in(source)
        assert sum(isinstance(each, Item) for each in found) == 3
        assert isinstance(found[-1], Unreadable)
        assert found[-1].uri == f"{path.as_uri()}#"
        assert "LIBRARIAN_MAX_ARCHIVE_FILES" in found[-1].reason

    def test_one_that_is_cut_off_keeps_what_is_indexed_of_it(self, tmp_path: Path, name: str) -> None:
        path = archive(tmp_path / name, {f"{number}.md": os.urandom(3000) for number in range(20)})
        whole = path.read_bytes()
        for part in (0, 10, len(whole) // 3, len(whole) // 2 // 512 * 512):
            path.write_bytes(whole[:part])
            assert bad(opened(path))[-1].uri == f"{path.as_uri()}#", part

    def test_one_that_is_something_else_keeps_what_is_indexed_of_it(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(b"<html>Not found</html>" * 100)
        (tmp_path / "a.md").write_bytes(b"A.")
        found = bad(opened(tmp_path))
        assert [(each.uri, each.code) for each in found] == [(f"{path.as_uri()}#", "damaged_document")]

    def test_a_member_over_the_limit_is_refused(self, tmp_path: Path, name: str) -> None:
        source = opened(archive(tmp_path / name, {"a.md": os.urandom(5000)}))
        item = next(each for each in source.items() if isinstance(each, Item))
        with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES"):
            source.read(item, 4000)

    def test_a_bomb_is_stopped(self, tmp_path: Path, name: str) -> None:
        path = archive(tmp_path / name, {"a.md": b"A.", "bomb.md": b"\0" * (20 * MIB), "c.md": b"C."})
        source = opened(path, max_expansion=2)
        if name == "x.tar":  # it is as large as what is in it
            assert len(texts(source)) == 3
            return
        refused = [each.reason for each in bad(source)]
        for item in [each for each in found_in(source) if isinstance(each, Item)]:
            try:
                source.read(item, LIMIT)
            except SourceError as error:
                refused.append(str(error))
        assert refused
        assert all("LIBRARIAN_MAX_EXPANSION" in each for each in refused)

    def test_one_that_changes_between_listing_and_reading_is_told(self, tmp_path: Path, name: str) -> None:
        source = opened(archive(tmp_path / name, {"a.md": b"A."}))
        item = next(each for each in source.items() if isinstance(each, Item))
        archive(tmp_path / name, {"other.md": b"Quite another document."})
        os.utime(tmp_path / name, (1, 1))
        with pytest.raises(SourceError, match="changed while it was read"):
            source.read(item, LIMIT)

    def test_members_can_be_read_in_any_order_and_while_it_is_listed(self, tmp_path: Path, name: str) -> None:
        path = archive(tmp_path / name, {f"{number}.md": str(number).encode() for number in range(6)})
        archive(tmp_path / f"other-{name}", {"a.md": b"A."})
        source = opened(tmp_path)
        items = []
        for each in source.items():
            assert isinstance(each, Item)
            source.read(each, LIMIT)
            items.append(each)
        for each in reversed(items):
            expected = b"A." if path.as_uri() not in each.uri else each.name[0].encode()
            assert source.read(each, LIMIT) == expected


class TestZip:
    def test_an_encrypted_member_says_so(self, tmp_path: Path) -> None:
        path = archive(tmp_path / "x.zip", {"a.md": b"A.", "b.md": b"B."})
        data = bytearray(path.read_bytes())
        at = data.index(b"PK\1\2")
        data[at + 8] |= 1  # of the first entry in the directory: "is encrypted"
        path.write_bytes(data)
        assert [(each.path, each.code) for each in bad(opened(path))] == [("x.zip/a.md", "encrypted_document")]

    def test_a_size_that_is_a_lie_is_not_believed(self, tmp_path: Path) -> None:
        path = archive(tmp_path / "x.zip", {"a.md": os.urandom(5000)})
        data = bytearray(path.read_bytes())
        at = data.index(b"PK\1\2")
        data[at + 24 : at + 28] = (10).to_bytes(4, "little")
        path.write_bytes(data)
        source = opened(path)
        item = next(each for each in source.items() if isinstance(each, Item))
        with pytest.raises(SourceError, match="cut off or damaged"):
            source.read(item, LIMIT)

    def test_members_that_share_their_bytes_count_each_time(self, tmp_path: Path) -> None:
        path = archive(tmp_path / "x.zip", {"a.md": b"\0" * MIB})
        source = opened(path, max_expansion=2)
        item = next(each for each in source.items() if isinstance(each, Item))
        source.read(item, LIMIT)
        with pytest.raises(SourceError, match="LIBRARIAN_MAX_EXPANSION"):
            source.read(item, LIMIT)

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as packed:
            link = zipfile.ZipInfo("link.md")
            link.external_attr = 0o120777 << 16
            packed.writestr(link, "/etc/passwd")
            packed.writestr("a.md", "A.")
        found = found_in(opened(path))
        assert [each.path for each in found if isinstance(each, Item)] == ["x.zip/a.md"]
        assert [each.kind for each in found if isinstance(each, Skipped)] == ["link"]

    def test_a_directory_larger_than_allowed_is_not_even_read(self, tmp_path: Path) -> None:
        path = archive(tmp_path / "x.zip", {f"{number:0100}.md": b"" for number in range(10_000)})
        found = bad(opened(path, max_archive_files=10))
        assert [each.uri for each in found] == [f"{path.as_uri()}#"]

    @given(st.data())
    def test_a_zip_with_bytes_changed_never_breaks_the_job(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        path = archive(tmp_path_factory.mktemp("zip") / "x.zip", {"a.md": b"A." * 50, "b/c.txt": b"B."})
        never_breaks(path, data)


class TestTar:
    @pytest.mark.parametrize(
        "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    )
    def test_links_and_devices_are_skipped(self, tmp_path: Path, kind: bytes) -> None:
        info = tarfile.TarInfo("link.md")
        info.type, info.linkname = kind, "/etc/passwd"
        path = tmp_path / "x.tar"
        path.write_bytes(tar([(info, b""), (tarfile.TarInfo("a.md"), b"A.")]))
        found = found_in(opened(path))
        assert [each.path for each in found if isinstance(each, Item)] == ["x.tar/a.md"]
        assert [each.kind for each in found if isinstance(each, Skipped)] == ["link"]

    def test_a_header_that_leads_back_is_not_followed_for_ever(self, tmp_path: Path) -> None:
        info = tarfile.TarInfo("a.md")
        block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        block[124:136] = b"\xff" * 10 + b"\xfc\x00"  # a size of -1024
        block[148:156] = b"        "
        block[148:156] = f"{sum(block):06o}\0 ".encode()
        path = tmp_path / "x.tar"
        path.write_bytes(tar([(tarfile.TarInfo("z.md"), b"Z.")])[:1024] + bytes(block) + bytes(1024))
        assert bad(opened(path))[-1].uri == f"{path.as_uri()}#"

    def test_a_header_that_asks_for_much_memory_is_refused(self, tmp_path: Path) -> None:
        info = tarfile.TarInfo("pax")
        info.type = tarfile.XHDTYPE
        path = tmp_path / "x.tar"
        path.write_bytes(tar([(info, b"0" * (3 * MIB)), (tarfile.TarInfo("a.md"), b"A.")]))
        assert bad(opened(path))[-1].uri == f"{path.as_uri()}#"

    def test_a_chain_of_headers_ends(self, tmp_path: Path) -> None:
        chain = []
        for _ in range(3000):
            info = tarfile.TarInfo("pax")
            info.type = tarfile.XHDTYPE
            chain.append((info, b"12 path=a.md\n"))
        path = tmp_path / "x.tar"
        path.write_bytes(tar([*chain, (tarfile.TarInfo("a.md"), b"A.")]))
        assert found_in(opened(path))

    @given(st.data())
    def test_a_tar_with_bytes_changed_never_breaks_the_job(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        path = archive(tmp_path_factory.mktemp("tar") / "x.tar", {"a.md": b"A." * 50, "b/c.txt": b"B."})
        never_breaks(path, data)

    @given(st.data())
    def test_a_packed_tar_with_bytes_changed_never_breaks_the_job(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        name = data.draw(st.sampled_from(["x.tgz", "x.tar.bz2", "x.tar.xz"]))
        path = archive(tmp_path_factory.mktemp("tar") / name, {"a.md": b"A." * 50, "b/c.txt": b"B."})
        never_breaks(path, data)


def never_breaks(path: Path, data: st.DataObject) -> None:
    """Change a few bytes; whatever is found then can be read or is a SourceError."""
    changed = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(changed)
    source = opened(path)
    for each in found_in(source):
        if isinstance(each, Item):
            with suppress(SourceError):
                assert len(source.read(each, 1000)) <= 1000
    source.close()
