"""`librarian feedback`: what it lists and exports, and that `librarian eval` reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.datasets import open_dataset
from eval.errors import DatasetError
from eval.indexing import existing
from rag.feedback import Feedback, FeedbackStore, GivenPassage, Rating
from rag.index import open_index
from rag.records import Records
from rag.schema import Scope
from rag.settings import Settings
from serve.feedback_export import is_test
from tests.integration.api_feeding import feeding
from tests.integration.command_line.running import Ran, parsed, refused, run

TEXTS = {"a b.md": "A probe asks a container.", "teas/green.md": "Green tea is brewed at 80 degrees."}
URIS = ("upload:a%20b.md", "upload:teas/green.md")
QUERIES = [f"What does probe {number} do?" for number in range(12)]


def said(query: str, chunk: str, uri: str, rating: Rating = "up", comment: str = "") -> Feedback:
    return Feedback(
        id="",
        answer_id=f"chatcmpl-{query}",
        rating=rating,
        comment=comment,
        question=query,
        searched=query,
        answer="That [1].",
        collection="documents",
        passages=(GivenPassage(chunk, uri, True),),
        verified=not comment,
        caller="key",
        groups=(),
        created=0.0,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two documents, and what was said of answers from them."""
    folder = tmp_path_factory.mktemp("data")
    with feeding(folder) as api:
        api.done(api.send_text(*({"id": name, "text": text} for name, text in TEXTS.items())))
        chunks = {each.payload["doc"]: each.id for each in api.index.scroll("documents", Scope.owner())}
        store = FeedbackStore(Records(api.index), 365)
        for number, query in enumerate(QUERIES):
            uri = URIS[number % 2]
            store.put(said(query, chunks[uri], uri), "default")
        store.put(said("And tea?", chunks[URIS[1]], URIS[1], "down", "No, \x1b[31mnever"), "default")
        store.put(said("Of another tenant?", chunks[URIS[0]], URIS[0]), "rival")
    return folder


def feedback(folder: Path, *arguments: str) -> Ran:
    return run(folder, "feedback", *arguments, LIBRARIAN_DATA_DIR=str(folder))


def test_it_lists_what_was_said_in_the_tenant(folder: Path) -> None:
    ran = feedback(folder, "list", "--rating", "down")
    assert (ran.code, ran.err) == (0, "")
    first, comment, cited = ran.out.splitlines()
    assert "down  And tea?" in first
    assert "as told by the caller" in first
    assert comment == "    said: No,  [31mnever"
    assert cited == f"    cites {URIS[1]}"
    found = parsed(feedback(folder, "list", "--limit", "100", "--json"))
    assert {each["question"] for each in found} == {*QUERIES, "And tea?"}
    assert parsed(feedback(folder, "list", "--tenant", "nobody", "--json")) == []


def test_pairs_hold_the_passages_texts_as_they_are_indexed(folder: Path) -> None:
    pairs = [json.loads(each) for each in feedback(folder, "export", "--format", "pairs").out.splitlines()]
    assert {each["query"] for each in pairs} == {each for each in QUERIES if not is_test(each)}
    assert {each["positive_text"] for each in pairs} == set(TEXTS.values())
    assert {each["positive_document"] for each in pairs} == set(URIS)


def test_an_export_to_stdout_tells_beside_it_what_is_in_it(folder: Path) -> None:
    ran = feedback(folder, "export", "--format", "pairs")
    assert ran.err.splitlines()[0] == f"{len(ran.out.splitlines())} pairs written to stdout"
    assert "left out: " in ran.err
    none = feedback(folder, "export", "--format", "pairs", "--tenant", "nobody")
    assert (none.code, none.out, none.err) == (0, "", "0 pairs written to stdout\n")


def test_all_that_is_known_goes_into_a_file(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    told = parsed(feedback(folder, "export", "-f", "jsonl", "--rating", "down", "--out", str(file), "--json"))
    assert told == {"out": str(file), "written": 1, "left_out": {}}
    [line] = file.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["comment"] == "No, \x1b[31mnever"
    ran = feedback(folder, "export", "-f", "jsonl", "--verified", "--out", str(file))
    assert ran.out == f"12 ratings written to {file}\n"


def test_a_test_set_is_one_that_eval_reads(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "rated"
    assert f"12 questions written to {out}" in feedback(folder, "export", "--format", "eval", "--out", str(out)).out
    queries, judged = set(), set()
    index = open_index(Settings(data_dir=folder))
    try:
        for split in ("train", "test"):
            dataset = open_dataset(out, split)
            assert dataset.collection == "documents"
            found = existing(index, Settings(data_dir=folder), dataset, dataset.collection)
            assert found.missing == frozenset()
            queries |= {each.text for each in dataset.queries}
            judged |= dataset.judged_documents
    finally:
        index.close()
    assert queries == set(QUERIES)
    assert judged == set(URIS)


def test_what_cannot_be_is_said_in_one_line(folder: Path, tmp_path: Path) -> None:
    refused(feedback(folder, "export", "--format", "eval"), 2, "--out FOLDER")
    refused(feedback(folder, "export", "--format", "pairs", "--rating", "down"), 2, "--rating")
    none = feedback(folder, "export", "--format", "eval", "--out", str(tmp_path), "--collection", "kitchen")
    refused(none, 2, "kitchen")


def test_a_dataset_that_names_nonsense_for_its_collection_is_refused(folder: Path, tmp_path: Path) -> None:
    feedback(folder, "export", "--format", "eval", "--out", str(tmp_path))
    (tmp_path / "dataset.json").write_text('{"collection": 3}')
    with pytest.raises(DatasetError, match="collection"):
        open_dataset(tmp_path, "train")
