"""A dataset is read as BEIR and people write it, and whatever is wrong in it is said in one line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import open_dataset
from eval.errors import DatasetError
from eval.judgements import read_qrels

HEAD = "query-id\tcorpus-id\tscore\n"


def lines(path: Path, *objects: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in objects))


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """Three documents, three queries, two splits."""
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    lines(folder / "corpus.jsonl", *({"_id": f"d{n}", "title": f"T{n}", "text": f"Text {n}."} for n in (1, 2, 3)))
    lines(
        folder / "queries.jsonl",
        {"_id": "q1", "text": "One?", "metadata": {"answers": ["1"]}},
        {"_id": "q2", "text": "Two?"},
        {"_id": "q3", "text": "Three?"},
    )
    (folder / "qrels" / "test.tsv").write_text(f"{HEAD}q1\td1\t2\nq1\td2\t0\nq2\td2\t1\n")
    (folder / "qrels" / "train.tsv").write_text(f"{HEAD}q3\td3\t1\n")
    return folder


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder of documents with queries that name them by path."""
    folder = tmp_path / "handbook"
    (folder / "pages" / "a b").mkdir(parents=True)
    (folder / "pages" / "a b" / "one.md").write_text("# One")
    (folder / "pages" / "two.md").write_text("# Two")
    lines(folder / "queries.jsonl", {"id": 1, "query": "One?"}, {"id": 2, "query": "Two?"})
    (folder / "qrels.tsv").write_text(f"{HEAD}1\ta b/one.md\t1\n2\ttwo.md\t1\n")
    return folder


def error_of(folder: Path, split: str | None = None) -> str:
    with pytest.raises(DatasetError) as raised:
        open_dataset(folder, split)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_beir_folder_is_read_with_its_graded_judgements(beir: Path) -> None:
    found = open_dataset(beir)
    assert (found.name, found.split, found.beir, found.synthetic) == ("small", "test", True, False)
    assert [(each.id, each.text) for each in found.queries] == [("q1", "One?"), ("q2", "Two?")]
    assert found.queries[0].metadata == {"answers": ["1"]}
    assert found.qrels == {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1}}
    assert (found.unjudged, found.judgements, found.judged_documents) == (1, 3, {"d1", "d2"})


def test_another_split_has_other_queries_and_another_hash(beir: Path) -> None:
    train = open_dataset(beir, "train")
    assert [each.id for each in train.queries] == ["q3"]
    assert train.hash != open_dataset(beir).hash


def test_the_hash_is_of_the_content_and_not_of_the_order_or_the_place(beir: Path, tmp_path: Path) -> None:
    before = open_dataset(beir).hash
    queries = (beir / "queries.jsonl").read_text().splitlines()
    (beir / "queries.jsonl").write_text("\n".join(reversed(queries)) + "\n")
    beir.rename(tmp_path / "moved")
    assert open_dataset(tmp_path / "moved").hash == before
    text = (tmp_path / "moved" / "queries.jsonl").read_text()
    (tmp_path / "moved" / "queries.jsonl").write_text(text.replace("One?", "One!"))
    assert open_dataset(tmp_path / "moved").hash != before


def test_the_first_queries_are_a_set_of_their_own(beir: Path) -> None:
    whole = open_dataset(beir)
    first = whole.first(1)
    assert list(first.qrels) == ["q1"]
    assert first.hash != whole.hash
    assert whole.first(2) is whole


def test_a_folder_of_documents_names_them_by_path(pages: Path) -> None:
    found = open_dataset(pages)
    assert (found.split, found.beir, found.source) == ("all", False, (pages / "pages").resolve())
    assert found.judged_documents == {"a b/one.md", "two.md"}


def test_documents_may_lie_beside_the_queries_or_where_dataset_json_says(pages: Path) -> None:
    (pages / "pages").rename(pages / "wiki")
    (pages / "dataset.json").write_text('{"documents": "wiki", "name": "Handbook", "synthetic": true}')
    found = open_dataset(pages)
    assert (found.name, found.source.name, found.synthetic) == ("Handbook", "wiki", True)
    (pages / "dataset.json").unlink()
    (pages / "qrels.tsv").write_text("1\twiki/two.md\t1\n")
    assert open_dataset(pages).source == pages.resolve()


def test_a_dataset_cannot_name_documents_outside_it(pages: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("# Secret")
    (pages / "dataset.json").write_text('{"documents": ".."}')
    assert "no folder in it" in error_of(pages)
    (pages / "dataset.json").unlink()
    (pages / "qrels.tsv").write_text("1\t../../secret.md\t1\n1\ttwo.md\t1\n")
    assert "names 1 documents that are not there" in error_of(pages)


def test_an_unknown_split_is_answered_with_those_there(beir: Path) -> None:
    assert "no split 'dev'; there is: test, train" in error_of(beir, "dev")


def test_the_only_split_needs_no_name(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").unlink()
    assert open_dataset(beir).split == "train"


def test_judgements_of_queries_that_are_not_there_are_counted_and_the_first_named(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").write_text(f"{HEAD}q1\td1\t1\nq8\td1\t1\nq9\td1\t1\n")
    assert "names 2 queries that are not there; the first is 'q8'" in error_of(beir)


def test_judgements_of_documents_that_are_not_there_are_counted_and_the_first_named(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").write_text(f"{HEAD}q1\td1\t1\nq1\td7\t1\n")
    assert "names 1 documents that are not there; the first is 'd7'" in error_of(beir)


def test_judgements_of_another_corpus_are_told(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").write_text(f"{HEAD}q1\tx1\t1\nq2\tx2\t1\n")
    assert "no document in common" in error_of(beir)


def test_a_query_without_a_relevant_document_is_not_evaluated(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").write_text(f"{HEAD}q1\td1\t0\nq2\td2\t1\n")
    found = open_dataset(beir)
    assert ([each.id for each in found.queries], found.hopeless) == (["q2"], 1)
    (beir / "qrels" / "test.tsv").write_text(f"{HEAD}q1\td1\t0\n")
    assert "no relevant document" in error_of(beir)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "line 4 is no JSON"),
        ("[1]", "line 4 is no JSON object"),
        ('{"_id": "q4"}', "line 4 has no text"),
        ('{"_id": "q4", "text": " "}', "line 4 has no text"),
        ('{"text": "Four?"}', "line 4 has no _id"),
        ('{"_id": "q1", "text": "Again?"}', "line 4 repeats the id 'q1'"),
        ("[" * 100_000, "line 4 is no JSON"),
    ],
)
def test_a_malformed_query_is_named_by_its_line(beir: Path, line: str, reason: str) -> None:
    with (beir / "queries.jsonl").open("a") as file:
        file.write(f"{line}\n")
    assert reason in error_of(beir)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["q1\td1"], "line 2"),
        (["q1\td1\t1", "q1\td2\tyes"], "line 3"),
        (["q1\t\t1"], "line 2"),
        (["q1\td1\t1", "q1\td1\t2"], "line 3 judges 'd1' for 'q1' again"),
        ([], "holds no judgements"),
    ],
)
def test_a_malformed_judgement_is_named_by_its_line(beir: Path, rows: Sequence[str], reason: str) -> None:
    (beir / "qrels" / "test.tsv").write_text(HEAD + "".join(f"{each}\n" for each in rows))
    assert reason in error_of(beir)


def test_judgements_may_be_written_as_trec_does_and_without_a_head(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("\ufeffq1 0 d1 2\r\n\r\nq1 0 d2 -1\r\n")
    assert read_qrels(tmp_path / "qrels") == {"q1": {"d1": 2, "d2": -1}}


@pytest.mark.parametrize("missing", ["queries.jsonl", "qrels"])
def test_a_folder_that_is_no_dataset_is_told_what_it_lacks(beir: Path, missing: str) -> None:
    path = beir / missing
    path.rename(path.with_name("elsewhere"))
    assert missing in error_of(beir)


def test_a_dataset_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "is no folder" in error_of(tmp_path / "nowhere")
