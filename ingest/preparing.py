"""A document's bytes to its chunks: read, named, cut. A pure stage; `ingest.pool` runs it in processes of its own."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from ingest.chunking import Prepared, TokenCounts, chunk
from ingest.loading import LOADER_VERSION, EmptyDocument, Limits, clean_title, load, title_from_path
from ingest.sources.interface import Item
from rag.schema import Document


@dataclass(frozen=True, slots=True)
class Task:
    """A document to prepare: what its source says of it, its bytes, and what the job adds (groups, metadata)."""

    item: Item
    data: bytes
    groups: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_hash: str = ""


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document's header (its `text` is left out: "") and its chunks in order, at least one."""

    document: Document
    chunks: list[Prepared]


def content_hash(data: bytes, item: Item, groups: Sequence[str], metadata: Mapping[str, str]) -> str:
    """SHA-256, in hex, of all that makes a document's points what they are."""
    merged = {**item.metadata, **metadata}
    suffix = PurePath(item.name).suffix.lower()  # tells how the bytes are read; mostly the path's own
    read_as = [] if suffix == PurePath(item.path).suffix.lower() else [suffix]
    facts = json.dumps([LOADER_VERSION, sorted(groups), sorted(merged.items()), item.title, *read_as]).encode()
    return hashlib.sha256(facts + b"\0" + hashlib.sha256(data).digest()).hexdigest()


def prepare(task: Task, tokens: TokenCounts, chunk_tokens: int, limits: Limits) -> PreparedDocument:
    """Read the document and cut it into chunks of at most `chunk_tokens` tokens, each with the page it starts on.

    Raises EmptyDocument where there is nothing to index, else what `ingest.loading.load` raises.
    """
    loaded = load(task.item.name, task.data, limits)
    document = header(
        task,
        title=clean_title(task.item.title) or loaded.title or clean_title(title_from_path(task.item.path)),
        metadata=loaded.metadata,
    )
    document = replace(document, text=loaded.text, format=loaded.format, pages=loaded.pages)
    chunks = chunk(document, tokens, chunk_tokens)
    if not chunks:  # nothing but link definitions
        raise EmptyDocument("it holds no text.")
    return PreparedDocument(replace(document, text=""), _paged(chunks, loaded.pages))


def header(task: Task, title: str, metadata: Mapping[str, str]) -> Document:
    """The document without its text. The source's metadata stands over its own, and the job's over both."""
    return Document(
        uri=task.item.uri,
        path=task.item.path,
        title=title,
        text="",
        content_hash=task.content_hash,
        groups=task.groups,
        metadata={**metadata, **task.item.metadata, **task.metadata},
    )


def _paged(chunks: list[Prepared], pages: tuple[int, ...]) -> list[Prepared]:
    if not pages:
        return chunks
    return [
        replace(each, chunk=replace(each.chunk, page=max(1, bisect_right(pages, each.chunk.start)))) for each in chunks
    ]
