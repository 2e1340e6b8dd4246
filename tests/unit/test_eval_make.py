"""Questions from headings and from a model's words: which are made, and which are refused."""

from __future__ import annotations

from random import Random

import pytest

from eval.make.candidates import Section, in_turn, split_of, splits
from eval.make.generating import copies, refused
from eval.make.headings import question_from


def asked(*headings: str, title: str = "The Manual") -> str | None:
    return question_from(title, headings, Random(1))


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        ("What is a Pod template?", "What is a Pod template?"),
        ("3.1 Create a new cluster", "How do I create a new cluster?"),
        ("Debugging via a shell", "How do I debug via a shell?"),
        ("Using `kubectl` drain", "How do I use kubectl drain?"),
        ("Getting container logs", "How do I get container logs?"),
        ("How to restart a node", "How do I restart a node?"),
        ("When to use finalizers", "When should I use finalizers?"),
        ("My pod stays pending", "What should I do when my pod stays pending?"),
        ("Why pods fail {#why}", "Why pods fail?"),
    ],
)
def test_a_heading_becomes_a_question(heading: str, question: str) -> None:
    assert asked(heading) == question


def test_a_noun_is_asked_about_with_its_name_as_it_is() -> None:
    found = asked("API server memory")
    assert found is not None
    assert found.endswith("API server memory?")


def test_a_heading_of_one_word_is_asked_about_within_its_parent() -> None:
    found = asked("Cluster failures", "Mitigations")
    assert found is not None
    assert found.casefold().endswith("mitigations in cluster failures?")


@pytest.mark.parametrize(
    "heading", ["Overview", "What's next", "What’s next", "Before you begin", "1. Introduction", "`"]
)
def test_headings_that_every_document_has_are_left_alone(heading: str) -> None:
    assert asked(heading) is None


def test_an_endless_heading_is_no_question() -> None:
    assert asked("word " * 10_000) is None


PASSAGE = "The kubelet restarts a container when its liveness probe fails three times in a row."


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("What makes the node agent start a broken container again?", None),
        ("The kubelet restarts containers.", "no question mark"),
        ("What is it?", "too few words"),
        ("Which container?\nThe kubelet container restarts?", "more than one line"),
        ("What does the passage say about kubelet probes?", "points at the passage"),
        ("Why does a container when its liveness probe fails restart?", "copies the passage"),
        ("x" * 300 + "?", "too long"),
        ("", "no question mark"),
    ],
)
def test_a_models_question_is_taken_or_refused_with_a_reason(question: str, reason: str | None) -> None:
    assert refused(question, PASSAGE) == reason


def test_five_words_in_a_row_may_be_the_passages() -> None:
    assert not copies("Which container when its liveness probe?", PASSAGE)
    assert copies("Which CONTAINER, when its liveness probe fails?", PASSAGE)


def section(document: str, heading: str) -> Section:
    return Section(document, "T", (heading,), "text")


def test_every_document_has_its_turn_before_any_has_a_second() -> None:
    found = [section("long", str(number)) for number in range(50)] + [section("short", "only")]
    order = list(in_turn(found, seed=3))
    assert {each.document for each in order[:2]} == {"long", "short"}
    assert len(order) == 51
    assert list(in_turn(found, seed=3)) == order


def test_a_document_is_on_one_side_only_and_always_the_same() -> None:
    documents = {f"q{number}": f"d{number % 20}" for number in range(100)}
    found = splits(documents, seed=0)
    assert sorted([*found["test"], *found["train"]]) == sorted(documents)
    assert {documents[each] for each in found["test"]} & {documents[each] for each in found["train"]} == set()
    assert all(split_of(documents[each], 0) == "train" for each in found["train"])


def test_one_document_is_all_test() -> None:
    assert splits({"q1": "d", "q2": "d"}, seed=0) == {"test": ["q1", "q2"], "train": []}
