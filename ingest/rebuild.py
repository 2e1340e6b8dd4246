"""A stored document's chunks back to the document, so that it can be cut anew where its source cannot be had."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from ingest.chunking import Prepared
from rag.schema import Document, Format

_MARKDOWN = {".md", ".markdown", ".mdx", ".html", ".htm", ".xhtml"}


def rebuilt(chunks: Sequence[Mapping[str, Any]]) -> Document:
    """The document that these payloads, all of one document and in order, were cut from.

    Every chunk stands where it stood. What lay between two chunks (white space, and what shows nothing, as link
    definitions) was not stored; newlines take its place, so spans and the source's characters still agree.
    """
    head = chunks[0]
    return Document(
        uri=head["doc"],
        path=head["path"],
        title=head["title"],
        text=_text(chunks),
        content_hash=head["doc_hash"],
        format=_format(head),
        groups=tuple(head.get("groups") or ()),
        metadata=dict(head.get("metadata") or {}),
        pages=_pages(chunks),
    )


def _text(chunks: Sequence[Mapping[str, Any]]) -> str:
    parts: list[str] = []
    length = 0
    for each in chunks:
        start, text = each["start"], each["text"]
        new = text[max(0, length - start) :]
        parts += ["\n" * (start - length), new]
        length = max(length, start) + len(new)
    return "".join(parts)


def _format(head: Mapping[str, Any]) -> Format:
    known = head.get("format")
    if known == "code":
        return "code"
    if known not in ("markdown", "text"):  # collections of format 1 did not say it
        known = "markdown" if PurePath(head["path"]).suffix.lower() in _MARKDOWN else "text"
    return "markdown" if known == "markdown" else "text"


def _pages(chunks: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Where each page starts, as far as chunks tell: where the first chunk that starts on it (or on a later) does."""
    starts: list[int] = []
    for each in chunks:
        page = each.get("page") or 0
        if page > len(starts):
            first = 0 if not starts and page == 1 else each["start"]
            starts += [first] * (page - len(starts))
    return tuple(starts)


def paged(chunks: Sequence[Prepared], pages: Sequence[int]) -> list[Prepared]:
    """The chunks, each with the page that it starts on, where there are pages."""
    if not pages:
        return list(chunks)
    return [
        replace(each, chunk=replace(each.chunk, page=max(1, bisect_right(pages, each.chunk.start)))) for each in chunks
    ]
