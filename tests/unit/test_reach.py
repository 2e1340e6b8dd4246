"""How far a passage reaches: outwards while the chunks beside the hit fit the question, and never past its limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.reach import Reach

COSINES = st.dictionaries(st.sampled_from("abcdefg"), st.floats(-1, 1), max_size=7)


def around(cosines: dict[str, float], hit: str = "d", before: int = 2, after: int = 2, share: float = 0.8) -> str:
    """The passage around a hit in the text "abcdefg", a letter a chunk."""

    def beside(step: int) -> str | None:
        place = "abcdefg".index(hit) + step
        return "abcdefg"[place] if 0 <= place < 7 else None

    back, forth = Reach(before, after, share, cosines).around(hit, beside)
    place = "abcdefg".index(hit)
    return "abcdefg"[place - back : place + forth + 1]


def test_a_chunk_is_joined_where_it_and_the_hit_come_to_the_share_on_average() -> None:
    assert around({"c": 0.59, "d": 1.0, "e": 0.6, "a": 0.1}) == "de"


def test_the_hit_of_a_low_rank_needs_better_neighbours_than_the_best_does() -> None:
    assert around({"a": 1.0, "c": 0.6, "d": 0.7, "e": 0.9}) == "de"


def test_a_passage_ends_at_the_first_chunk_that_does_not_fit() -> None:
    assert around({"b": 0.9, "c": 0.1, "d": 1.0, "e": 0.9, "f": 0.8}) == "def"


def test_a_passage_ends_where_no_chunk_is_free() -> None:
    assert around(dict.fromkeys("abcdefg", 1.0), hit="g") == "efg"


def test_of_chunks_that_are_no_candidates_only_the_next_one_may_be_joined() -> None:
    assert around({"d": 1.0, "a": 0.7}) == "de"
    assert around({"d": 1.0, "a": 0.5}) == "d"


def test_a_hit_without_a_cosine_takes_the_chunk_after_it() -> None:
    assert around({"a": 1.0, "c": 1.0, "e": 1.0}) == "de"
    assert around({}) == "de"
    assert around({}, after=0) == "d"


@given(COSINES, st.integers(0, 3), st.integers(0, 3))
def test_a_share_of_zero_joins_all_up_to_the_limits(cosines: dict[str, float], before: int, after: int) -> None:
    assert around(cosines, before=before, after=after, share=0) == "abcdefg"[3 - before : 4 + after]


@given(COSINES, st.floats(0.01, 1), st.floats(0, 1))
def test_a_higher_share_never_makes_a_passage_longer(cosines: dict[str, float], share: float, more: float) -> None:
    best = max(cosines.values(), default=0.0)
    if best >= 0:
        assert around(cosines, share=min(1, share + more)) in around(cosines, share=share)
