"""Server-sent events: the bytes of one event, and OpenAI's chunk shapes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rag.answering import Sources, Text
from rag.schema import Answer, Citation, Dropped, Usage
from serve import sse
from tests.conftest import make_passage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
PASSAGES = (make_passage("Pods run containers.", 1), make_passage("Nodes run pods.", 2, title=""))


def events(stream: bytes) -> list[Any]:
    """The events of a stream as a reader of the specification sees them: lines end at CR, LF or CRLF."""
    blocks = stream.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    assert blocks.pop() == "", "the last event is not ended by an empty line"
    found = []
    for block in blocks:
        field, colon, value = block.partition(": ")
        assert (field, colon) == ("data", ": ")
        assert "\n" not in value
        found.append(value if value == "[DONE]" else json.loads(value))
    return found


def writer(include_usage: bool = False) -> sse.ChunkWriter:
    return sse.ChunkWriter("chatcmpl-1", 1_800_000_000, "librarian", include_usage)


def answer(**fields: Any) -> Answer:
    values: dict[str, Any] = {
        "question": "What runs pods?",
        "text": "Nodes do [2].",
        "sources": PASSAGES,
        "citations": (Citation(2, PASSAGES[1].id, 9, 12, "matched"),),
        "finish_reason": "stop",
        "usage": Usage(30, 5),
        "relevance": 0.5,
        "timings_ms": {"total": 12.3456},
    }
    return Answer(**{**values, **fields})


class TestOneEvent:
    @given(st.dictionaries(st.text(), JSON, max_size=4))
    def test_whatever_is_in_the_data_it_is_one_line_that_reads_back(self, data: dict[str, Any]) -> None:
        written = sse.event(data)
        assert written.startswith(b"data: ")
        assert written.endswith(b"\n\n")
        assert events(written) == [data]

    def test_line_breaks_of_the_text_stay_inside_the_line(self) -> None:
        written = sse.event({"text": "one\ntwo\r\nthree\rfour\n\ndata: [DONE]\n\n"})
        assert written.count(b"\n") == 2
        assert b"\r" not in written
        assert events(written) == [{"text": "one\ntwo\r\nthree\rfour\n\ndata: [DONE]\n\n"}]

    def test_unicode_goes_as_utf_8_not_as_escapes(self) -> None:
        assert sse.event({"text": "größer 容器 🙂"}) == 'data: {"text":"größer 容器 🙂"}\n\n'.encode()

    def test_separators_that_some_languages_take_for_line_ends_do_not_split_the_event(self) -> None:
        text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
        written = sse.event({"text": text})
        assert len(written.decode().splitlines()) == 2  # clients that split with str.splitlines see one line as well
        assert events(written) == [{"text": text}]

    def test_the_end_is_what_openai_ends_with(self) -> None:
        assert sse.DONE == b"data: [DONE]\n\n"


class TestChunks:
    def test_every_chunk_names_the_same_completion(self) -> None:
        chunks = writer()
        stream = chunks.write(Sources(PASSAGES, 0.5, ())) + chunks.write(Text("Nodes")) + chunks.write(answer())
        for chunk in events(stream)[:-1]:
            head = {name: chunk[name] for name in ("id", "object", "created", "model")}
            assert head == {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1_800_000_000,
                "model": "librarian",
            }

    def test_sources_open_the_turn_with_role_and_context(self) -> None:
        dropped = (Dropped("passage docs/9.md", "token budget"),)
        [chunk] = events(writer().write(Sources(PASSAGES, 0.5, dropped)))
        assert chunk["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
        assert [(each["number"], each["source"]) for each in chunk["context"]] == [(1, "docs/1.md"), (2, "docs/2.md")]
        assert {each["cited"] for each in chunk["context"]} == {None}  # nobody knows yet
        assert chunk["relevance"] == 0.5
        assert chunk["dropped"] == [{"what": "passage docs/9.md", "reason": "token budget"}]

    def test_text_is_the_deltas_content_and_nothing_else(self) -> None:
        [chunk] = events(writer().write(Text("Nodes\ndo")))
        assert chunk["choices"] == [{"index": 0, "delta": {"content": "Nodes\ndo"}, "finish_reason": None}]
        assert "context" not in chunk
        assert "usage" not in chunk

    @given(st.text(), st.text(), st.booleans())
    def test_whatever_the_text_and_the_model_are_called_it_reads_back(
        self, text: str, model: str, include_usage: bool
    ) -> None:
        written = sse.ChunkWriter("chatcmpl-1", 1, model, include_usage).write(Text(text))
        assert len(written.decode().splitlines()) == 2
        [chunk] = events(written)
        usage = {"usage": None} if include_usage else {}
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        assert chunk == {**head, "choices": [choice], **usage}

    def test_the_answer_closes_with_citations_in_both_shapes(self) -> None:
        chunk, done = events(writer().write(answer()))
        note = {"start_index": 9, "end_index": 12, "url": "file:///docs/2.md", "title": "docs/2.md"}
        assert chunk["choices"][0]["delta"] == {"annotations": [{"type": "url_citation", "url_citation": note}]}
        assert chunk["choices"][0]["finish_reason"] == "stop"
        assert chunk["citations"] == [{"number": 2, "start": 9, "end": 12, "origin": "matched"}]
        assert chunk["abstained"] is False
        assert chunk["timings_ms"] == {"total": 12.35}
        assert done == "[DONE]"

    def test_an_answer_without_citations_has_an_empty_last_delta(self) -> None:
        chunk, _ = events(writer().write(answer(citations=())))
        assert chunk["choices"][0]["delta"] == {}
        assert chunk["citations"] == []

    def test_an_answer_that_was_cut_says_length(self) -> None:
        chunk, _ = events(writer().write(answer(finish_reason="length")))
        assert chunk["choices"][0]["finish_reason"] == "length"

    def test_an_abstention_is_a_stop_with_a_mark(self) -> None:
        chunk, _ = events(writer().write(answer(finish_reason="abstained", sources=(), citations=())))
        assert chunk["choices"][0]["finish_reason"] == "stop"
        assert chunk["abstained"] is True

    def test_usage_comes_last_alone_and_only_where_it_was_asked_for(self) -> None:
        _, usage, done = events(writer(include_usage=True).write(answer()))
        assert usage["choices"] == []
        assert usage["usage"] == {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}
        assert done == "[DONE]"
        assert "usage" not in events(writer().write(answer()))[0]

    def test_where_usage_was_asked_for_the_other_chunks_carry_null(self) -> None:
        chunks = writer(include_usage=True)
        stream = chunks.write(Sources((), None, ())) + chunks.write(Text("Nodes")) + chunks.write(answer())
        assert [chunk["usage"] for chunk in events(stream)[:3]] == [None, None, None]
