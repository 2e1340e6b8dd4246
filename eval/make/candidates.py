"""Sections of indexed documents that may be asked about, a fair share from every document."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from eval.indexing import Indexed
from rag.index.interface import Index
from rag.schema import Scope

_FIELDS = ("doc", "title", "headings", "text", "ordinal")


@dataclass(frozen=True, slots=True)
class Section:
    """The first chunk below a heading, of the document that judgements call `document`."""

    document: str
    title: str
    headings: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question and what it was made from; `kind` is "heading" or "model"."""

    text: str
    section: Section
    kind: str


def sections(index: Index, indexed: Indexed, scope: Scope) -> list[Section]:
    """Each document's sections, by document and place: what stands under one heading path counts once."""
    first: dict[tuple[str, tuple[str, ...]], tuple[int, Section]] = {}
    for stored in index.scroll(indexed.collection, scope, _FIELDS):
        payload = stored.payload
        document = indexed.names.get(payload["doc"], payload["doc"])
        section = Section(document, payload["title"], tuple(payload["headings"]), payload["text"])
        key, ordinal = (document, section.headings), int(payload["ordinal"])
        if key not in first or ordinal < first[key][0]:
            first[key] = (ordinal, section)
    ordered = sorted(first.values(), key=lambda each: (each[1].document, each[0]))
    return [section for _, section in ordered]


def in_turn(found: list[Section], seed: int) -> Iterator[Section]:
    """A section of each document, then a second of each, and so on; documents and sections in a seeded order."""
    draw = Random(seed)  # noqa: S311 - which sections are asked about is no secret
    by_document: dict[str, list[Section]] = {}
    for each in found:
        by_document.setdefault(each.document, []).append(each)
    left = list(by_document.values())
    draw.shuffle(left)
    for each_document in left:
        draw.shuffle(each_document)
    while left:
        for sections_left in left:
            yield sections_left.pop()
        left = [each for each in left if each]


def split_of(document: str, seed: int) -> str:
    """Train or test, half of the documents each: by a hash of the name, so that a document never changes sides."""
    digest = hashlib.sha256(f"split:{seed}:{document}".encode()).digest()
    return "train" if digest[0] < 128 else "test"


def splits(documents: Mapping[str, str], seed: int) -> dict[str, list[str]]:
    """Questions (by id, with their document) of each split; all are of test where one side would be empty."""
    found: dict[str, list[str]] = {"test": [], "train": []}
    for question, document in documents.items():
        found[split_of(document, seed)].append(question)
    return found if all(found.values()) else {"test": list(documents), "train": []}
