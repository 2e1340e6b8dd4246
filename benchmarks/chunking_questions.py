"""The chunking corpora's questions for a whole search: how much of the gold spans its passages hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from chunking_scoring import Piece, Question, load, score

from eval.datasets import Dataset, Query, content_hash
from rag.schema import Passage

GOLD = "gold"  # of a query's metadata: the Question


def questions(folder: Path) -> Dataset:
    """The 472 questions; each corpus is one document."""
    _, found = load(folder)
    queries = tuple(Query(f"q{number}", each.text, {GOLD: each}) for number, each in enumerate(found))
    qrels = {query.id: {f"{each.corpus}.md": 1} for query, each in zip(queries, found, strict=True)}
    return Dataset(
        name="chunking-corpora",
        folder=folder,
        source=folder / "corpora",
        split="all",
        queries=queries,
        qrels=qrels,
        synthetic=False,
        beir=False,
        hash=content_hash(queries, qrels),
    )


def recall(query: Query, passages: Iterable[Passage], names: Mapping[str, str]) -> float:
    """The share of the gold characters that are in at least one passage; `names` tells documents by their URIs."""
    gold = query.metadata[GOLD]
    if not isinstance(gold, Question):
        raise TypeError(f"query {query.id} has no gold spans")
    pieces = [Piece(names[each.uri].removesuffix(".md"), each.start, each.end, "") for each in passages]
    return score(gold, pieces).recall if pieces else 0.0
