"""Passages of one document that touch or overlap are one: its text once, its span exact."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.neighbours import MOST_BETWEEN, together
from rag.schema import Passage
from tests.conftest import make_passage

TEXT = "".join(chr(97 + n % 26) + ("\n" if n % 9 == 8 else "") for n in range(90))


def part(start: int, end: int, number: int = 1, uri: str = "a", text: str = TEXT, **fields: object) -> Passage:
    """The span of a document `uri`, ranked `number`."""
    values = {"uri": uri, "title": uri, "path": uri, **fields}
    return make_passage(text[start:end], number, start=start, end=end, **values)


def spans(*passages: Passage) -> list[tuple[str, int, int]]:
    return [(each.uri, each.start, each.end) for each in together(passages)]


def test_two_that_touch_are_one_in_the_place_of_the_better() -> None:
    assert spans(part(20, 30, 1), part(0, 10, 2, "b"), part(10, 20, 3)) == [("a", 10, 30), ("b", 0, 10)]


def test_two_that_overlap_have_their_common_text_once() -> None:
    (joined,) = together([part(0, 20, 1), part(12, 40, 2)])
    assert joined.text == TEXT[:40]


def test_one_inside_another_adds_nothing() -> None:
    (joined,) = together([part(5, 12, 1), part(0, 40, 2)])
    assert (joined.text, joined.id, joined.score) == (TEXT[:40], part(0, 1, 1).id, 1)


def test_a_third_joins_two_that_are_apart() -> None:
    assert spans(part(0, 10, 1), part(20, 30, 2), part(10, 20, 3)) == [("a", 0, 30)]


def test_the_space_between_two_chunks_shows_as_line_ends() -> None:
    (joined,) = together([part(0, 9, 1), part(11, 20, 2)])
    assert joined.text == f"{TEXT[:9]}\n\n{TEXT[11:20]}"
    assert (joined.start, joined.end) == (0, 20)


def test_what_is_further_apart_stays_apart() -> None:
    first, second = part(0, 10, 1), part(11 + MOST_BETWEEN, 30, 2)
    assert together([first, second]) == [first, second]


def test_other_documents_are_left_alone() -> None:
    first, second = part(0, 10, 1), part(10, 20, 2, "b")
    assert together([first, second]) == [first, second]


def test_two_versions_of_a_document_stay_apart() -> None:
    first, second = part(0, 20, 1), part(10, 30, 2, text=TEXT.upper())
    assert together([first, second]) == [first, second]


def test_a_passage_whose_text_is_not_its_span_stays_apart() -> None:
    first, second = part(0, 10, 1), make_passage("short", 2, uri="a", title="a", start=10, end=40)
    assert together([first, second]) == [first, second]


def test_it_has_the_headings_that_its_parts_share_and_the_page_on_which_it_starts() -> None:
    best = part(10, 20, 1, heading_path=("Guide", "Pods"), page=4)
    (joined,) = together([best, part(0, 10, 2, heading_path=("Guide", "Nodes"), page=3)])
    assert (joined.heading_path, joined.page) == (("Guide",), 3)


places = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 80), st.integers(1, 25)), max_size=8)


@given(places)
def test_the_text_of_each_is_found_at_its_place_and_no_character_twice(drawn: list[tuple[str, int, int]]) -> None:
    passages = [part(at, min(at + size, 90), n, uri) for n, (uri, at, size) in enumerate(drawn, start=1)]
    found = together(passages)
    for each in passages:
        (holder,) = [one for one in found if one.uri == each.uri and one.start <= each.start and each.end <= one.end]
        assert holder.text[each.start - holder.start :][: len(each.text)] == each.text
    held = [(each.uri, at) for each in found for at in range(each.start, each.end)]
    assert len(held) == len(set(held))
    assert all(len(each.text) == each.end - each.start for each in found)
    ranks = [each.score for each in found]
    assert ranks == sorted(ranks, reverse=True)
