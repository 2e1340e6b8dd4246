"""Snapshots in folders and in object stores: retention, the latest one, a store that fails.

`memory://` is fsspec's own store in this process: it stands for S3 and its kin, whose services are not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ingest.snapshot_places import open_place, reading
from rag.errors import BadInput, SourceError


@pytest.fixture
def store() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    if files.exists("/backups"):
        files.rm("/backups", recursive=True)


def write(target: str, name: str, content: str = "snapshot", keep: int | None = None) -> list[str]:
    place = open_place(target, name, keep)
    with place.writing() as file:
        file.write_text(content)
    return place.prune()


@pytest.fixture(params=["folder", "store"])
def target(request: pytest.FixtureRequest, tmp_path: Path, store: Any) -> str:
    return f"{tmp_path}/backups/" if request.param == "folder" else "memory://backups/nightly/"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each snapshot is made a day after the one before it."""
    days = iter(range(1, 28))
    monkeypatch.setattr("ingest.snapshot_places.time.strftime", lambda *_: f"202611{next(days):02}-020000")
    return


class TestFolders:
    @pytest.mark.usefixtures("clock")
    def test_only_the_latest_are_kept_and_only_of_the_same_name(self, target: str) -> None:
        write(target, "documents-old")
        deleted = [write(target, "documents", keep=2) for _ in range(4)]
        assert deleted == [[], [], ["documents-20261102-020000.jsonl.gz"], ["documents-20261103-020000.jsonl.gz"]]
        with reading(target + "documents-old-20261101-020000.jsonl.gz") as (file, _):
            assert file.read_text() == "snapshot"

    @pytest.mark.usefixtures("clock")
    def test_a_folder_is_read_by_its_latest(self, target: str) -> None:
        for content in ("first", "second", "third"):
            write(target, "documents", content)
        with reading(target) as (file, shown):
            assert file.read_text() == "third"
        assert shown.endswith("documents-20261103-020000.jsonl.gz")

    def test_an_empty_folder_is_said_to_hold_none(self, target: str) -> None:
        with pytest.raises(BadInput, match="no snapshot in"), reading(target):
            pass

    def test_a_failed_snapshot_leaves_nothing_and_deletes_nothing(self, target: str) -> None:
        place = open_place(target, "documents", 1)
        with pytest.raises(OSError, match="disk full"), place.writing():
            raise OSError("disk full")
        with pytest.raises(BadInput, match="no snapshot"), reading(target):
            pass


class TestWhatIsRefused:
    def test_retention_of_one_file(self) -> None:
        with pytest.raises(BadInput, match="--keep is for folders"):
            open_place("backup.gz", "documents", 3)

    def test_an_object_without_a_folder(self) -> None:
        with pytest.raises(BadInput, match="end it in a slash"):
            open_place("s3://bucket/backup.gz", "documents", None)

    def test_a_store_that_nobody_knows(self) -> None:
        with pytest.raises(BadInput, match="no store that is known"):
            open_place("ftp://user:secret@host/backups/", "documents", None)

    def test_a_store_that_fails_is_named_without_its_secrets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        place = open_place("memory://user:secret@backups/nightly/", "documents", None)

        def fail(*_: object) -> None:
            raise RuntimeError("403 for https://user:secret@host/")

        monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.put_file", fail)
        with pytest.raises(SourceError, match="cannot be written: 403") as told, place.writing() as file:
            file.write_text("x")
        assert "secret" not in str(told.value)
