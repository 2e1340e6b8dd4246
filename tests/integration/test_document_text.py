"""GET /v1/documents/text: what was indexed comes back, around the span asked for, to those who may read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.index.embedded import EmbeddedIndex
from rag.reading import AROUND, MAX_READ
from tests.integration.api_feeding import Feeding, feeding

LONG = "\n\n".join(f"Paragraph {each} speaks of 🚀 number {each} in a few words." for each in range(2000))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    with feeding(tmp_path_factory.mktemp("data")) as running:
        running.done(running.send({"long.txt": LONG.encode()}))
        yield running


def read(api: Feeding, uri: str = "upload:long.txt", **query: int | str) -> dict[str, object]:
    found: dict[str, object] = (
        api.http.get("/v1/documents/text", params={"uri": uri, **query}).raise_for_status().json()
    )
    return found


@pytest.mark.parametrize("start", [0, 30_000, len(LONG) - 40])
def test_each_character_stands_where_the_passage_says(api: Feeding, start: int) -> None:
    found = read(api, start=start, end=start + 30)
    offset, text = found["offset"], str(found["text"])
    assert isinstance(offset, int)
    assert offset <= start
    assert text == LONG[offset : offset + len(text)]
    assert text[start - offset :][:30] == LONG[start : start + 30]
    assert (found["before"], found["after"]) == (offset > 0, offset + len(text) < len(LONG))
    assert len(text) < 2 * AROUND + 1000


def test_a_span_of_everything_is_cut(api: Feeding) -> None:
    assert len(str(read(api, start=0, end=2**40)["text"])) < MAX_READ + 1000


def test_a_span_behind_the_end_shows_the_end(api: Feeding) -> None:
    assert str(read(api, start=10**9)["text"]).endswith("in a few words.")


def test_what_is_not_there_or_no_span_is_refused(api: Feeding) -> None:
    for query, status, code in (
        ({"uri": "upload:absent"}, 404, "document_not_found"),
        ({"uri": "upload:long.txt", "collection": "absent"}, 404, "collection_not_found"),
        ({"uri": "upload:long.txt", "start": "9", "end": "3"}, 400, "invalid_request"),
        ({}, 400, "invalid_request"),
    ):
        response = api.http.get("/v1/documents/text", params=query)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_after_a_replacement_the_text_is_the_new_one(api: Feeding) -> None:
    api.done(api.send({"a.md": b"the first words"}))
    api.done(api.send({"a.md": b"other words"}))
    assert read(api, "upload:a.md")["text"] == "other words"


def test_nobody_reads_another_tenants_or_groups_document(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "index")
    with (
        feeding(tmp_path / "staff", index, groups=("staff",)) as staff,
        feeding(tmp_path / "open", index) as everyone,
        feeding(tmp_path / "rival", index, tenant="rival") as rival,
    ):
        staff.done(staff.send({"pay.md": b"pay"}))
        assert read(staff, "upload:pay.md")["text"] == "pay"
        for other in (everyone, rival):
            assert other.http.get("/v1/documents/text", params={"uri": "upload:pay.md"}).status_code == 404
    index.close()


def test_it_wants_the_key(tmp_path: Path) -> None:
    with feeding(tmp_path, api_key="a-key-that-nobody-guesses") as locked:
        refused = locked.http.get("/v1/documents/text?uri=a", headers={"Authorization": "Bearer x"})
        assert refused.status_code == 401
