"""A hit and the chunks beside it as one passage: small chunks are found better, larger passages answer better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag.index.interface import Payload
from rag.payload import point_id
from rag.schema import Document, Passage, Scope

_Chunk = tuple[str, str, int]  # document, content hash, ordinal


@dataclass(frozen=True, slots=True)
class Window:
    """A passage as it was found, and the ids of the chunks before and after it that belong to the same passage."""

    hit: Passage
    before: tuple[str, ...]
    after: tuple[str, ...]


def windows(
    hits: Sequence[tuple[Passage, Payload]], count: int, before: int, after: int, chunker: str, scope: Scope
) -> list[Window]:
    """The best `count` passages: each hit with up to so many chunks of its document on either side.

    A hit that an earlier passage holds already is passed over, and no chunk is in two passages.
    """
    taken: set[_Chunk] = set()
    found: list[Window] = []
    for passage, payload in hits:
        uri, version, chunks = passage.uri, str(payload["doc_hash"]), int(payload["chunks"])
        if (uri, version, passage.ordinal) in taken:
            continue
        first = last = passage.ordinal
        while first > max(0, passage.ordinal - before) and (uri, version, first - 1) not in taken:
            first -= 1
        while last < min(chunks - 1, passage.ordinal + after) and (uri, version, last + 1) not in taken:
            last += 1
        taken.update((uri, version, each) for each in range(first, last + 1))
        document = Document(uri, "", "", "", version)
        ids = {each: point_id(document, each, chunker, scope) for each in range(first, last + 1)}
        found.append(
            Window(
                passage,
                tuple(ids[each] for each in range(first, passage.ordinal)),
                tuple(ids[each] for each in range(passage.ordinal + 1, last + 1)),
            )
        )
        if len(found) == count:
            break
    return found


def joined(window: Window, payloads: Mapping[str, Payload]) -> Passage:
    """The passage with its neighbours' text, as far as they are there. What lies between two chunks shows as newlines.

    Its id, score, headings and page stay those of the hit.
    """
    text, start, end = window.hit.text, window.hit.start, window.hit.end
    for identity in reversed(window.before):
        payload = payloads.get(identity)
        if payload is None or payload["end"] > start:
            break
        text = payload["text"] + "\n" * (start - payload["end"]) + text
        start = payload["start"]
    for identity in window.after:
        payload = payloads.get(identity)
        if payload is None or payload["start"] < end:
            break
        text += "\n" * (payload["start"] - end) + payload["text"]
        end = payload["end"]
    return replace(window.hit, text=text, start=start, end=end)
