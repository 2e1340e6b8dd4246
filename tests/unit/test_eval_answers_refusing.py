"""Refusals are recognised and counted; how far relevance tells them apart; how a judge agrees with people."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.answers.judging import agreement, lexical_agreement, parse_verdict, read_labels
from eval.answers.refusing import abstention, f1_interval, is_refusal, separation
from eval.errors import DatasetError
from rag.prompt import ABSTENTION


@pytest.mark.parametrize(
    "text",
    [
        ABSTENTION,
        "",
        "I don't know.",
        "Sorry, but I don’t have that information.",
        "The passages do not mention who the last owner was.",
        "I cannot answer this question.",
        "There is no information on that in the documents.",
    ],
)
def test_words_of_refusal_are_a_refusal(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "Pods run containers [1].",
        "Pods run containers. I don't know more.",
        "You cannot delete it while it runs.",
        "The documents say that it is removed.",
    ],
)
def test_an_answer_is_no_refusal(text: str) -> None:
    assert not is_refusal(text)


def test_abstention_is_counted_on_both_sides() -> None:
    can = {"a": True, "b": True, "c": True, "d": False, "e": False}
    found = abstention(can, {"a": False, "b": False, "c": True, "d": True, "e": False})
    assert found.recall == 0.5
    assert found.precision == 0.5
    assert found.f1 == 0.5
    assert found.false_refusals == pytest.approx(1 / 3)


def test_without_unanswerable_questions_there_is_no_recall() -> None:
    found = abstention({"a": True}, {"a": False})
    assert (found.recall, found.precision, found.f1, found.false_refusals) == (None, None, None, 0.0)


def test_the_interval_of_f1_holds_it_and_is_always_the_same() -> None:
    can = {str(number): number % 2 == 0 for number in range(40)}
    refused = {str(number): number % 3 == 0 for number in range(40)}
    low, high = f1_interval(can, refused)
    value = abstention(can, refused).f1
    assert value is not None
    assert 0 <= low < value < high <= 1
    assert f1_interval(can, refused) == (low, high)


def test_separation_is_the_chance_to_be_above() -> None:
    assert separation([0.9, 0.8], [0.1]) == 1.0
    assert separation([0.5], [0.5]) == 0.5
    assert separation([0.2, 0.6], [0.4]) == 0.5
    assert separation([], [0.4]) is None


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("supported", True),
        (" Supported.\n", True),
        ("**unsupported**", False),
        ("not supported", None),
        ("supported or unsupported", None),
        ("The sentence is supported", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_strictly(reply: str, verdict: bool | None) -> None:
    assert parse_verdict(reply) is verdict


def test_kappa_takes_chance_out_of_agreement() -> None:
    # Cohen's own kind of table: 20 yes-yes, 15 no-no, 5 and 10 of the others: 0.7 observed, 0.5 by chance.
    people = [True] * 25 + [False] * 25
    said: list[bool | None] = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    found = agreement(people, said)
    assert found.agreement == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)


def test_missing_verdicts_are_counted_and_left_out() -> None:
    found = agreement([True, False, True], [True, None, None])
    assert (found.pairs, found.judged, found.agreement, found.kappa) == (3, 1, 1.0, None)


def test_labels_are_read_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"sentence": "Pods run containers.", "passage": "Pods run containers.", "supported": true}\n')
    assert lexical_agreement(read_labels(file)).agreement == 1.0
    file.write_text('{"sentence": "x", "passage": "y", "supported": "yes"}\n')
    with pytest.raises(DatasetError, match="line 1"):
        read_labels(file)
