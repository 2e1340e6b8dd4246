"""Hits and the chunks beside them as passages: nothing twice, nothing of another document, spans exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rag.neighbours import Window, joined, windows
from rag.payload import to_passage
from rag.point_ids import point_id
from rag.reach import Reach
from rag.schema import Document, Passage, Scope

SCOPE = Scope("t")
CHUNKER = "structure-2:96"
TEXT = "".join(chr(97 + n % 26) for n in range(100))


def document(uri: str, chunks: int) -> dict[str, dict[str, Any]]:
    """The payloads, by id, of a document whose chunk n is characters 10 n to 10 n + 8 of TEXT."""
    made = Document(uri, uri, uri, "", "hash")
    return {
        point_id(made, n, CHUNKER, SCOPE): {
            "doc": uri,
            "doc_hash": "hash",
            "path": uri,
            "title": uri,
            "headings": [],
            "text": TEXT[10 * n : 10 * n + 8],
            "start": 10 * n,
            "end": 10 * n + 8,
            "ordinal": n,
            "chunks": chunks,
            "metadata": {},
        }
        for n in range(chunks)
    }


POINTS = {**document("a", 6), **document("b", 3)}


def ids(*places: tuple[str, int]) -> list[str]:
    found = {(each["doc"], each["ordinal"]): identity for identity, each in POINTS.items()}
    return [found[place] for place in places]


def passage(window: Window, payloads: Mapping[str, Any] = POINTS) -> Passage:
    return joined(window, to_passage(window.hit, payloads[window.hit], 1.0, None, None), payloads)


def passages(*places: tuple[str, int], count: int = 9, before: int = 0, after: int = 1) -> list[tuple[str, int, int]]:
    found = [passage(each) for each in windows(ids(*places), count, Reach(before, after, 0, {}))]
    return [(each.uri, each.start, each.end) for each in found]


def test_a_hit_is_joined_with_what_follows_it_in_its_document() -> None:
    assert passages(("a", 1), ("b", 2)) == [("a", 10, 28), ("b", 20, 28)]


def test_a_hit_that_an_earlier_passage_holds_is_passed_over() -> None:
    assert passages(("a", 1), ("a", 2), ("b", 0)) == [("a", 10, 28), ("b", 0, 18)]


def test_a_chunk_is_in_one_passage_only() -> None:
    assert passages(("a", 3), ("a", 1), before=1, after=2) == [("a", 20, 58), ("a", 0, 18)]


def test_as_many_passages_as_asked_for_come_out() -> None:
    assert len(passages(("a", 0), ("a", 1), ("a", 2), ("b", 0), count=2)) == 2


def test_the_text_stands_where_its_span_says() -> None:
    window = windows(ids(("a", 1)), 1, Reach(1, 2, 0, {}))[0]
    found = passage(window)
    assert len(found.text) == found.end - found.start
    for n in range(4):
        assert found.text[10 * n - found.start :][:8] == TEXT[10 * n : 10 * n + 8]
    assert found.id == window.hit


def test_a_neighbour_that_is_gone_ends_the_passage_there() -> None:
    window = windows(ids(("a", 1)), 1, Reach(1, 2, 0, {}))[0]
    left = {identity: each for identity, each in POINTS.items() if each["ordinal"] != 2}
    found = passage(window, left)
    assert (found.start, found.end) == (0, 18)


def test_a_passage_reaches_as_far_as_the_chunks_fit_the_question() -> None:
    made = Document("a", "a", "a", "", "hash")
    cosines = {point_id(made, n, CHUNKER, SCOPE): cosine for n, cosine in enumerate((0.9, 0.2, 0.8, 0.7, 0.1, 0.9))}
    window = windows(ids(("a", 2)), 1, Reach(3, 3, 0.7, cosines))[0]
    assert (window.before, window.after) == ((), (point_id(made, 3, CHUNKER, SCOPE),))


@given(
    st.lists(st.sampled_from([("a", n) for n in range(6)] + [("b", n) for n in range(3)]), unique=True),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_no_character_is_in_two_passages_and_every_hit_is_in_one(
    places: list[tuple[str, int]], before: int, after: int
) -> None:
    found = passages(*places, before=before, after=after)
    held = [(uri, each) for uri, start, end in found for each in range(start, end)]
    assert len(held) == len(set(held))
    assert all((uri, 10 * n) in set(held) for uri, n in places)
