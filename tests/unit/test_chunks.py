"""A streamed chat completion's bytes: whatever way they are cut, the same answer; what is none is told from it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chunks import MAX_LINE, BrokenByServer, ChunkReader, Delta, NotOpenAI, reason_of
from rag.schema import Usage


def event(body: Any) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def chunk(content: Any = None, reason: str | None = None, **more: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": reason}], **more})


END = chunk(reason="stop") + event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
DONE = b"data: [DONE]\n\n"


def read(*parts: bytes) -> tuple[str, list[str], list[Usage], ChunkReader]:
    """The text, finish reasons and usages of a stream that came in those parts."""
    reader = ChunkReader()
    found = [delta for part in parts if (delta := reader.feed(part))]
    return (
        "".join(each.text for each in found),
        [each.finish_reason for each in found if each.finish_reason],
        [each.usage for each in found if each.usage],
        reader,
    )


class TestReading:
    @given(st.lists(st.text()), st.sets(st.integers(0, 400)))
    def test_where_the_stream_is_cut_does_not_matter(self, pieces: list[str], cuts: set[int]) -> None:
        stream = b"".join(chunk(each) for each in pieces) + END + DONE
        places = [0, *sorted(each for each in cuts if each < len(stream)), len(stream)]
        parts = [stream[start:end] for start, end in itertools.pairwise(places)]
        text, reasons, usages, reader = read(*parts)
        assert text == "".join(pieces)
        assert (reasons, usages) == (["stop"], [Usage(7, 3)])
        assert reader.begun
        assert reader.ended
        assert reader.failure is None

    def test_what_comes_in_one_read_is_one_piece(self) -> None:
        assert ChunkReader().feed(chunk("Pods ") + chunk("run") + END) == Delta("Pods run", "stop", Usage(7, 3))

    def test_a_chunk_without_anything_new_is_no_piece(self) -> None:
        reader = ChunkReader()
        assert reader.feed(event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})) is None
        assert reader.begun

    @pytest.mark.parametrize(
        "noise",
        [
            b": keep-alive\n\n",
            b"event: message\n",
            b"\r\n",
            event({"choices": []}),
            event({"object": "ping"}),
            event({"choices": [{"index": 0}]}),
            event({"choices": [{"index": 0, "delta": None, "finish_reason": None}]}),
            event({"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}),
        ],
        ids=repr,
    )
    def test_what_is_no_text_is_passed_over(self, noise: bytes) -> None:
        assert read(noise, chunk("a"), noise, chunk("b"), noise)[0] == "ab"

    @pytest.mark.parametrize("lines", [b"\r\n", b"\n"])
    def test_lines_end_as_they_like(self, lines: bytes) -> None:
        assert read((chunk("a") + chunk("b") + DONE).replace(b"\n", lines))[0] == "ab"

    def test_no_blank_is_needed_behind_the_field(self) -> None:
        assert read(chunk("a").replace(b"data: ", b"data:"))[0] == "a"

    def test_lone_surrogates_are_replaced_and_pairs_are_characters(self) -> None:
        text = read(chunk("a\ud83d"), b'data: {"choices": [{"delta": {"content": "\\ud83d\\ude42"}}]}\n\n')[0]
        assert text == "a?🙂"

    def test_text_may_come_in_parts(self) -> None:
        assert read(chunk([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]))[0] == "ab"

    def test_usage_that_comes_with_every_chunk_counts_at_its_last(self) -> None:
        usages = read(*(chunk("a", usage={"prompt_tokens": 7, "completion_tokens": n}) for n in (1, 2)))[2]
        assert usages == [Usage(7, 1), Usage(7, 2)]


class TestNonsense:
    @pytest.mark.parametrize(
        "line",
        [
            b"{this is no JSON",
            b"",
            b"7",
            b"[]",
            b'"text"',
            b'{"choices": 5}',
            b'{"choices": "ab"}',
            b'{"choices": [[]]}',
            b'{"choices": [{"delta": "text"}]}',
            b'{"choices": [{"delta": {"content": 7}}]}',
            b'{"choices": [{"delta": {"content": [7]}}]}',
            b'{"choices": [], "usage": 7}',
            b'{"choices": [], "usage": {"prompt_tokens": "many"}}',
            b"\xff\xfe",
            b"[" * 100_000,
        ],
        ids=lambda line: repr(line[:40]),
    )
    def test_it_is_told_after_the_text_that_came_before_it(self, line: bytes) -> None:
        text, _, _, reader = read(chunk("before") + b"data: " + line + b"\n\n" + chunk("after"))
        assert text == "before"
        assert isinstance(reader.failure, NotOpenAI)

    @given(st.binary())
    def test_whatever_bytes_come_nothing_else_is_raised(self, data: bytes) -> None:
        reader = ChunkReader()
        reader.feed(b"data: " + data + b"\n\n")
        assert reader.failure is None or isinstance(reader.failure, NotOpenAI | BrokenByServer)

    def test_a_line_without_end_is_not_kept_for_ever(self) -> None:
        reader = ChunkReader()
        part = b"data: " + b"x" * (MAX_LINE // 4)
        for _ in range(5):
            reader.feed(part)
        assert isinstance(reader.failure, NotOpenAI)

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            ({"message": "out of memory", "code": 500}, "out of memory"),
            ("out of memory", "out of memory"),
            ({"code": 500}, "an error without a message"),
        ],
    )
    def test_an_error_of_the_server_is_told_in_its_words(self, error: Any, said: str) -> None:
        text, _, _, reader = read(chunk("before") + event({"error": error}))
        assert text == "before"
        assert isinstance(reader.failure, BrokenByServer)
        assert str(reader.failure) == said

    def test_pages_of_another_kind_hold_no_chunk(self) -> None:
        reader = read(b"<html>It works!</html>\n")[3]
        assert not reader.begun


class TestReasons:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b'{"error": {"message": "too long", "code": 400}}', "too long"),
            (b'{"object": "error", "message": "too long"}', "too long"),
            (b'{"error": "too long"}', "too long"),
            (b'{"detail": "Not Found"}', '{"detail": "Not Found"}'),
            (b"<html>\n<body>", "<html>"),
            (b"[1]", "[1]"),
            (b"", ""),
            (b"\xff", "�"),
        ],
    )
    def test_a_reason_is_one_line_of_what_the_server_said(self, body: bytes, reason: str) -> None:
        assert reason_of(body) == reason

    @given(st.binary())
    def test_any_body_gives_one(self, body: bytes) -> None:
        assert len(reason_of(body).splitlines()) <= 1
