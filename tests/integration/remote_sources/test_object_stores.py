"""An object store as a source; fsspec's store in memory stands for those of the clouds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest

from ingest.sources import Skipped, Unreadable, open_sources
from rag.errors import SourceError
from rag.settings import Settings
from tests.integration.remote_sources.local_site import LIMIT, Site, items, opened, page


class TestObjectStores:
    @pytest.fixture
    def store(self) -> Iterator[Any]:
        store = fsspec.filesystem("memory")
        for name, data in {
            "b/docs/one.md": b"One.",
            "b/docs/sub/two #1 50%.txt": b"Two.",
            "b/docs/sub/x.exe": b"",
            "b/docs/.hidden/a.md": b"",
            "b/docs2/other.md": b"Other.",
            "b/c.jsonl": b'{"_id": "1", "text": "A record."}\n{"_id": "2", "text": "Another."}\n',
        }.items():
            store.pipe_file(f"/{name}", data)
        yield store
        store.rm("/b", recursive=True)

    def test_the_objects_below_a_prefix_are_documents(self, store: Any) -> None:
        source = opened("memory://b/docs")
        found = items(source)
        assert [each.uri for each in found] == ["memory://b/docs/one.md", "memory://b/docs/sub/two %231 50%25.txt"]
        assert [each.path for each in found] == ["one.md", "sub/two #1 50%.txt"]
        assert [source.read(each, LIMIT) for each in found] == [b"One.", b"Two."]
        assert [each.kind for each in source.items() if isinstance(each, Skipped)] == [".exe"]
        assert all(source.owns(each.uri) for each in found)
        for other in ("memory://b/docs2/other.md", "memory://b/docs/.hidden/a.md", "s3://b/docs/one.md"):
            assert not source.owns(other)

    def test_a_stamp_changes_with_the_object(self, store: Any) -> None:
        before = items(opened("memory://b/docs"))[0].stamp
        assert before == items(opened("memory://b/docs/"))[0].stamp
        store.pipe_file("/b/docs/one.md", b"New.")
        assert items(opened("memory://b/docs"))[0].stamp != before

    def test_one_object_is_a_source(self, store: Any) -> None:
        source = opened("memory://b/docs/one.md")
        (item,) = items(source)
        assert (item.uri, item.path, source.read(item, LIMIT)) == ("memory://b/docs/one.md", "one.md", b"One.")
        assert not source.owns("memory://b/docs/sub/two.txt")

    def test_a_corpus_is_read_record_by_record(self, store: Any) -> None:
        source = opened("memory://b/c.jsonl")
        found = items(source)
        assert [each.uri for each in found] == ["memory://b/c.jsonl#1", "memory://b/c.jsonl#2"]
        assert [source.read(each, LIMIT) for each in found] == [b"A record.", b"Another."]
        assert all(source.owns(each.uri) for each in found)
        source.close()

    def test_an_object_over_the_limit_is_refused(self, store: Any) -> None:
        source = opened("memory://b/docs")
        with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES"):
            source.read(items(source)[0], 3)

    def test_an_object_that_is_gone_when_it_is_read_is_an_error(self, store: Any) -> None:
        source = opened("memory://b/docs/one.md")
        (item,) = items(source)
        store.rm("/b/docs/one.md")
        with pytest.raises(SourceError, match="there is nothing at"):
            source.read(item, LIMIT)

    def test_patterns_narrow_it(self, store: Any) -> None:
        source = opened("memory://b/docs", include=["*.txt"])
        assert [each.path for each in items(source)] == ["sub/two #1 50%.txt"]
        assert not source.owns("memory://b/docs/one.md")

    def test_a_folder_that_cannot_be_listed_keeps_what_is_indexed(
        self, store: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = type(store).ls

        def failing(self: Any, path: str, **options: Any) -> Any:  # stands for a store that denies a prefix
            if path.endswith("/sub"):
                raise PermissionError("AccessDenied")
            return real(self, path, **options)

        monkeypatch.setattr(type(store), "ls", failing)
        found = list(opened("memory://b/docs").items())
        assert [each.uri for each in found if isinstance(each, Unreadable)] == ["memory://b/docs/sub/"]

    @pytest.mark.parametrize("url", ["memory://b/nowhere", "memory://b/docs/sub/none.md"])
    def test_nothing_there_is_an_error(self, store: Any, url: str) -> None:
        with pytest.raises(SourceError, match=r"there is nothing at|holds no document"):
            items(opened(url))

    @pytest.mark.parametrize("url", ["memory://", "s3://", "memory://x::file:///etc", "simplecache::s3://b/x"])
    def test_what_names_no_bucket_or_chains_stores_is_refused(self, url: str) -> None:
        with pytest.raises(SourceError):
            opened(url)

    @pytest.mark.parametrize(("url", "extra"), [("s3://b/x", "s3"), ("gs://b/x", "gcs"), ("az://b/x", "azure")])
    def test_a_store_whose_package_is_missing_names_the_extra(
        self, monkeypatch: pytest.MonkeyPatch, url: str, extra: str
    ) -> None:
        def missing(*_: Any, **__: Any) -> None:  # stands for an environment without the extra
            raise ImportError("Install s3fs to access S3")

        monkeypatch.setattr(fsspec, "filesystem", missing)
        with pytest.raises(SourceError, match=rf"librarian-rag\[{extra}\]"):
            opened(url)


def test_sources_of_every_kind_join(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Local.")
    store = fsspec.filesystem("memory")
    store.pipe_file("/joined/b.md", b"Stored.")
    site.pages["/c.md"] = page(b"Fetched.", "text/plain")
    settings = Settings(allow_urls=("127.0.0.1:*",), allow_private_urls=True)
    source = open_sources([tmp_path, "memory://joined", f"{site.url}/c.md"], settings)
    with closing(source):
        assert [source.read(each, LIMIT) for each in items(source)] == [b"Local.", b"Stored.", b"Fetched."]
    store.rm("/joined", recursive=True)
