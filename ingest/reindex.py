"""Builds a collection anew with another encoder or chunker, beside the old one, and swaps the alias at once.

It works from Qdrant alone: a document is put together from its chunks, and cut and encoded again. Nothing else is
remembered, so a killed re-index is finished by running it again:

- the new collection has the name that its fingerprint gives it, and what is whole in it is not done again;
- before the alias moves, `ALIAS.leaving` names the old collection: what that names, and `ALIAS` does not, is to be
  deleted.

Documents that jobs change in the old collection meanwhile are caught up with: passes are made until one finds nothing
to do; the last of them, and the swap, while no job may write.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ingest.chunking import DEFAULT_CHUNK_TOKENS, chunker_name
from ingest.lease import all_out, lease
from ingest.moving import Moved, Mover
from ingest.options import Shard
from ingest.pipeline import WINDOW
from ingest.report import Progress
from ingest.writer import Writer
from rag.collections import check_readable, differences, fingerprint, make_unnamed, own_name
from rag.encoders import DenseEncoder, SparseEncoder
from rag.errors import BadInput, Cancelled, CollectionExists, CollectionNotFound, IndexUnavailable
from rag.index.interface import CollectionInfo, Index
from rag.payload import HEADS
from rag.schema import DEFAULT_TENANT, Scope
from rag.settings import Settings

# A source that changes faster than it is copied is not waited for: the last passes keep its writers out.
MAX_PASSES = 5
MAX_LAST_PASSES = 3


@dataclass(slots=True)
class Reindexed:
    """What a re-index did. `changes` says in words what differed from the old collection; none: nothing was to do.

    `documents` are in the new collection; of these `written` were written now. `incomplete` names documents of which
    the old collection held only a part (a killed job's), so they are not in the new one: ingest their source again.
    """

    collection: str
    old: str
    new: str | None = None
    changes: list[str] = field(default_factory=list)
    documents: int = 0
    written: int = 0
    deleted: int = 0
    chunks: int = 0
    incomplete: list[str] = field(default_factory=list)
    deleted_collections: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Reindex:
    """Brings one alias to a collection of these encoders and their chunker. `run` once."""

    def __init__(
        self,
        index: Index,
        dense: DenseEncoder,
        sparse: SparseEncoder,
        settings: Settings,
        batch: int = WINDOW,
        on_progress: Callable[[Progress], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """`batch`: chunks that are encoded and written together."""
        self._index = index
        self._dense = dense
        self._sparse = sparse
        self._settings = settings
        self._batch = batch
        self._on_progress = on_progress
        self._cancelled = cancelled
        self._alias = settings.collection
        self._leaving = f"{self._alias[:119]}.leaving"
        self._tokens = min(settings.chunk_tokens or DEFAULT_CHUNK_TOKENS, dense.max_tokens)
        self._expected = {**fingerprint(dense, sparse), "chunker": chunker_name(self._tokens)}
        self._encoded = 0

    def run(self, keep_old: bool = False) -> Reindexed:
        """Re-index. With `keep_old` the old collection stays, without an alias, to swap back to.

        Raises BadInput where the name is no alias, CollectionNotFound, CollectionExists where readers use the
        collection that would be written, IndexLocked where another job writes, IndexUnavailable and Cancelled. In
        every case readers go on with the old collection, and running it again goes on from there.
        """
        started = time.monotonic()
        info = self._index.describe(self._alias)
        if self._alias not in info.aliases:
            named = " or ".join(info.aliases) or f"librarian collections alias NAME {info.name}"
            raise BadInput(f"'{self._alias}' is a collection's own name; a re-index moves an alias: {named}")
        report = Reindexed(self._alias, info.name, changes=differences(info, self._expected))
        self._finish_leaving(info, keep_old, report)
        if report.changes:
            report.new = own_name(self._alias, self._expected)
            mine = self._settings.model_copy(update={"collection": report.new, "tenant": DEFAULT_TENANT})
            with lease(self._index, mine, Shard()) as held:
                self._make(report.new)
                self._replace(info, report.new, keep_old, report, held.check)
        report.seconds = time.monotonic() - started
        return report

    def _replace(
        self, old: CollectionInfo, new: str, keep_old: bool, report: Reindexed, check: Callable[[], None]
    ) -> None:
        for _ in range(MAX_PASSES):
            if not self._pass(old, new, report, check, thorough=False):
                break
        drop_old = not keep_old and not set(old.aliases) - {self._alias, self._leaving}
        with all_out(self._index, self._settings, lambda: self._tenants(old.name, new)) as gate:

            def both() -> None:
                check()
                gate.check()

            for _ in range(MAX_LAST_PASSES):
                if not self._pass(old, new, report, both, thorough=True):
                    break
            else:
                raise IndexUnavailable(
                    f"'{new}' differs from '{old.name}' again after it was made like it {MAX_LAST_PASSES} times: "
                    "something else writes one of them. Stop that and run this again."
                )
            both()
            if drop_old:
                self._index.set_alias(self._leaving, old.name)
            self._index.set_alias(self._alias, new)
        if drop_old:
            self._drop(old.name, report)

    def _pass(self, old: CollectionInfo, new: str, report: Reindexed, check: Callable[[], None], thorough: bool) -> int:
        """Make the new collection like the old one; how many documents had to be touched for that."""
        tenants = self._tenants(old.name, new)
        total = sum(self._index.count(old.name, Scope.owner(each), HEADS) for each in tenants)
        before = Moved()

        def tell(moved: Moved, chunks: int) -> None:
            check()
            if self._cancelled():
                raise Cancelled("the re-index was cancelled; running it again goes on from there.")
            self._encoded += chunks
            kept = before.kept + moved.kept
            done = before.written + moved.written
            self._on_progress(Progress(max(0, total - kept), True, done, kept, self._encoded, stage="writing"))

        report.documents, report.incomplete = 0, []
        for tenant in tenants:
            scope = Scope.owner(tenant)
            writer = Writer(self._index, new, scope, self._sparse, self._expected["chunker"])
            mover = Mover(self._index, old, scope, writer, self._dense, self._tokens, self._batch, tell)
            moved = mover.move(new, thorough)
            before = replace(
                before,
                kept=before.kept + moved.kept,
                written=before.written + moved.written,
                deleted=before.deleted + moved.deleted,
                restamped=before.restamped + moved.restamped,
            )
            report.documents += moved.kept + moved.written + moved.restamped
            report.written += moved.written
            report.deleted += moved.deleted
            report.chunks += moved.chunks
            report.incomplete += moved.incomplete
        return before.touched

    def _finish_leaving(self, info: CollectionInfo, keep_old: bool, report: Reindexed) -> None:
        """Delete what a run that was killed after its swap had left to delete."""
        try:
            left = self._index.describe(self._leaving)
        except CollectionNotFound:
            return
        if left.name == info.name or keep_old or set(left.aliases) != {self._leaving}:
            self._index.drop_alias(self._leaving)
        else:
            self._drop(left.name, report)

    def _drop(self, name: str, report: Reindexed) -> None:
        with suppress(CollectionNotFound):
            self._index.drop(name)
        report.deleted_collections.append(name)

    def _make(self, new: str) -> None:
        make_unnamed(self._index, self._alias, self._expected, self._dense.dimension)
        known = self._index.describe(new)
        check_readable(known, self._expected)
        if known.aliases:
            raise CollectionExists(
                f"collection '{new}' is in use as {', '.join(known.aliases)}: to read it under this name too, "
                f"`librarian collections swap {self._alias} {new}`; to build it anew, delete it first."
            )

    def _tenants(self, old: str, new: str) -> list[str]:
        return sorted({*self._index.tenants(old), *self._index.tenants(new)})
