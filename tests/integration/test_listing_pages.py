"""GET /v1/documents looks at a page, not at the collection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rag.documents
from rag.documents import held_documents
from rag.index.embedded import EmbeddedIndex
from rag.schema import Scope
from tests.integration.api_feeding import feeding


def test_with_a_rare_prefix_a_page_is_bounded_and_the_pages_together_hold_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag.documents, "MAX_LOOKED_AT", 5)
    with feeding(tmp_path) as api:
        api.done(api.send({f"{folder}/{each}.md": b"x" for folder in "ab" for each in range(10)}))
        found: list[str] = []
        cursor, pages = "", 0
        while cursor is not None:
            query: dict[str, Any] = {"prefix": "upload:b/", "cursor": cursor}
            page = api.http.get("/v1/documents", params=query).raise_for_status().json()
            found += [each["uri"] for each in page["data"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert sorted(found) == [f"upload:b/{each}.md" for each in range(10)]
        assert pages == 4


def test_a_cursor_that_is_none_is_refused(tmp_path: Path) -> None:
    with feeding(tmp_path) as api:
        api.done(api.send({"a.md": b"x"}))
        for cursor in ("x", "AAAA", "é", "A" * 23):
            assert api.http.get("/v1/documents", params={"cursor": cursor}).status_code == 400


def test_a_page_reads_no_more_of_the_index_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    scroll = EmbeddedIndex.scroll

    def watched(self: EmbeddedIndex, *arguments: Any) -> Any:
        for each in scroll(self, *arguments):
            read.append(each.id)
            yield each

    with feeding(tmp_path) as api:
        api.done(api.send({f"{each}.md": b"x" for each in range(30)}))
        monkeypatch.setattr(EmbeddedIndex, "scroll", watched)
        first = held_documents(api.index, "documents", Scope.owner(), limit=4)
        assert len(read) == 5
        second = held_documents(api.index, "documents", Scope.owner(), start=first.following, limit=4)
        assert len(read) == 10
        assert not {each.uri for each in first.documents} & {each.uri for each in second.documents}
