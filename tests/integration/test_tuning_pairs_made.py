"""`librarian tune pairs` with the real ingestion, encoder and index, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import librarian
from rag.errors import BadInput, LibrarianError
from rag.tuning.errors import BadPairs
from rag.tuning.pairs import PairSet, read_pairs

TEXTS = {
    "volcano": "A volcano is a rupture in the crust of a planet that lets hot lava, ash and gases escape.",
    "glacier": "A glacier is a persistent body of dense ice that moves slowly under its own weight.",
    "iceberg": "An iceberg is a piece of fresh-water ice that broke off a glacier and floats in open water.",
    "desert": "A desert is a barren area of landscape where little rain falls and few plants can live.",
    "reef": "A coral reef is an underwater ecosystem built by colonies of coral polyps held by calcium carbonate.",
    "delta": "A river delta is a landform shaped by deposition of sediment where a river enters slower water.",
}
QUESTIONS = {
    "q1": ("Where does lava come out?", ["volcano"]),
    "q2": ("Which body of ice moves under its weight?", ["glacier", "iceberg"]),
    "q3": ("What do coral polyps build?", ["reef"]),
    "q4": ("Where does it hardly rain?", ["desert"]),
}


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "earth"
    (folder / "qrels").mkdir(parents=True)
    records = [json.dumps({"_id": name, "title": name.title(), "text": text}) for name, text in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(records) + "\n")
    lines = [json.dumps({"_id": query, "text": text}) for query, (text, _) in QUESTIONS.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n")
    rows = "".join(f"{query}\t{each}\t1\n" for query, (_, documents) in QUESTIONS.items() for each in documents)
    (folder / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return folder


def pairs(*arguments: str | Path) -> PairSet:
    """The whole command, in this process; a known error comes as itself."""
    done = CliRunner().invoke(librarian.build(), ["tune", "pairs", *map(str, arguments), "--out", "pairs", "--json"])
    if isinstance(done.exception, LibrarianError):
        raise done.exception
    assert done.exit_code == 0, done.output
    found = read_pairs(Path("pairs"))
    card: dict[str, Any] = json.loads(done.stdout)
    assert card["sha256"] == found.card.sha256
    return found


def test_judgements_become_pairs_with_hard_negatives_and_a_side_apart(clean_environment: Path, beir: Path) -> None:
    found = pairs("--qrels", beir, "--held-out", "0.4", "--seed", "3", "--negatives", "2")
    trained = {each.document for each in found.pairs}
    apart = {document for each in found.held_out for document in each.relevant}
    assert trained
    assert apart
    assert not trained & apart
    assert trained | apart == set(TEXTS) - {"delta"}
    for pair in found.pairs:
        assert pair.positive == f"{pair.document.title()}\n{TEXTS[pair.document]}"
        assert pair.negatives
        assert pair.positive not in pair.negatives
        assert not {text.partition("\n")[0].lower() for text in pair.negatives} & apart
    for question in found.held_out:
        assert set(question.relevant) <= {each.document for each in question.candidates}
    ice = [each for each in found.pairs if "ice" in each.query]
    assert all("Glacier\n" not in "".join(each.negatives) for each in ice)


def test_the_same_seed_makes_the_same_pairs(clean_environment: Path, beir: Path) -> None:
    first = pairs("--qrels", beir, "--held-out", "0.4", "--seed", "3")
    again = pairs("--qrels", beir, "--held-out", "0.4", "--seed", "3")
    assert first.card.sha256 == again.card.sha256
    assert first.card.held_out_sha256 == again.card.held_out_sha256


def test_a_wide_margin_leaves_no_negative(clean_environment: Path, beir: Path) -> None:
    near = pairs("--qrels", beir, "--held-out", "0", "--margin", "0")
    far = pairs("--qrels", beir, "--held-out", "0", "--margin", "0.9")
    assert sum(len(each.negatives) for each in far.pairs) < sum(len(each.negatives) for each in near.pairs)


def test_headings_become_questions_that_their_own_text_answers(clean_environment: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    manifest = "Put its manifest into the folder that the kubelet reads, and wait until it runs. " * 9
    journal = "Look at the journal of the kubelet on that node, for it says what went wrong. " * 9
    drain = "Move all workloads to other machines first, one after the other, and watch them. " * 9
    (docs / "pods.md").write_text(
        f"# Pods\n\n## Creating a static pod\n\n{manifest}\n\n## Debugging a static pod\n\n{journal}\n"
    )
    (docs / "nodes.md").write_text(f"# Nodes\n\n## Draining a node\n\n{drain}\n")
    found = pairs("--structure", "10", "--documents", docs, "--held-out", "0")
    made = next(each for each in found.pairs if each.query.startswith("How do I create a static pod"))
    assert made.positive.startswith("Pods\nPut its manifest")
    assert made.negatives
    assert all("Draining" not in each and "Creating" not in each for each in made.negatives)


def test_feedback_on_the_own_collection_becomes_pairs(clean_environment: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in TEXTS.items():
        (docs / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n")
    done = CliRunner().invoke(librarian.build(), ["ingest", str(docs)])
    assert done.exit_code == 0, done.output
    line = {
        "query": "What moves slowly?",
        "positive_document": f"file://{docs}/glacier.md",
        "positive_text": TEXTS["glacier"],
        "negative_documents": [f"file://{docs}/delta.md"],
        "rating": 1,
    }
    (tmp_path / "feedback.jsonl").write_text(json.dumps(line))
    found = pairs("--feedback", tmp_path / "feedback.jsonl", "--held-out", "0")
    (made,) = found.pairs
    assert made.positive == TEXTS["glacier"]
    assert made.negatives[0] == f"Delta\n# Delta\n\n{TEXTS['delta']}"


def test_nothing_to_make_pairs_of_is_said(clean_environment: Path, beir: Path) -> None:
    with pytest.raises(BadInput, match="--qrels DATASET"):
        pairs("--documents", beir)
    with pytest.raises(BadPairs, match="no pair could be made"):
        pairs("--qrels", beir, "--held-out", "0.9", "--seed", "1")
