"""A document's text as the index holds it: its chunks put together again, as much of it as fits a window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rag.errors import BadInput, LibrarianError
from rag.index.interface import Index, Stored
from rag.records import check_askable
from rag.schema import Scope

# Characters before and after the span that is read, and of all that is read at once.
AROUND = 6_000
MAX_READ = 40_000

_PLACES = ("doc", "doc_hash", "chunks", "start", "end")


class DocumentNotFound(LibrarianError):
    """No document of that URI that the caller may read."""

    code = "document_not_found"
    exit_code = 4
    http_status = 404


@dataclass(frozen=True, slots=True)
class Reading:
    """Some of a document's text. `offset` counts characters of the document before it; `before` and `after` say
    whether there is more."""

    uri: str
    path: str
    title: str
    text: str
    offset: int
    before: bool
    after: bool


def read_around(
    index: Index, collection: str, uri: str, scope: Scope, start: int = 0, end: int | None = None
) -> Reading:
    """The text from `start` to `end` (characters of the document) with what stands around it, whole chunks only.

    What lies between two chunks was white space and shows as newlines. Of a document that is being replaced the text
    is that of one version. Raises DocumentNotFound, CollectionNotFound, and BadInput for a span that is none.
    """
    wanted_end = start if end is None else end
    if start < 0 or wanted_end < start:
        raise BadInput(f"the span {start} to {wanted_end} is none: start must be 0 or more and end not before it.")
    name = index.describe(check_askable(collection)).name
    chunks = _one_version(list(index.scroll(name, scope, _PLACES, {"doc": [uri]})))
    if not chunks:
        raise DocumentNotFound(f"there is no document '{uri[:300]}' in '{collection}' that you may read.")
    first = max(0, start - AROUND)
    last = min(wanted_end + AROUND, first + MAX_READ)
    near = [each for each in chunks if each.payload["end"] > first and each.payload["start"] < last]
    near = near or chunks[-1:]  # the span lies behind the end: the document has become shorter
    stored = {each.id: each for each in index.fetch(name, [each.id for each in near], scope)}
    found = [stored[each.id] for each in near if each.id in stored]
    if not found:
        raise DocumentNotFound(f"the document '{uri[:300]}' was deleted while it was read.")
    return Reading(
        uri=uri,
        path=str(found[0].payload["path"]),
        title=str(found[0].payload["title"]),
        text=_joined(found),
        offset=int(found[0].payload["start"]),
        before=near[0].id != chunks[0].id,
        after=near[-1].id != chunks[-1].id,
    )


def _one_version(points: Sequence[Stored]) -> list[Stored]:
    """The chunks of one version in their order: of one that is there whole, where there is one."""
    versions: defaultdict[str, list[Stored]] = defaultdict(list)
    for each in points:
        versions[str(each.payload["doc_hash"])].append(each)
    if not versions:
        return []
    chosen = min(versions, key=lambda each: (int(versions[each][0].payload["chunks"]) - len(versions[each]), each))
    return sorted(versions[chosen], key=lambda each: (int(each.payload["start"]), int(each.payload["end"])))


def _joined(chunks: Sequence[Stored]) -> str:
    """Their texts in order. Character i of the result is character i + the first one's start of the document."""
    offset, text = int(chunks[0].payload["start"]), ""
    for each in chunks:
        place = int(each.payload["start"]) - offset
        text += "\n" * (place - len(text)) + str(each.payload["text"])[max(0, len(text) - place) :]
    return text
