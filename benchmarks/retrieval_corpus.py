"""The real chunks and queries that retrieval.py searches, and their vectors, encoded once and kept in a folder."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from ingest_measuring import say
from kept_vectors import KeptVectors

from ingest.chunking import Prepared, chunker_name
from ingest.loading import EmptyDocument, Limits
from ingest.preparing import Task, content_hash, prepare
from ingest.sources import Item, open_source
from rag.collections import fingerprint, make
from rag.encoders import Bm25Encoder, LocalEncoder, Vectors
from rag.index.embedded import EmbeddedIndex
from rag.index.interface import Record
from rag.payload import to_payload
from rag.point_ids import point_id
from rag.schema import Document, Scope
from rag.settings import Settings

SEED = 20261107
BATCH = 256

_AGAIN_TOKENS = 64
_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk, its document, and how many chunks that document has."""

    document: Document
    prepared: Prepared
    total: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """`vectors` has the shape (len(points), dimension). `chunker` is what a collection of these chunks records."""

    points: list[Point]
    vectors: Vectors
    chunker: str

    @property
    def texts(self) -> list[str]:
        """What was encoded of each chunk."""
        return [each.prepared.embedded for each in self.points]

    def identity(self, number: int) -> str:
        """A chunk's id in the index."""
        point = self.points[number]
        return point_id(point.document, point.prepared.chunk.ordinal, self.chunker, Scope())

    def load(self, index: EmbeddedIndex, name: str, dense: LocalEncoder, sparse: Bm25Encoder, count: int) -> None:
        """Make a collection of the first `count` chunks, as the ingestion would have written them."""
        own = make(index, name, {**fingerprint(dense, sparse), "chunker": self.chunker}, self.vectors.shape[1])
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            index.upsert(own, [self._record(number, sparse) for number in numbers], Scope())

    def _record(self, number: int, sparse: Bm25Encoder) -> Record:
        point = self.points[number]
        return Record(
            id=self.identity(number),
            dense=self.vectors[number].tolist(),
            sparse=sparse.encode_document(point.prepared.embedded),
            payload=to_payload(point.document, point.prepared.chunk, point.total),
        )


def take_corpus(data: Path, keep: Path, count: int, dense: LocalEncoder, settings: Settings, tokens: int) -> Corpus:
    """The first `count` chunks, or all that there are."""
    points: list[Point] = []
    for point in _points(data, dense, settings, tokens):
        points.append(point)
        if len(points) == count:
            break
    say(f"{len(points):,} chunks of {len({each.document.uri for each in points}):,} documents")
    return Corpus(points, _vectors([each.prepared.embedded for each in points], keep, dense), chunker_name(tokens))


def take_queries(data: Path, count: int) -> list[str]:
    """Different queries of the Kubernetes set, in an order drawn by a seed."""
    with (data / "kubernetes" / "queries.jsonl").open(encoding="utf-8") as lines:
        texts = sorted({str(json.loads(line)["text"]) for line in lines})
    random.Random(SEED).shuffle(texts)
    return texts[:count]


def _points(data: Path, dense: LocalEncoder, settings: Settings, tokens: int) -> Iterator[Point]:
    pages = data / "kubernetes" / "pages"
    others = (data / "scifact" / "corpus.jsonl", data / "mtrag" / "corpus.jsonl", data / "chunking" / "corpora")
    yield from _cut(pages, dense, settings, tokens)
    for source in others:
        if not source.exists():
            say(f"SKIPPED: {source} is not there")
            continue
        yield from _cut(source, dense, settings, tokens)
    say(f"no more texts: the pages again, in chunks of {_AGAIN_TOKENS} tokens")
    yield from _cut(pages, dense, settings, _AGAIN_TOKENS, "again/")


def _cut(source: Path, dense: LocalEncoder, settings: Settings, tokens: int, prefix: str = "") -> Iterator[Point]:
    """The chunks of a source's documents, which come in an order drawn by a seed."""
    limits = Limits(settings.max_document_pages, settings.max_document_characters, settings.max_expansion)
    say(f"cutting {source}")
    with closing(open_source(source, settings)) as opened:
        items = sorted((each for each in opened.items() if isinstance(each, Item)), key=lambda each: each.path)
        random.Random(SEED).shuffle(items)
        for item in items:
            bytes_ = opened.read(item, settings.max_document_bytes)
            named = replace(item, uri=f"{prefix}{source.parent.name}/{item.path}", path=prefix + item.path)
            task = Task(named, bytes_, content_hash=content_hash(bytes_, named, (), {}))
            try:
                ready = prepare(task, dense, tokens, limits)
            except EmptyDocument:
                continue
            for each in ready.chunks:
                yield Point(ready.document, each, len(ready.chunks))


def _vectors(texts: Sequence[str], keep: Path, dense: LocalEncoder) -> Vectors:
    """The texts' vectors: those that the folder holds from there, the others encoded and put there."""
    kept = KeptVectors(keep, dense)
    new = sorted(kept.missing(texts), key=len, reverse=True)
    if new:
        say(f"{len(new):,} texts to encode (kept in {keep})")
    for start in range(0, len(new), _AT_ONCE):
        some = new[start : start + _AT_ONCE]
        kept.of(some)
        kept.save()
        say(f"  {start + len(some):,} of {len(new):,} encoded")
    return kept.of(texts)
