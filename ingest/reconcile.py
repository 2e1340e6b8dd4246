"""Desired documents minus actual ones: the plan of an ingest. What is actual is read from Qdrant, nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rag.index.interface import Stored


@dataclass(slots=True)
class Actual:
    """What the index holds of one document: its points by content hash, and how many there should be of each."""

    ids: dict[str, list[str]] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)

    def complete(self, content_hash: str) -> bool:
        """Whether every chunk of that content is there."""
        return len(self.ids.get(content_hash, ())) == self.expected.get(content_hash, -1)

    def stale(self, content_hash: str | None) -> list[str]:
        """Ids of every other content (None: of all)."""
        return [each for key, ids in self.ids.items() if key != content_hash for each in ids]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with each document, by URI."""

    add: tuple[str, ...]
    replace: tuple[str, ...]
    keep: tuple[str, ...]
    delete: tuple[str, ...]


def actual_documents(points: Iterable[Stored], prefix: str) -> dict[str, Actual]:
    """The documents that the points belong to: those under a `prefix` that ends in "/", else only that very one."""
    documents: dict[str, Actual] = {}
    for point in points:
        uri = point.payload.get("doc")
        if not isinstance(uri, str) or not (uri == prefix or (prefix.endswith("/") and uri.startswith(prefix))):
            continue
        document = documents.setdefault(uri, Actual())
        content_hash = point.payload["doc_hash"]
        document.ids.setdefault(content_hash, []).append(point.id)
        document.expected[content_hash] = point.payload["chunks"]
    return documents


def plan(desired: Mapping[str, str], protected: Iterable[str], actual: Mapping[str, Actual]) -> Plan:
    """Compare content hashes by URI with what is there.

    `protected` documents exist but could not be read now: what is indexed of them stays. A document of which only
    some chunks are there (a killed job) is replaced; so is one with left-overs of an older content.
    """
    add, replace, keep = [], [], []
    for uri, content_hash in desired.items():
        found = actual.get(uri)
        if found is None:
            add.append(uri)
        elif found.complete(content_hash) and not found.stale(content_hash):
            keep.append(uri)
        else:
            replace.append(uri)
    spared = {*desired, *protected}
    delete = [uri for uri in actual if uri not in spared]
    return Plan(tuple(add), tuple(replace), tuple(keep), tuple(delete))
