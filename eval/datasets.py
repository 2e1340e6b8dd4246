"""A dataset: documents, questions, and which documents answer which question.

It is a folder in BEIR's layout (`corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`), or a folder of documents of any
format with the same `queries.jsonl` and `qrels`, which then name documents by their path. `dataset.json`, where there
is one, may say `"name"`, `"documents"` (the sub-folder that holds them) or `"source"` (a folder, or a file of records,
elsewhere, by its absolute path), and `"synthetic": true`. With `"collection"` the documents are those of a collection
that is there already, named by their URIs, and none need to be in the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eval.errors import DatasetError
from eval.judgements import Qrels, read_qrels

CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"
QRELS = "qrels"
FACTS = "dataset.json"
# Where the documents lie in a folder that is no BEIR one, if not in the folder itself.
DOCUMENT_FOLDERS = ("documents", "pages", "docs", "files")
# What the folder holds beside them.
NO_DOCUMENTS = (QUERIES, FACTS, "qrels.*", "qrels/**")
DEFAULT_SPLIT = "test"
WHOLE = "all"  # the split of a dataset that has but one file of judgements


@dataclass(frozen=True, slots=True)
class Query:
    """A question. `metadata` is what its line says beside id and text, such as gold answers or earlier turns."""

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """One split of a dataset: the queries that have judgements, in the file's order.

    `source` is what to ingest. `beir`: it is a file of records, and a document's name is its record's id; else the
    name is the path below `source`. `hash` tells queries and judgements apart from any other set of them.
    `unjudged` counts queries that no judgement names, and `hopeless` those without a relevant document: neither is
    evaluated. `collection`: the one that holds the documents, where the folder does not.
    """

    name: str
    folder: Path
    source: Path
    split: str
    queries: tuple[Query, ...]
    qrels: Qrels
    synthetic: bool
    beir: bool
    hash: str
    unjudged: int = 0
    hopeless: int = 0
    collection: str | None = None

    @property
    def judged_documents(self) -> frozenset[str]:
        """Every document that a judgement names."""
        return frozenset(document for judged in self.qrels.values() for document in judged)

    @property
    def judgements(self) -> int:
        """How many there are."""
        return sum(len(judged) for judged in self.qrels.values())

    def first(self, count: int) -> Dataset:
        """The same with its first `count` queries: another set, with a hash of its own."""
        if count >= len(self.queries):
            return self
        queries = self.queries[:count]
        qrels = {each.id: self.qrels[each.id] for each in queries}
        return replace(self, queries=queries, qrels=qrels, hash=content_hash(queries, qrels))


def open_dataset(folder: Path, split: str | None = None) -> Dataset:
    """Read and check a dataset. Raises DatasetError, one line that names the file and what is wrong in it.

    `split` None: `test`, or the only one there is.
    """
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder: name one with {QUERIES} and {QRELS}.")
    facts = _facts(folder)
    queries = list(read_queries(folder / QUERIES))
    split, file = _split(folder, split)
    qrels = read_qrels(file)
    collection = _collection(folder, facts)
    elsewhere = _elsewhere(folder, facts)
    beir = elsewhere.is_file() if elsewhere else (folder / CORPUS).is_file() and "documents" not in facts
    source = elsewhere or (folder / CORPUS if beir else _documents(folder, facts))
    _check_named(file, "queries", qrels, {each.id for each in queries})
    if collection is None and not _check_documents(source, beir, file, qrels):
        raise DatasetError(f"{file} and {source} have no document in common: the judgements are of another corpus.")
    judged = [each for each in queries if each.id in qrels]
    kept = tuple(each for each in judged if any(grade > 0 for grade in qrels[each.id].values()))
    if not kept:
        raise DatasetError(f"{file} names no relevant document for any query of {QUERIES}.")
    mine = {each.id: qrels[each.id] for each in kept}
    return Dataset(
        name=str(facts.get("name") or folder.name),
        folder=folder,
        source=source,
        split=split,
        queries=kept,
        qrels=mine,
        synthetic=facts.get("synthetic") is True,
        beir=beir,
        hash=content_hash(kept, mine),
        unjudged=len(queries) - len(judged),
        hopeless=len(judged) - len(kept),
        collection=collection,
    )


def read_queries(path: Path) -> Iterator[Query]:
    """The questions of a `queries.jsonl`: `_id` and `text`, the rest as metadata. Raises DatasetError."""
    seen: set[str] = set()
    for number, found in read_objects(path):
        identity, text = _first(found, "_id", "id", "query_id"), _first(found, "text", "query", "question")
        if not identity or not text or not text.strip():
            raise DatasetError(f"{path} line {number} has no {'text' if identity else '_id'}.")
        if identity in seen:
            raise DatasetError(f"{path} line {number} repeats the id '{identity}'.")
        seen.add(identity)
        given = found.get("metadata")
        own = {key: value for key, value in found.items() if key not in _OWN}
        yield Query(identity, text, {**own, **(given if isinstance(given, dict) else {})})


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each JSON object of a file of them, one a line, with the line's number from 1. Raises DatasetError."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.isspace():
                    continue
                try:
                    found = json.loads(line.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))
                except (ValueError, RecursionError):
                    raise DatasetError(f"{path} line {number} is no JSON in UTF-8.") from None
                if not isinstance(found, dict):
                    raise DatasetError(f"{path} line {number} is no JSON object.")
                yield number, found
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from None


def content_hash(queries: Collection[Query], qrels: Qrels) -> str:
    """SHA-256 (hex) of queries and judgements, whatever the order of their lines."""
    whole = [
        sorted((each.id, each.text) for each in queries),
        sorted((query, sorted(judged.items())) for query, judged in qrels.items()),
    ]
    return hashlib.sha256(json.dumps(whole, ensure_ascii=True).encode()).hexdigest()


_OWN = frozenset({"_id", "id", "query_id", "text", "query", "question", "metadata"})


def _first(found: Mapping[str, Any], *keys: str) -> str | None:
    for key in keys:
        value = found.get(key)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
    return None


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read as JSON: {error}.") from None
    if not isinstance(found, dict):
        raise DatasetError(f"{path} holds no JSON object.")
    return found


def _split(folder: Path, wanted: str | None) -> tuple[str, Path]:
    """The name and the file of the judgements that are meant."""
    there = {each.stem: each for each in sorted((folder / QRELS).glob("*.tsv"))}
    single = folder / f"{QRELS}.tsv"
    if single.is_file():
        there.setdefault(WHOLE, single)
    if not there:
        raise DatasetError(f"{folder} has no judgements: expected {QRELS}/<split>.tsv or {QRELS}.tsv.")
    name = wanted or (DEFAULT_SPLIT if DEFAULT_SPLIT in there else next(iter(there)) if len(there) == 1 else None)
    if name is None or name not in there:
        asked = f"no split '{wanted or DEFAULT_SPLIT}'"
        raise DatasetError(f"{folder} has {asked}; there is: {', '.join(there)} (--split NAME).")
    return name, there[name]


def _collection(folder: Path, facts: Mapping[str, Any]) -> str | None:
    """The collection that a dataset is of, if it is of one."""
    named = facts.get("collection")
    if named is not None and not (isinstance(named, str) and named):
        raise DatasetError(f"{folder / FACTS} names {named!r} for its collection: a name is text.")
    return named


def _elsewhere(folder: Path, facts: Mapping[str, Any]) -> Path | None:
    """The documents of a made dataset, which stay where they are."""
    named = facts.get("source")
    if named is None:
        return None
    source = Path(str(named))
    if not source.is_absolute() or not source.exists():
        raise DatasetError(f"{folder / FACTS} names '{named}' for its source, which is not there; make the set again.")
    return source


def _documents(folder: Path, facts: Mapping[str, Any]) -> Path:
    named = facts.get("documents")
    if named is not None:
        source = (folder / str(named)).resolve()
        if not source.is_dir() or not source.is_relative_to(folder):
            raise DatasetError(f"{folder / FACTS} names '{named}' for its documents, which is no folder in it.")
        return source
    return next((folder / each for each in DOCUMENT_FOLDERS if (folder / each).is_dir()), folder)


def _check_documents(source: Path, beir: bool, file: Path, qrels: Qrels) -> int:
    """How many of the judged documents are there. Raises DatasetError where some are not."""
    judged = {document for each in qrels.values() for document in each}
    if beir:
        there = {identity for _, found in read_objects(source) if (identity := _first(found, "_id", "id"))}
    else:
        # What lies in an archive or a file of records follows a '#', and only the ingestion can list it.
        there = {each for each in judged if _is_below(source, each.partition("#")[0])}
    if judged and not judged & there:
        return 0
    _check_named(file, "documents", sorted(judged), there)
    return len(judged & there)


def _is_below(source: Path, name: str) -> bool:
    try:
        return bool(name) and (source / name).is_file() and (source / name).resolve().is_relative_to(source)
    except (OSError, ValueError):
        return False


def _check_named(file: Path, what: str, named: Collection[str], there: Collection[str]) -> None:
    missing = [each for each in named if each not in there]
    if missing:
        raise DatasetError(f"{file} names {len(missing)} {what} that are not there; the first is '{missing[0]}'.")
