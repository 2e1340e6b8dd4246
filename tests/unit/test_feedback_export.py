"""Feedback for other tools: pairs for tuning and a test set, which share no query."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rag.errors import BadInput
from rag.feedback import Feedback, GivenPassage
from serve.feedback_export import everything, is_test, lines, pairs, write, write_dataset

TRAIN = next(each for each in (f"question {number}" for number in range(99)) if not is_test(each))
TEST = next(each for each in (f"question {number}" for number in range(99)) if is_test(each))


def rated(query: str, rating: str = "up", *passages: GivenPassage, **fields: object) -> Feedback:
    said = Feedback(
        id="",
        answer_id=f"chatcmpl-{query}-{rating}",
        rating="up",
        comment="",
        question="and that?",
        searched=query,
        answer="That [1].",
        collection="documents",
        passages=passages,
        verified=True,
        caller="key",
        groups=(),
        created=12.5,
    )
    return replace(said, rating=rating, **fields)  # type: ignore[arg-type]


def passage(document: str, cited: bool = True, text: str | None = "Some text.") -> GivenPassage:
    return GivenPassage(f"id-of-{document}", document, cited, text)


class TestPairs:
    def test_each_passage_that_a_good_answer_cites_answers_what_was_searched(self) -> None:
        given = rated(TRAIN, "up", passage("a", text="Text A."), passage("b", cited=False), passage("c"))
        found, done = pairs([given])
        assert found[0] == {
            "query": TRAIN,
            "positive_document": "a",
            "positive_text": "Text A.",
            "negative_documents": [],
            "rating": "up",
            "answer_id": given.answer_id,
            "created": 12.5,
        }
        assert [each["positive_document"] for each in found] == ["a", "c"]
        assert done.written == 2

    def test_what_bad_answers_alone_cite_speaks_against(self) -> None:
        good = rated(TRAIN, "up", passage("a"))
        bad = rated(TRAIN, "down", passage("a"), passage("b"), passage("c", cited=False))
        other = rated(f"{TRAIN}?", "down", passage("d"))
        [pair] = pairs([good, bad, other])[0]
        assert pair["negative_documents"] == ["b"]

    def test_what_can_be_no_pair_is_counted(self) -> None:
        said = [
            rated(TRAIN, "up", passage("a", text=None), passage("b")),
            rated(TRAIN, "up", passage("a", cited=False)),
            rated(TEST, "up", passage("a")),
            rated(TRAIN, "down", passage("a")),
        ]
        found, done = pairs(said)
        assert [each["positive_document"] for each in found] == ["b"]
        assert done.left_out == {
            "of the test split": 1,
            "without a citation": 1,
            "a passage that is no longer indexed": 1,
        }


class TestDataset:
    def test_its_judgements_are_what_good_answers_cite(self, tmp_path: Path) -> None:
        said = [
            rated(TRAIN, "up", passage("upload:b"), passage("upload:a")),
            rated(TRAIN, "up", passage("upload:a"), caller="another"),
            rated(TRAIN, "down", passage("upload:c")),
            rated(TEST, "up", passage("upload:d")),
            rated("elsewhere", "up", passage("upload:e"), collection="kitchen"),
            rated("uncited", "up", passage("upload:f", cited=False)),
        ]
        done = write_dataset(tmp_path / "rated", said, "documents")
        assert (done.written, done.left_out) == (2, {"of another collection": 1, "without a citation": 1})
        queries = [json.loads(each) for each in (tmp_path / "rated/queries.jsonl").read_text().splitlines()]
        ids = {each["text"]: each["_id"] for each in queries}
        assert ids.keys() == {TRAIN, TEST}
        train = (tmp_path / "rated/qrels/train.tsv").read_text().splitlines()
        assert train[1:] == [f"{ids[TRAIN]}\tupload:a\t1", f"{ids[TRAIN]}\tupload:b\t1"]
        assert (tmp_path / "rated/qrels/test.tsv").read_text().splitlines()[1:] == [f"{ids[TEST]}\tupload:d\t1"]
        assert json.loads((tmp_path / "rated/dataset.json").read_text())["collection"] == "documents"

    def test_no_query_is_both_trained_and_tested_on(self, tmp_path: Path) -> None:
        said = [rated(f"question {number}", "up", passage("upload:a")) for number in range(60)]
        write_dataset(tmp_path, said, "documents")
        queries = [json.loads(each) for each in (tmp_path / "queries.jsonl").read_text().splitlines()]
        text = {each["_id"]: each["text"] for each in queries}
        tested = {text[row.split("\t")[0]] for row in (tmp_path / "qrels/test.tsv").read_text().splitlines()[1:]}
        trained = {each["query"] for each in pairs(said)[0]}
        assert tested
        assert trained
        assert not tested & trained
        assert tested | trained == {each.searched for each in said}

    def test_written_again_it_holds_no_split_of_before(self, tmp_path: Path) -> None:
        write_dataset(tmp_path, [rated(TEST, "up", passage("upload:a"))], "documents")
        write_dataset(tmp_path, [rated(TRAIN, "up", passage("upload:a"))], "documents")
        assert not (tmp_path / "qrels/test.tsv").exists()

    def test_another_dataset_is_not_written_over(self, tmp_path: Path) -> None:
        (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "mine"}\n')
        with pytest.raises(BadInput, match="--out"):
            write_dataset(tmp_path, [rated(TRAIN, "up", passage("upload:a"))], "documents")
        assert "mine" in (tmp_path / "queries.jsonl").read_text()

    def test_without_a_question_it_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="no question"):
            write_dataset(tmp_path / "rated", [rated(TRAIN, "down", passage("upload:a"))], "documents")
        assert not (tmp_path / "rated").exists()


def test_all_that_is_known_is_one_object_a_line(tmp_path: Path) -> None:
    said = [rated(TRAIN, "up", passage("a")), rated("è\n", "down")]
    write(tmp_path / "new" / "all.jsonl", lines(everything(said)))
    found = [json.loads(each) for each in (tmp_path / "new" / "all.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [each["searched"] for each in found] == [TRAIN, "è\n"]
    assert found[0]["passages"] == [{"id": "id-of-a", "document": "a", "cited": True, "text": "Some text."}]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--out"):
        write(tmp_path, "text")
