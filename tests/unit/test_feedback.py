"""What people say of answers: kept by tenant, once for a caller and an answer, for so many days, and for whose eyes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag.collections import own_name
from rag.errors import CollectionNotFound
from rag.feedback import (
    SLACK,
    Feedback,
    FeedbackStore,
    GivenPassage,
    Wanted,
    everything,
    from_fields,
    seen_passages,
    with_texts,
)
from rag.index import CollectionSpec, Record
from rag.index.embedded import EmbeddedIndex
from rag.payload import to_payload
from rag.records import RESERVED, Records
from rag.schema import Chunk, Document, Scope, SparseVector

DAY = 86_400.0
SAID = Feedback(
    id="",
    answer_id="chatcmpl-1",
    rating="up",
    comment="",
    question="And for traffic?",
    searched="What does a readiness probe do for traffic?",
    answer="It keeps traffic away [1].",
    collection="documents",
    passages=(GivenPassage("00000000-0000-0000-0000-000000000001", "upload:probes.md", True),),
    verified=True,
    caller="key-1",
    groups=(),
    created=0.0,
)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EmbeddedIndex]:
    index = EmbeddedIndex(tmp_path)
    yield index
    index.close()


@pytest.fixture
def store(index: EmbeddedIndex, clock: Clock) -> FeedbackStore:
    return FeedbackStore(Records(index), days=30, clock=clock)


def said(number: int = 1, **fields: object) -> Feedback:
    return replace(SAID, answer_id=f"chatcmpl-{number}", **fields)  # type: ignore[arg-type]


def seen(store: FeedbackStore, scope: Scope, wanted: Wanted | None = None) -> list[str]:
    return [each.answer_id for each in everything(store, scope, wanted or Wanted())]


class TestKeeping:
    def test_what_was_said_comes_back_whole(self, store: FeedbackStore) -> None:
        kept = store.put(SAID, "acme")
        assert kept == replace(SAID, id=kept.id, created=kept.created)
        assert list(everything(store, Scope("acme"), Wanted())) == [kept]
        assert kept.created > 0

    def test_said_again_by_the_same_caller_it_replaces(self, store: FeedbackStore) -> None:
        first = store.put(SAID, "acme")
        second = store.put(replace(SAID, rating="down", comment="wrong"), "acme")
        assert second.id == first.id
        assert list(everything(store, Scope("acme"), Wanted())) == [second]

    def test_of_another_caller_it_stands_beside(self, store: FeedbackStore) -> None:
        store.put(SAID, "acme")
        store.put(replace(SAID, caller="key-2", rating="down"), "acme")
        assert sorted(each.rating for each in everything(store, Scope("acme"), Wanted())) == ["down", "up"]

    def test_it_outlives_the_process(self, tmp_path: Path) -> None:
        index = EmbeddedIndex(tmp_path / "again")
        kept = FeedbackStore(Records(index), 30).put(SAID, "acme")
        index.close()
        index = EmbeddedIndex(tmp_path / "again")
        assert list(everything(FeedbackStore(Records(index), 30), Scope("acme"), Wanted())) == [kept]
        index.close()

    def test_no_text_of_a_passage_is_kept(self, store: FeedbackStore, index: EmbeddedIndex) -> None:
        passage = replace(SAID.passages[0], text="words of the document")
        store.put(replace(SAID, passages=(passage,)), "acme")
        kept = json.dumps([dict(each.payload) for each in index.scroll(RESERVED, Scope.owner("acme"))])
        assert "upload:probes.md" in kept
        assert "words of the document" not in kept

    def test_fields_of_a_later_version_are_no_obstacle(self) -> None:
        given = {"id": "a", "document": "b", "cited": True, "colour": 1}
        data = {name: getattr(SAID, name) for name in Feedback.__dataclass_fields__}
        found = from_fields({**data, "passages": [given], "groups": ["sre"], "mood": "fair"})
        assert found == replace(SAID, passages=(GivenPassage("a", "b", True),), groups=("sre",))


class TestWhoSees:
    def test_never_another_tenant(self, store: FeedbackStore) -> None:
        store.put(SAID, "acme")
        assert seen(store, Scope("rival")) == seen(store, Scope.owner("rival")) == []
        assert seen(store, Scope("acme")) == ["chatcmpl-1"]

    @pytest.mark.parametrize(
        ("groups", "reader", "sees"),
        [
            ((), frozenset(), True),
            (("sre",), frozenset(), False),
            (("sre",), frozenset({"sre"}), True),
            (("dev", "sre"), frozenset({"sre"}), False),  # the answer may quote what is dev's alone
            (("dev", "sre"), frozenset({"sre", "dev", "law"}), True),
            (("dev", "sre"), None, True),
        ],
    )
    def test_only_who_has_all_groups_of_the_one_who_said_it(
        self, store: FeedbackStore, groups: tuple[str, ...], reader: frozenset[str] | None, sees: bool
    ) -> None:
        store.put(replace(SAID, groups=groups), "acme")
        assert (seen(store, Scope("acme", reader)) == ["chatcmpl-1"]) is sees


class TestPages:
    def test_newest_first_each_once_and_only_those_wanted(self, store: FeedbackStore) -> None:
        for number in range(1, 8):
            store.put(said(number, rating="up" if number % 2 else "down", verified=number > 3), "acme")
        scope = Scope("acme")
        found = list(everything(store, scope, Wanted(), page=2))
        assert [each.answer_id for each in found] == [f"chatcmpl-{number}" for number in range(7, 0, -1)]
        assert seen(store, scope, Wanted("down")) == ["chatcmpl-6", "chatcmpl-4", "chatcmpl-2"]
        assert seen(store, scope, Wanted("up", verified=True)) == ["chatcmpl-7", "chatcmpl-5"]

    def test_what_comes_meanwhile_moves_no_page(self, store: FeedbackStore) -> None:
        for number in range(1, 5):
            store.put(said(number), "acme")
        first, place = store.page(Scope("acme"), Wanted(), 2)
        store.put(said(5), "acme")
        second, end = store.page(Scope("acme"), Wanted(), 2, place)
        assert [each.answer_id for each in (*first, *second)] == [f"chatcmpl-{number}" for number in (4, 3, 2, 1)]
        assert end is None


class TestBounds:
    def test_beyond_its_days_it_is_not_shown_and_then_deleted(
        self, store: FeedbackStore, clock: Clock, index: EmbeddedIndex
    ) -> None:
        store.put(said(1), "acme")
        clock.now += 30 * DAY
        assert seen(store, Scope("acme")) == []
        assert seen(FeedbackStore(Records(index), math.inf, clock=clock), Scope("acme")) == ["chatcmpl-1"]
        store.put(said(2), "acme")
        assert Records(index).count("feedback", Scope.owner("acme")) == 1

    def test_of_one_tenant_so_many_are_kept_the_newest(self, index: EmbeddedIndex, clock: Clock) -> None:
        store = FeedbackStore(Records(index), 30, kept=5, clock=clock)
        store.put(said(0), "rival")
        for number in range(1, 5 + SLACK + 2):
            store.put(said(number), "acme")
        assert seen(store, Scope("acme")) == [f"chatcmpl-{number}" for number in range(5 + SLACK + 1, SLACK + 1, -1)]
        assert seen(store, Scope("rival")) == ["chatcmpl-0"]


class TestPassages:
    @pytest.fixture
    def chunks(self, index: EmbeddedIndex) -> list[str]:
        """Ids of three chunks: everyone's, of a group, of another tenant."""
        index.create(own_name("documents", {}), CollectionSpec(2))
        index.set_alias("documents", own_name("documents", {}))
        ids = []
        for number, (tenant, groups) in enumerate([("acme", ()), ("acme", ("sre",)), ("rival", ())], start=1):
            text = f"text {number}"
            document = Document(f"upload:{number}.md", f"{number}.md", "", text, "hash", groups=groups)
            ids.append(f"00000000-0000-0000-0000-{number:012d}")
            payload = to_payload(document, Chunk(0, text, 0, len(text)), 1)
            index.upsert("documents", [Record(ids[-1], [1.0, 0.0], SparseVector((), ()), payload)], Scope.owner(tenant))
        return ids

    def test_those_alone_that_the_reader_sees(self, index: EmbeddedIndex, chunks: list[str]) -> None:
        cited = dict.fromkeys([*chunks, "00000000-0000-0000-0000-000000000009"], True)
        assert seen_passages(index, "documents", cited, Scope("acme")) == (
            GivenPassage(chunks[0], "upload:1.md", True),
        )
        both = seen_passages(index, "documents", {**cited, chunks[0]: False}, Scope("acme", frozenset({"sre"})))
        assert [(each.document, each.cited) for each in both] == [("upload:1.md", False), ("upload:2.md", True)]

    def test_the_records_collection_is_none_of_passages(self, index: EmbeddedIndex, chunks: list[str]) -> None:
        with pytest.raises(CollectionNotFound, match=RESERVED):
            seen_passages(index, RESERVED, dict.fromkeys(chunks, True), Scope("acme"))
        with pytest.raises(CollectionNotFound):
            seen_passages(index, "nowhere", dict.fromkeys(chunks, True), Scope("acme"))

    def test_texts_are_those_indexed_now_and_seen_by_the_reader(self, index: EmbeddedIndex, chunks: list[str]) -> None:
        passages = tuple(GivenPassage(each, f"upload:{each}", True) for each in chunks)
        rated = [replace(SAID, passages=passages), replace(SAID, passages=passages[:1], collection="gone")]
        first, second = with_texts(index, rated, Scope("acme"))
        assert [each.text for each in first.passages] == ["text 1", None, None]
        assert [each.text for each in second.passages] == [None]
        index.delete("documents", chunks[:1], Scope.owner("acme"))
        assert with_texts(index, rated[:1], Scope("acme"))[0].passages[0].text is None
