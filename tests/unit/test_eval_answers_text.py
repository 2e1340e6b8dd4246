"""Answers are compared as SQuAD compares them, and cut into the statements that citations are of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answers.text import contains, exact_match, normalised, statements, token_f1, without_markers
from rag.citations import CitationFilter
from rag.schema import Citation
from tests.conftest import make_passage


def cited(raw: str, passages: int = 3) -> tuple[str, list[Citation]]:
    """A model's raw answer as the service shows it."""
    filtered = CitationFilter([make_passage("Nothing alike.", number) for number in range(1, passages + 1)])
    filtered.feed(raw)
    filtered.finish()
    return filtered.text, filtered.citations


def test_articles_case_and_punctuation_do_not_count() -> None:
    assert normalised("The  Saxon-Garden, a park!") == "saxongarden park"
    assert exact_match("the Saxon Garden.", ["Saxon garden"]) == 1.0
    assert exact_match("in the Saxon Garden", ["Saxon garden"]) == 0.0


def test_f1_is_that_of_the_best_gold_answer() -> None:
    # Two of the answer's four words, and all of the gold answer's two.
    assert token_f1("it was Saxon Garden", ["Warsaw", "the Saxon Garden"]) == pytest.approx(2 * 2 / (4 + 2))
    assert token_f1("Momus", ["Melodram"]) == 0.0
    assert token_f1("anything", []) == 0.0


def test_a_repeated_word_counts_as_often_as_both_have_it() -> None:
    assert token_f1("ha ha ha", ["ha"]) == pytest.approx(2 * 1 / (3 + 1))


def test_a_gold_answer_is_found_as_whole_words_only() -> None:
    assert contains("It ran from 1870 to 1939.", ["1870 to 1939"])
    assert not contains("It was catalogued.", ["cat"])
    assert not contains("Anything at all.", ["", "the"])


@given(st.text(max_size=80), st.lists(st.text(max_size=40), max_size=3))
def test_every_measure_lies_between_nothing_and_all(answer: str, gold: list[str]) -> None:
    assert 0.0 <= token_f1(answer, gold) <= 1.0
    assert exact_match(answer, gold) <= token_f1(answer, gold) or not gold


def test_a_marker_behind_the_full_stop_belongs_to_the_sentence_before_it() -> None:
    text, citations = cited("Pods run containers. [1] Nodes run pods [2][3]. Nobody knows.")
    found = statements(text, citations)
    assert [(each.text, each.cited) for each in found] == [
        ("Pods run containers.", (1,)),
        ("Nodes run pods .", (2, 3)),
        ("Nobody knows.", ()),
    ]
    assert without_markers(text, citations) == "Pods run containers. Nodes run pods . Nobody knows."


def test_version_numbers_and_file_names_end_no_sentence() -> None:
    text, citations = cited("Release v1.31 reads kube.yaml first [1].\nIt is quick.")
    assert [each.cited for each in statements(text, citations)] == [(1,), ()]


def test_a_marker_alone_on_a_line_is_the_sentences_before_it() -> None:
    text, citations = cited("Pods run containers.\n[2]\nNodes run pods.")
    assert [each.cited for each in statements(text, citations)] == [(2,), ()]


@given(st.text(alphabet="ab .!?\n[1]2’”", max_size=60))
def test_no_citation_is_lost_and_none_is_counted_twice(raw: str) -> None:
    text, citations = cited(raw)
    found = statements(text, citations)
    if found and not citations:
        assert all(not each.cited for each in found)
    assert {number for each in found for number in each.cited} <= {each.number for each in citations}
    assert all("[1]" not in each.text for each in found) or "[1]" in without_markers(text, citations)
