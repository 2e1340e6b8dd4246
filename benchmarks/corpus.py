"""Points and queries to measure stores with: seeded, so that two runs, and two stores in one run, get the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.index import Record
from rag.payload import to_payload
from rag.point_ids import point_id
from rag.schema import Chunk, Document, Scope, SparseVector

DIMENSIONS = 384
VOCABULARY = 30_000
# The two tenants: one with a tenth of the points, one with the others.
SMALL, MAIN = "small", "main"

_CLUSTERS = 500
_CHUNKS_PER_DOCUMENT = 4
_WORDS_PER_TEXT = 64  # about 61 of them distinct
_WORDS_PER_QUERY = 8
_SPREAD = 0.9  # norm of a point's offset from its cluster's centre, itself of norm 1
_BM25_K1 = 1.2
_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for, in both spaces. `text` is for stores that insist on encoding a text."""

    text: str
    dense: list[float]
    sparse: SparseVector


@dataclass(frozen=True, slots=True)
class Corpus:
    """`dense` is (points, 384) float32 of unit length, `terms` is (points, 64) vocabulary numbers, in text order."""

    ids: list[str]
    dense: NDArray[np.float32]
    terms: NDArray[np.int64]
    words: list[str]
    queries: list[Query]

    @classmethod
    def make(cls, points: int, queries: int, seed: int = 20261107) -> Corpus:
        """Draw points and queries from one mixture of gaussians and one Zipf vocabulary.

        The offsets of a cluster's members have a decaying spectrum on axes of the cluster's own, as text embeddings
        have: two members of one cluster are at a cosine of about 0.55, two others at about 0.
        """
        random = np.random.default_rng(seed)
        vectors = _mixture(random, points + queries)
        terms = _zipf(random, points, _WORDS_PER_TEXT)
        asked = _zipf(random, queries, _WORDS_PER_QUERY)
        return cls(
            ids=[_identity(number) for number in range(points)],
            dense=vectors[:points],
            terms=terms,
            words=_words(random),
            queries=[
                Query(f"query {number}", vectors[points + number].tolist(), _query_weights(row))
                for number, row in enumerate(asked)
            ],
        )

    @property
    def small(self) -> int:
        """How many points, the first ones, are the small tenant's."""
        return len(self.ids) // 10

    def batches(self, size: int) -> Iterator[tuple[str, list[Record]]]:
        """(tenant, at most `size` records): every point once, no batch of two tenants."""
        for tenant, first, last in ((SMALL, 0, self.small), (MAIN, self.small, len(self.ids))):
            for start in range(first, last, size):
                yield tenant, [self._record(number) for number in range(start, min(start + size, last))]

    def nearest(self, query: Query, tenant: str, count: int) -> list[str]:
        """The ids of the tenant's `count` nearest points by brute force, best first."""
        first, last = (0, self.small) if tenant == SMALL else (self.small, len(self.ids))
        cosines = self.dense[first:last] @ np.asarray(query.dense, dtype=np.float32)
        return [self.ids[first + number] for number in np.argsort(-cosines, kind="stable")[:count]]

    def _record(self, number: int) -> Record:
        # The number in front makes every text unique: one store under test finds vectors by their text.
        text = f"Passage {number}. " + " ".join(self.words[term] for term in self.terms[number])
        document = _document(number)
        ordinal = number % _CHUNKS_PER_DOCUMENT
        start = ordinal * len(text)
        chunk = Chunk(ordinal, text, start, start + len(text), ("Guide", f"Part {ordinal}"))
        return Record(
            id=self.ids[number],
            dense=self.dense[number].tolist(),
            sparse=_text_weights(self.terms[number]),
            payload=to_payload(document, chunk, _CHUNKS_PER_DOCUMENT),
        )


def _document(number: int) -> Document:
    name = f"guide/{number // _CHUNKS_PER_DOCUMENT:06d}.md"
    return Document(f"file:{name}", name, f"Guide {name}", "", f"{number // _CHUNKS_PER_DOCUMENT:064x}")


def _identity(number: int) -> str:
    return point_id(_document(number), number % _CHUNKS_PER_DOCUMENT, "benchmark", Scope())


def _mixture(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    centres = _unit(random.standard_normal((_CLUSTERS, DIMENSIONS), dtype=np.float32))
    axes = np.argsort(random.random((_CLUSTERS, DIMENSIONS)), axis=1)
    spectrum = 1 / np.sqrt(np.arange(1, DIMENSIONS + 1, dtype=np.float32))
    spectrum *= _SPREAD / np.linalg.norm(spectrum)
    member_of = random.choice(_CLUSTERS, size=count, p=random.dirichlet(np.ones(_CLUSTERS)))
    offsets = random.standard_normal((count, DIMENSIONS), dtype=np.float32)
    for start in range(0, count, _ROWS):  # a million rows at once would take ten times their own memory
        rows, members = offsets[start : start + _ROWS], member_of[start : start + _ROWS]
        rows *= spectrum[axes[members]]
        rows += centres[members]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return offsets


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _zipf(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.int64]:
    # Zipf-Mandelbrot: the offset stands for the stop words that BM25 leaves out.
    weights = 1 / (np.arange(VOCABULARY) + 10.0)
    return np.searchsorted(np.cumsum(weights / weights.sum())[:-1], random.random((rows, columns)))


def _words(random: np.random.Generator) -> list[str]:
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    lengths = random.integers(8, 16, size=VOCABULARY)
    return ["".join(letters[random.integers(0, 26, size=length)]) for length in lengths]


def _text_weights(terms: NDArray[np.int64]) -> SparseVector:
    """BM25's term frequency part for a text of average length: tf (k1 + 1) / (tf + k1)."""
    found, counts = np.unique(terms, return_counts=True)
    weights = counts * (_BM25_K1 + 1) / (counts + _BM25_K1)
    return SparseVector(tuple(found.tolist()), tuple(weights.tolist()))


def _query_weights(terms: NDArray[np.int64]) -> SparseVector:
    found = np.unique(terms)
    return SparseVector(tuple(found.tolist()), (1.0,) * len(found))
