"""One tenant's documents from one collection to another that is built with something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ingest.chunking import chunk
from ingest.ledger import Ledger
from ingest.pipeline import FIRST_WINDOW, encoded, windows
from ingest.rebuild import paged, rebuilt
from ingest.report import MAX_NAMED
from ingest.writer import Part, Writer
from rag.collections import FORMAT
from rag.encoders import DenseEncoder
from rag.index.interface import CollectionInfo, Index
from rag.payload import HEAD_FIELDS, HEADS, LEDGER_FIELDS, WHOLE
from rag.schema import Scope

_HEADS_SINCE = 3  # the first format of collections whose documents' first chunks tell whether they are whole
_LOOKED_UP_TOGETHER = 400
_DELETED_TOGETHER = 256


@dataclass(slots=True)
class Moved:
    """What was done: documents that were found, were there already, were written and deleted; chunks written.

    `incomplete` names (the first of) the documents of which the old collection holds only a part.
    """

    documents: int = 0
    kept: int = 0
    written: int = 0
    deleted: int = 0
    chunks: int = 0
    restamped: int = 0
    incomplete: list[str] = field(default_factory=list)

    @property
    def touched(self) -> int:
        """Documents of the new collection that were not as they should be."""
        return self.written + self.deleted + self.restamped


@dataclass(frozen=True, slots=True)
class _Head:
    """A whole document of the old collection. `replaces`: the new one holds something of it."""

    uri: str
    hash: str
    chunks: int
    stamp: str
    replaces: bool = False


class Mover:
    """Makes one tenant's part of a collection like that of another. `move` once."""

    def __init__(
        self,
        index: Index,
        old: CollectionInfo,
        scope: Scope,
        writer: Writer,
        dense: DenseEncoder,
        tokens: int,
        batch: int,
        tell: Callable[[Moved, int], None],
    ) -> None:
        """`tell` gets what was done so far and the chunks just encoded; it may raise to stop."""
        self._index = index
        self._old = old
        self._scope = scope
        self._writer = writer
        self._dense = dense
        self._tokens = tokens
        self._batch = batch
        self._tell = tell
        self._moved = Moved()

    def move(self, new: str, thorough: bool) -> Moved:
        """Write what is missing or differs, delete what is gone. `thorough` looks at every point of the new one."""
        moved = self._moved
        with Ledger() as ledger:
            ledger.read(self._index, new, self._scope, thorough)
            parts = windows(self._parts(self._to_write(ledger)), min(FIRST_WINDOW, self._batch), self._batch)
            for window in encoded(parts, self._dense, lambda chunks: self._tell(moved, chunks)):
                self._writer.write(window)
                moved.written += sum(each.last for each in window)
                moved.chunks += sum(len(each.chunks) for each in window)
                self._tell(moved, 0)
            gone = [each.uri for each in ledger.unseen()]
        for start in range(0, len(gone), _DELETED_TOGETHER):
            self._tell(moved, 0)
            some = gone[start : start + _DELETED_TOGETHER]
            self._writer.delete(some)
            moved.deleted += len(some)
        return moved

    def _to_write(self, ledger: Ledger) -> Iterator[_Head]:
        batch: list[_Head] = []
        for head in self._heads(ledger):
            batch.append(head)
            if len(batch) >= _LOOKED_UP_TOGETHER:
                yield from self._compared(batch, ledger)
                batch = []
        yield from self._compared(batch, ledger)

    def _compared(self, heads: Sequence[_Head], ledger: Ledger) -> Iterator[_Head]:
        held = ledger.look_up([each.uri for each in heads])
        for head in heads:
            self._moved.documents += 1
            found = held.get(head.uri)
            if found is None or not found.sound or found.hash != head.hash:
                yield replace(head, replaces=found is not None)
            elif found.stamp != head.stamp:
                self._writer.restamp(head.uri, head.hash, head.stamp)
                self._moved.restamped += 1
            else:
                self._moved.kept += 1

    def _heads(self, ledger: Ledger) -> Iterator[_Head]:
        """The whole documents of the old collection, each once (of two versions, the one with the lesser id)."""
        seen: set[int] = set()
        heads_tell = self._old.spec.metadata.get("format") in range(_HEADS_SINCE, FORMAT + 1)
        fields, where = (HEAD_FIELDS, HEADS) if heads_tell else (LEDGER_FIELDS, None)
        for stored in self._index.scroll(self._old.name, self._scope, fields, where):
            payload = stored.payload
            if "doc" not in payload or payload.get("ordinal", 0) != 0:
                continue
            uri = payload["doc"]
            if heads_tell and payload.get("state") != WHOLE:
                ledger.look_up([uri])  # a job is at it, or was killed: what the new one holds of it stays
                self._leave_out(uri)
            elif hash(uri) not in seen:
                seen.add(hash(uri))
                yield _Head(uri, payload["doc_hash"], payload["chunks"], payload.get("stamp") or "")

    def _parts(self, heads: Iterator[_Head]) -> Iterator[Part]:
        """The documents, cut anew. Their chunks are fetched many at a time."""
        batch: list[_Head] = []
        size = 0
        for head in heads:
            batch.append(head)
            size += head.chunks
            if size >= self._batch:
                yield from self._fetched(batch)
                batch, size = [], 0
        if batch:
            yield from self._fetched(batch)

    def _fetched(self, heads: Sequence[_Head]) -> Iterator[Part]:
        chunks: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = defaultdict(dict)
        for stored in self._index.scroll(self._old.name, self._scope, where={"doc": [each.uri for each in heads]}):
            payload = stored.payload
            chunks[payload["doc"], payload["doc_hash"]][payload["ordinal"]] = payload
        for head in heads:
            found = chunks.pop((head.uri, head.hash), {})
            if sorted(found) != list(range(head.chunks)):
                self._leave_out(head.uri)  # or it changed since its head was read: the next pass sees it
                continue
            document = rebuilt([found[ordinal] for ordinal in range(head.chunks)])
            prepared = paged(chunk(document, self._dense, self._tokens), document.pages)
            yield Part(document, prepared, len(prepared), head.stamp, head.replaces, last=True)

    def _leave_out(self, uri: str) -> None:
        if len(self._moved.incomplete) < MAX_NAMED:
            self._moved.incomplete.append(uri)
