"""What is asked is read from a dataset; answers are kept so that an interrupted evaluation goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eval.answers.journal import Given, Journal, Source
from eval.answers.questions import Asked, open_questions
from eval.answers.scoring import score
from eval.errors import DatasetError
from rag.errors import BadInput
from rag.schema import Citation, Message


def dataset(folder: Path, *queries: Mapping[str, Any], judged: tuple[str, ...] = ("q1",)) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "title": "T", "text": "Pods run containers."}\n')
    (folder / "queries.jsonl").write_text("".join(json.dumps(each) + "\n" for each in queries))
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "qrels" / "test.tsv").write_text("q\td\tg\n" + "".join(f"{each}\td1\t1\n" for each in judged))
    return folder


def query(identity: str, **metadata: Any) -> dict[str, Any]:
    return {"_id": identity, "text": f"What is {identity}?", "metadata": metadata}


def test_gold_answers_are_read_in_every_form(tmp_path: Path) -> None:
    forms = {
        "q1": {"answers": [{"text": "pods", "answer_start": 3}, {"text": "pods", "answer_start": 9}]},
        "q2": {"answers": ["pods", "jobs"]},
        "q3": {"answer": "pods"},
        "q4": {"reference_answer": "They are pods."},
    }
    folder = dataset(tmp_path / "d", *(query(name, **each) for name, each in forms.items()), judged=tuple(forms))
    gold = {each.id: each.gold for each in open_questions(folder).asked}
    assert gold == {"q1": ("pods",), "q2": ("pods", "jobs"), "q3": ("pods",), "q4": ("They are pods.",)}


def test_unanswerable_questions_need_no_judgement_and_unknown_ones_are_counted(tmp_path: Path) -> None:
    folder = dataset(
        tmp_path / "d",
        query("q1"),
        query("q2", answerable=False),
        query("q3", answerability=["UNANSWERABLE"]),
        query("q4", answerability="underspecified"),
        query("q5"),
    )
    found = open_questions(folder)
    assert [each.kind for each in found.asked] == ["answerable", "unanswerable", "unanswerable", "underspecified"]
    assert found.unknown == 1


def test_questions_of_another_split_are_not_asked(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", query("q1"), query("q2", answers=["x"]))
    (folder / "qrels" / "train.tsv").write_text("q2\td1\t1\n")
    found = open_questions(folder)
    assert ([each.id for each in found.asked], found.unknown) == (["q1"], 0)


def test_history_is_read_with_its_speakers(tmp_path: Path) -> None:
    turns = [{"speaker": "user", "text": "Hi"}, {"speaker": "agent", "text": "Hello"}]
    asked = open_questions(dataset(tmp_path / "d", query("q1", history=turns))).asked[0]
    assert asked.history == (Message("user", "Hi"), Message("assistant", "Hello"))
    with pytest.raises(DatasetError, match="'q1' has a turn"):
        open_questions(dataset(tmp_path / "d", query("q1", history=[{"speaker": "ghost", "text": "Boo"}])))


@pytest.mark.parametrize("metadata", [{"answerable": "no"}, {"answerability": ["MAYBE"]}])
def test_answerability_that_says_nothing_known_is_an_error(tmp_path: Path, metadata: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match="'q1' has"):
        open_questions(dataset(tmp_path / "d", query("q1", **metadata)))


def test_a_seeded_share_of_questions_loses_its_documents(tmp_path: Path) -> None:
    names = tuple(f"q{number}" for number in range(200))
    folder = dataset(tmp_path / "d", *map(query, names), judged=names)
    half = open_questions(folder, hide=0.5, seed=1)
    hidden = {each.id for each in half.asked if each.hidden}
    assert 70 < len(hidden) < 130
    assert all(each.kind == "unanswerable" for each in half.asked if each.hidden)
    assert {each.id for each in open_questions(folder, hide=0.5, seed=1).asked if each.hidden} == hidden
    assert {each.id for each in open_questions(folder, hide=0.5, seed=2).asked if each.hidden} != hidden
    assert half.hash != open_questions(folder).hash


def test_a_limit_keeps_the_shares_of_the_kinds(tmp_path: Path) -> None:
    names = tuple(f"q{number}" for number in range(20))
    bad = [query(f"u{number}", answerable=False) for number in range(20)]
    found = open_questions(dataset(tmp_path / "d", *map(query, names), *bad, judged=names)).first(10)
    assert sum(each.kind == "unanswerable" for each in found.asked) == 5


GIVEN = Given("q1", "Pods [1].", False, (Citation(1, "p", 5, 8),), (Source("d1", "Pods"),), 0.5, "stop", {"total": 2.0})


def test_kept_answers_come_back_and_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Journal(path, {"model": "m"}).add(GIVEN)
    with path.open("a") as file:
        file.write('{"id": "q2", "te')
    again = Journal(path, {"model": "m"})
    assert again.answers == {"q1": GIVEN}
    again.add(Given("q2", "x", True))
    assert list(Journal(path, {"model": "m"}).answers) == ["q1", "q2"]


def test_answers_of_another_model_are_not_mixed_in(tmp_path: Path) -> None:
    Journal(tmp_path / "answers.jsonl", {"model": "m"}).add(GIVEN)
    with pytest.raises(BadInput, match="other settings"):
        Journal(tmp_path / "answers.jsonl", {"model": "n"})


def test_a_refusal_of_an_answerable_question_scores_nothing_and_has_no_citations_to_measure() -> None:
    asked = [Asked("q1", "?", "answerable", gold=("pods",), relevant=frozenset({"d1"}))]
    found = score(asked, {"q1": Given("q1", "I don't know.", False)})
    assert (found.metrics["F1"], found.metrics["Answered"]) == (0.0, 0.0)
    assert "CitationRecall" not in found.metrics


def test_a_right_answer_with_its_citation_scores_in_full() -> None:
    asked = [Asked("q1", "?", "answerable", gold=("pods",), relevant=frozenset({"d1"}))]
    found = score(asked, {"q1": GIVEN})
    wanted = ("F1", "EM", "Contains", "CitationRecall", "CitationPrecision", "CitedRelevant", "Grounded", "Supplied")
    assert {name: found.metrics[name] for name in wanted} == dict.fromkeys(wanted, 1.0)


def test_a_question_that_calls_for_a_question_back_counts_on_neither_side() -> None:
    asked = [Asked("q1", "?", "underspecified"), Asked("q2", "?", "unanswerable")]
    found = score(asked, {"q1": Given("q1", "", True), "q2": Given("q2", "", True)}, retrieval_only=True)
    assert found.metrics == {"AbstentionF1": 1.0, "Refused": 1.0}
    assert found.facts["refused"] == {"underspecified": 1, "unanswerable": 1}
