"""One Edge shard: Librarian's nouns into the engine's and back, the engine's failures into our errors.

Edge keeps the interpreter's lock during every call (measured: two querying threads take twice as long as one, and a
long `optimize` stops every other thread), so calls are kept short: batches and pages, never everything at once.

Memory: what is written stays in the process, 1.2 KB a point with 60 terms and 1 KB of text, 0.8 KB with 20 terms and
0.3 KB of text, so memory grows with the points. Measured one by one with the latter, four points a document, in bytes a
point: the lists of terms 330, an index of `doc` 220 (each point holds the name, so ids take its place, see
`edge_documents`), of `tenant` 60, of `part` 60 where every point has one and 25 where heads alone do, of `groups` that
are empty none, the ids 90. The mapped files would add 2.7 KB (with 1 KB of text), but are let go after each flush.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import qdrant_edge as edge

from rag.errors import BadInput, IndexUnavailable
from rag.index import pages
from rag.index.checks import (
    DOCUMENT,
    GROUPS,
    KEYWORD_FIELDS,
    TENANT,
    batches,
    best_first,
    check_fields,
    check_leg,
    finds_nothing,
    paths,
    point_ids,
    prepare,
)
from rag.index.edge_conditions import EdgeDialect, PointsOf
from rag.index.edge_documents import points_of
from rag.index.interface import DENSE, SPARSE, DenseLeg, Hit, Leg, Payload, Record, Stored, Where
from rag.index.narrowing import narrowing
from rag.schema import Scope, SparseVector

BATCH_POINTS = 256
BATCH_IDS = 1000
PAGE_POINTS = 512
# The log alone survives kill -9; flushing bounds what is replayed at the next start (2.6 s for 100,000 points) and
# what a power cut can cost.
FLUSH_EVERY_POINTS = 5000
RELEASE_EVERY_POINTS = 10_000
# Opening a shard drops what the system holds of its payloads, and a scan reads them in the order of the ids, which is
# none of the files': one that goes past this many points has them all read first (100,000: 2.4 s less).
BRING_IN_AFTER_POINTS = 4096
BRING_IN_BYTES = 1 << 30
FACET_TENANTS = 1000
WORTH_OPTIMIZING = 5000  # vectors: what is smaller wastes nothing worth a thought


class Shard:
    """An open shard in a folder. Safe to call from many threads; `closed` once `close` was called."""

    def __init__(self, folder: Path, dense_size: int, ids_tell_documents: bool) -> None:
        """Open the shard made by `create`; raises IndexUnavailable where its files are damaged."""
        self._folder = folder
        self._size = dense_size
        self._ids_tell_documents = ids_tell_documents
        self._unflushed = 0
        self._turn = threading.RLock()  # one call at a time is all the engine does, and `release` must be alone
        self.closed = False
        # Edge opens a folder without segments as an empty shard: lost files must not look like no documents.
        if not any(folder.glob("segments/*")):
            raise IndexUnavailable(f"the index at {folder} is damaged: its segments are missing; {_ADVICE}")
        with _engine(folder):
            self._edge = edge.EdgeShard.load(str(folder))

    @staticmethod
    def create(folder: Path, dense_size: int, ids_tell_documents: bool, idf: bool = True) -> None:
        """Make an empty shard with its payload indexes and close it again.

        `ids_tell_documents`: all that will have a `doc` has an id of `rag.point_ids`, so that needs no index. `idf`:
        sparse terms are weighed by their rarity.
        """
        modifier = edge.Modifier.Idf if idf else None
        config = edge.EdgeConfig(
            # Cold: mapped as it is read. Reading everything at the opening takes as long as the first query then
            # does, and memory of the size of the vectors in processes that only write.
            vectors={
                DENSE: edge.EdgeVectorParams(size=dense_size, distance=edge.Distance.Cosine, memory=edge.Memory.Cold)
            },
            sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=modifier)},
        )
        update = edge.UpdateOperation
        with _engine(folder):
            shard = edge.EdgeShard.create(str(folder), config)
            shard.update(update.create_field_index(TENANT, edge.KeywordIndexParams(is_tenant=True)))
            for field in (each for each in KEYWORD_FIELDS if each != DOCUMENT or not ids_tell_documents):
                shard.update(update.create_field_index(field, edge.PayloadSchemaType.Keyword))
            shard.flush()
            shard.close()

    def upsert(self, records: Sequence[Record], scope: Scope) -> None:
        """Write points; each batch is in the log when the engine returns. Nothing is written if one is malformed."""
        for ready in batches([self._checked(record, scope) for record in records], BATCH_POINTS):
            with self._engine():
                self._edge.update(edge.UpdateOperation.upsert_points([_point(record) for record in ready]))
            self._wrote(len(ready))

    def delete(self, ids: Sequence[str], scope: Scope) -> None:
        """Delete those of the ids that the scope sees."""
        for some in batches(point_ids(ids), BATCH_IDS):
            with self._engine():
                self._edge.update(edge.UpdateOperation.delete_points_by_filter(scope_filter(scope, ids=some)))
            self._wrote(len(some))

    def set_payload(self, ids: Sequence[str], payload: Payload, scope: Scope) -> None:
        """Put these fields into the payload of those of the ids that the scope sees."""
        fields = check_fields(payload)
        for some in batches(point_ids(ids) if fields else [], BATCH_IDS):
            visible = scope_filter(scope, ids=some)
            with self._engine():
                self._edge.update(edge.UpdateOperation.set_payload_by_filter(visible, fields))
            self._wrote(len(some))

    def query(
        self, legs: Sequence[Leg], scope: Scope, where: Where | None, fields: Sequence[str] = ()
    ) -> list[list[Hit]]:
        """Hits of each leg, best first."""
        selected = edge.PayloadSelector.Include(paths(fields)) if fields else False
        asked = [self._checked_leg(leg) for leg in legs if not finds_nothing(check_leg(leg))]
        with self._engine():
            visible = self._visible(scope, where)
            requests = [
                edge.QueryRequest(
                    limit=leg.limit, query=_query(leg), filter=visible, with_payload=selected, with_vector=False
                )
                for leg in asked
            ]
            answers = iter(self._edge.query_batch(edge.QueryBatchRequest(requests)) if requests else [])
        return [
            []
            if finds_nothing(leg)
            else best_first(leg, [Hit(_spelled(hit.id), hit.score, hit.payload or {}) for hit in next(answers)])
            for leg in legs
        ]

    def fetch(self, ids: Sequence[str], scope: Scope) -> list[Stored]:
        """The points of these ids that the scope sees, in the order asked for."""
        wanted = point_ids(ids)
        found: dict[str, Stored] = {}
        for some in batches(wanted, BATCH_IDS):
            request = edge.ScrollRequest(limit=len(some), filter=scope_filter(scope, ids=some), with_payload=True)
            with self._engine():
                page, _ = self._edge.scroll(request)
            found.update((str(record.id), Stored(str(record.id), record.payload or {})) for record in page)
        return [found[identity] for identity in wanted if identity in found]

    def vectors(self, ids: Sequence[str], scope: Scope) -> dict[str, Sequence[float]]:
        """The dense vectors of those of the ids that the scope sees, by id."""
        found: dict[str, Sequence[float]] = {}
        for some in batches(point_ids(ids), BATCH_IDS):
            request = edge.ScrollRequest(
                limit=len(some), filter=scope_filter(scope, ids=some), with_payload=False, with_vector=[DENSE]
            )
            with self._engine():
                page, _ = self._edge.scroll(request)
            found.update((each.id, each.dense) for each in map(_record, page) if len(each.dense))
        return found

    def scroll(
        self, scope: Scope, fields: Sequence[str] | None, where: Where | None, start: str | None = None
    ) -> Iterator[Stored]:
        """Every point that the scope sees, each once: pages follow the ids, so writes meanwhile repeat nothing."""
        (offset,) = point_ids([start]) if start is not None else (None,)
        with self._engine():
            return self._pages(self._visible(scope, where), fields, offset)

    def count(self, scope: Scope, where: Where | None) -> int:
        """How many points the scope sees, exactly."""
        with self._engine():
            return self._edge.count(edge.CountRequest(exact=True, filter=self._visible(scope, where)))

    def records(self, scope: Scope) -> Iterator[Record]:
        """Every point that the scope sees with its vectors, each once."""
        for found in self._scrolled(scope_filter(scope), True, True):
            yield _record(found)

    def tenants(self) -> list[str]:
        """The tenants that have points, by name."""
        known: list[str] = []
        while True:
            # A facet tells the most frequent values only: ask on for the others until there are none.
            rest = edge.Filter(must_not=[edge.FieldCondition(TENANT, edge.MatchAny(known))]) if known else None
            with self._engine():
                hits = self._edge.facet(edge.FacetRequest(TENANT, limit=FACET_TENANTS, exact=True, filter=rest)).hits
            if not hits:
                return sorted(known)
            known += [str(hit.value) for hit in hits]

    def points(self) -> int:
        """How many points there are, of all tenants."""
        with self._engine():
            return self._edge.count(edge.CountRequest(exact=True))

    def wasteful(self) -> bool:
        """Whether deleted points take up most of it.

        The engine tells of no deleted points, but it counts their vectors as indexed ones until `optimize`: one a
        living point before the first, two after it. More than three means that at least a third was deleted.
        """
        with self._engine():
            info = self._edge.info()
        return info.indexed_vectors_count > max(3 * info.points_count, WORTH_OPTIMIZING)

    def optimize(self) -> None:
        """Build the vector graph and merge segments; stops every thread of this process until done."""
        with self._engine():
            self._edge.flush()
            self._edge.optimize()

    def close(self) -> None:
        """Flush and release the files. Calling it twice is no error."""
        if not self.closed:
            self.closed = True
            with self._engine():
                self._edge.flush()
                self._edge.close()

    def discard(self) -> None:
        """Release the files of a shard whose folder is going away: nothing is flushed, no failure matters."""
        self.closed = True
        with suppress(IndexUnavailable), self._engine():
            self._edge.close()

    def _visible(self, scope: Scope, where: Where | None) -> edge.Filter:
        if not self._ids_tell_documents:
            return scope_filter(scope, where)
        return scope_filter(scope, where, points=lambda uris: points_of(self._edge, uris, scope))

    def _pages(self, visible: edge.Filter, fields: Sequence[str] | None, start: str | None) -> Iterator[Stored]:
        selected = True if fields is None else edge.PayloadSelector.Include(paths(fields)) if fields else False
        for record in self._scrolled(visible, selected, False, start):
            yield Stored(str(record.id), record.payload or {})

    def _scrolled(
        self, visible: edge.Filter, payload: bool | edge.PayloadSelector, vectors: bool, start: str | None = None
    ) -> Iterator[edge.Record]:
        offset: edge.PointId | None = start
        read = pages_read = 0
        while True:
            with self._engine():
                found, offset = self._edge.scroll(
                    edge.ScrollRequest(
                        offset=offset, limit=PAGE_POINTS, filter=visible, with_payload=payload, with_vector=vectors
                    )
                )
                read += len(found)
                if read >= RELEASE_EVERY_POINTS:
                    read = 0
                    pages.release(self._folder)
            pages_read += 1
            yield from found
            if offset is None:
                return
            if pages_read == BRING_IN_AFTER_POINTS // PAGE_POINTS and payload is not False:
                pages.bring_in(sorted(self._folder.glob("segments/*/payload_storage/*.dat")), BRING_IN_BYTES)

    def _checked(self, record: Record, scope: Scope) -> Record:
        ready = prepare(record, scope)
        if len(ready.dense) not in (0, self._size):
            raise BadInput(f"point {ready.id} has {len(ready.dense)} dimensions; the collection has {self._size}")
        return ready

    def _checked_leg(self, leg: Leg) -> Leg:
        if isinstance(leg, DenseLeg) and len(leg.vector) != self._size:
            raise BadInput(f"the query has {len(leg.vector)} dimensions; the collection has {self._size}")
        return leg

    def _wrote(self, points: int) -> None:
        self._unflushed += points
        if self._unflushed >= FLUSH_EVERY_POINTS:
            self._unflushed = 0
            with self._engine():
                self._edge.flush()
                pages.release(self._folder)

    @contextmanager
    def _engine(self) -> Iterator[None]:
        with self._turn, _engine(self._folder):
            yield


def scope_filter(
    scope: Scope, where: Where | None = None, ids: Sequence[str] | None = None, points: PointsOf | None = None
) -> edge.Filter:
    """The points that the scope sees, narrowed by `where` and to `ids`: all joined by AND.

    `points`: as EdgeDialect takes it.
    """
    must: list[edge.ConditionType] = [edge.FieldCondition(TENANT, edge.MatchValue(scope.tenant))]
    if scope.groups is not None:
        public: list[edge.ConditionType] = [edge.IsEmptyCondition(GROUPS)]
        shared = [edge.FieldCondition(GROUPS, edge.MatchAny(sorted(scope.groups)))] if scope.groups else []
        must.append(edge.Filter(should=[*public, *shared]))
    must.extend(narrowing(where, EdgeDialect(points)))
    if ids is not None:
        must.append(edge.HasIdCondition(set(ids)))
    return edge.Filter(must=must)


def _point(record: Record) -> edge.Point:
    vectors: dict[str, edge.NamedVector] = {}
    if len(record.dense):
        dense = record.dense
        # What is a list of floats already, as numpy's `tolist` gives, is not gone through once more.
        vectors[DENSE] = dense if type(dense) is list and type(dense[0]) is float else [float(each) for each in dense]
    if record.sparse.indices:
        vectors[SPARSE] = edge.SparseVector(list(record.sparse.indices), list(record.sparse.values))
    return edge.Point(record.id, vectors, dict(record.payload))


def _record(found: edge.Record) -> Record:
    vectors = found.vector if isinstance(found.vector, dict) else {}
    dense, sparse = vectors.get(DENSE), vectors.get(SPARSE)
    words = SparseVector(tuple(sparse.indices), tuple(sparse.values)) if isinstance(sparse, edge.SparseVector) else None
    flat = [value for value in dense if isinstance(value, float)] if isinstance(dense, list) else []
    return Record(str(found.id), flat, words or SparseVector((), ()), found.payload or {})


def _spelled(identity: edge.PointId) -> str:
    """As `str` has it, in two thirds of the time: a search asks for hundreds."""
    if not isinstance(identity, uuid.UUID):
        return str(identity)
    digits = identity.int.to_bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _query(leg: Leg) -> edge.Query:
    if isinstance(leg, DenseLeg):
        return edge.Query.Nearest([float(value) for value in leg.vector], using=DENSE)
    vector = edge.SparseVector(list(leg.vector.indices), list(leg.vector.values))
    return edge.Query.Nearest(vector, using=SPARSE)


_ADVICE = "restore it, or `librarian collections delete` it and ingest again"


@contextmanager
def _engine(folder: Path) -> Iterator[None]:
    # Edge raises a bare Exception for whatever its engine finds, and PanicException (a BaseException that it does not
    # export) where the engine's own code fails. Anything else is a mistake on this side of it.
    try:
        yield
    except BaseException as error:
        if type(error) is Exception or isinstance(error, OSError) or type(error).__name__ == "PanicException":
            reason = " ".join(str(error).split())[:300]
            raise IndexUnavailable(f"the index at {folder} failed: {reason}; {_ADVICE}") from error
        raise
