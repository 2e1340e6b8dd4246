"""Stand-ins for what a search asks: an index with rankings as they are set, and an encoder without a model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rag.collections import fingerprint
from rag.encoders import Bm25Encoder
from rag.errors import CollectionNotFound
from rag.index.interface import Collection, CollectionSpec, Hit, Leg, Stored, Where
from rag.retrieval import Retriever
from rag.schema import Scope

READER = Scope("acme", frozenset({"staff"}))


def hits(*pairs: tuple[str, float]) -> list[Hit]:
    return [Hit(*pair) for pair in pairs]


class OneDirection:
    """Stands for a dense encoder: every text is the same unit vector, so no model must be loaded."""

    def __init__(self, sha256: str = "aa") -> None:
        self.fingerprint: Mapping[str, Any] = {"name": "stand-in", "sha256": sha256}
        self.dimension, self.max_tokens = 2, 256
        self.asked: list[str] = []

    def encode_query(self, text: str) -> Any:
        self.asked.append(text)
        return np.array([1.0, 0.0], dtype=np.float32)


def payload(number: int) -> dict[str, Any]:
    return {
        "text": f"Text {number}.",
        "doc": f"file:///{number}.md",
        "path": f"{number}.md",
        "title": f"Title {number}",
        "headings": ["Part", "Chapter"],
        "ordinal": number,
        "start": 10 * number,
        "end": 10 * number + 7,
        "metadata": {"language": "en"},
    }


@dataclass
class MemoryIndex:
    """Stands for an AsyncIndex: one alias, rankings and payloads as they are set, and a note of what was asked."""

    metadata: Mapping[str, Any]
    dense: list[Hit] = field(default_factory=list)
    sparse: list[Hit] = field(default_factory=list)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    behind: str = "documents-1"
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    vectors_of: dict[str, list[float]] = field(default_factory=dict)
    second: list[Hit] = field(default_factory=list)

    async def resolve(self, name: str) -> Collection:
        if name != "documents":
            raise CollectionNotFound(f"no collection '{name}'")
        return Collection(self.behind, CollectionSpec(2, self.metadata))

    async def query(
        self, name: str, legs: Sequence[Leg], scope: Scope, where: Where | None = None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        self.asked.append(("query", name, legs, scope, where))
        return [self.dense, self.sparse] if len(legs) == 2 else [self.second]

    async def vectors(self, name: str, ids: Sequence[str], scope: Scope) -> dict[str, Sequence[float]]:
        self.asked.append(("vectors", name, list(ids), scope))
        return {each: self.vectors_of[each] for each in ids if each in self.vectors_of}

    async def fetch(self, name: str, ids: Sequence[str], scope: Scope) -> list[Stored]:
        self.asked.append(("fetch", name, list(ids), scope))
        return [Stored(each, self.stored[each]) for each in ids if each in self.stored]


SPARSE = Bm25Encoder()


def small_index() -> MemoryIndex:
    """Three documents of one chunk each: a and b near the query, b and c with its words."""
    return MemoryIndex(
        fingerprint(OneDirection(), SPARSE),  # type: ignore[arg-type]
        dense=hits(("a", 0.62), ("b", 0.4)),
        sparse=hits(("b", 7.5), ("c", 2.0)),
        stored={name: payload(number) for number, name in enumerate("abc")},
    )


def search(retriever: Retriever, query: str = "What runs?", **options: Any) -> Any:
    return asyncio.run(retriever.search(query, READER, **options))
