"""The number that says whether what was found answers the question."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.encoders import Bm25Encoder
from rag.relevance import LOOKED_AT, Calibration, relevance
from rag.schema import Passage

SPARSE = Bm25Encoder()
CALIBRATION = Calibration()


def terms(text: str) -> Collection[int]:
    return SPARSE.encode_document(text).indices


def passage(text: str, title: str = "", headings: tuple[str, ...] = ()) -> Passage:
    return Passage("id", text, 1.0, "uri", "path", title, headings, 0, 0, len(text))


def test_nothing_found_is_no_probability() -> None:
    assert relevance("What is a pod?", [], None, terms, CALIBRATION) is None


def test_a_passage_that_holds_the_question_s_words_is_likelier_to_answer() -> None:
    fitting = relevance(
        "Which probe restarts containers?", [passage("A probe restarted the container.")], 0.5, terms, CALIBRATION
    )
    other = relevance(
        "Which probe restarts containers?", [passage("Bread is baked in ovens.")], 0.5, terms, CALIBRATION
    )
    assert fitting is not None
    assert other is not None
    assert fitting > 0.6 > 0.2 > other


def test_title_and_headings_count_as_the_passage_s_words() -> None:
    bare = relevance("readiness probe", [passage("It fails.")], 0.4, terms, CALIBRATION)
    titled = relevance("readiness probe", [passage("It fails.", "Probes", ("Readiness",))], 0.4, terms, CALIBRATION)
    assert bare is not None
    assert titled is not None
    assert titled > bare


def test_only_the_first_passages_are_looked_at() -> None:
    empty = [passage("Nothing of it.")] * LOOKED_AT
    without = relevance("readiness probe", empty, 0.4, terms, CALIBRATION)
    assert relevance("readiness probe", [*empty, passage("readiness probe")], 0.4, terms, CALIBRATION) == without


def test_a_question_of_stop_words_is_judged_by_its_vector() -> None:
    near = relevance("what is it", [passage("It is.")], 0.9, terms, CALIBRATION)
    far = relevance("what is it", [passage("It is.")], 0.1, terms, CALIBRATION)
    assert near is not None
    assert far is not None
    assert near > 0.5 > far


@given(st.floats(-1, 1), st.floats(0, 1))
def test_it_is_a_probability_that_grows_with_both(cosine: float, coverage: float) -> None:
    found = CALIBRATION.probability(cosine, coverage)
    assert 0 < found < 1
    assert found <= CALIBRATION.probability(min(cosine + 0.1, 1.0), coverage)
    assert found <= CALIBRATION.probability(cosine, min(coverage + 0.1, 1.0))


def test_the_worked_example() -> None:
    assert CALIBRATION.probability(0.5, 0.5) == pytest.approx(0.325, abs=0.001)


def test_a_collections_own_calibration_is_taken_and_one_that_cannot_be_read_is_not() -> None:
    assert Calibration.of({"relevance": {"bias": -1, "cosine": 2.5, "coverage": 0}}) == Calibration(-1.0, 2.5, 0.0)
    for metadata in (
        {},
        {"relevance": None},
        {"relevance": {"bias": 1.0}},
        {"relevance": {"bias": 1e9, "cosine": 1.0, "coverage": 1.0}},
        {"relevance": {"bias": float("nan"), "cosine": 1.0, "coverage": 1.0}},
        {"relevance": {"bias": "x", "cosine": 1.0, "coverage": 1.0}},
    ):
        assert Calibration.of(metadata) == CALIBRATION
