"""The ingestion job: source to bytes to Documents to Chunks to vectors to points. Run it again to finish a killed one.

New chunks are written before old ones are deleted, and every write can be repeated, so at any moment the index holds
for each document its old content, its new one, or both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.chunking import Prepared, chunk, chunker_name
from ingest.loading import EmptyDocument, SourceFile, content_hash, load
from ingest.reconcile import Actual, Plan, actual_documents, plan
from ingest.sources import Source, find
from rag.collections import Fingerprint, find_for_writing, fingerprint, make
from rag.encoders import MAX_CHUNK_TOKENS, Bm25Encoder, LocalEncoder
from rag.errors import SourceError
from rag.index.interface import Index, Record
from rag.payload import LEDGER_FIELDS, point_id, to_payload
from rag.schema import Document, Scope
from rag.settings import Settings

# Chunks encoded in one call: enough for length-sorting to pay, few enough to show progress and lose little.
BATCH_CHUNKS = 256


@dataclass(slots=True)
class Report:
    """What a job did. Documents are counted, and named where they failed or were empty."""

    collection: str
    source: str
    added: int = 0
    replaced: int = 0
    kept: int = 0
    deleted: int = 0
    chunks: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands: documents to write and written, chunks written, documents that failed."""

    documents: int
    done: int
    chunks: int
    failed: int


@dataclass(frozen=True, slots=True)
class _Work:
    document: Document
    prepared: Sequence[Prepared]
    replaces: bool


class IngestJob:
    """Brings one collection in line with one source."""

    def __init__(self, index: Index, dense: LocalEncoder, sparse: Bm25Encoder, settings: Settings) -> None:
        self._index = index
        self._dense = dense
        self._sparse = sparse
        self._settings = settings
        self._scope = Scope.owner(settings.tenant)

    def run(self, path: Path, on_progress: Callable[[Progress], None] = lambda _: None) -> Report:
        """Reconcile. Raises SourceError where the source cannot be read at all, before anything is written.

        A document that fails is in the report; what was indexed of it before stays.
        """
        started = time.monotonic()
        source = find(path)
        report = Report(self._settings.collection, str(path), skipped=source.skipped)
        chunker = chunker_name(self._chunk_tokens)
        expected = {**fingerprint(self._dense, self._sparse), "chunker": chunker}
        collection = _Collection(self._index, self._settings.collection, expected, self._dense)

        points = self._index.scroll(collection.name, self._scope, LEDGER_FIELDS) if collection.name else ()
        actual = actual_documents(points, source.prefix)
        desired = self._desired(source, report)
        steps = plan(desired, [*report.failed, *_below(source.unlisted, actual)], actual)
        report.failed.update(
            (each.uri, "the folder cannot be listed: what is in it was left as it is.") for each in source.unlisted
        )
        report.kept = len(steps.keep)
        changed = {*steps.add, *steps.replace}
        todo = [each for each in source.files if each.uri in changed]
        on_progress(Progress(len(todo), 0, 0, len(report.failed)))
        for batch in self._batches(todo, steps, report):
            self._write(collection.made(), batch, actual, chunker, report)
            done = report.added + report.replaced + len(report.empty)
            on_progress(Progress(len(todo), done, report.chunks, len(report.failed)))
        if collection.name:
            self._delete(collection.name, [*steps.delete, *report.empty], actual, report)
        shown = {each.uri: each.path for each in (*source.files, *source.unlisted)}
        report.failed = {shown[uri]: reason for uri, reason in report.failed.items()}
        report.empty = [shown[uri] for uri in report.empty]
        report.seconds = time.monotonic() - started
        return report

    @property
    def _chunk_tokens(self) -> int:
        limit = self._settings.chunk_tokens or MAX_CHUNK_TOKENS
        return min(limit, self._dense.max_tokens)

    def _desired(self, source: Source, report: Report) -> dict[str, str]:
        """Content hash by URI of every file that can be read; the others go into the report as failed."""
        desired: dict[str, str] = {}
        for file in source.files:
            try:
                desired[file.uri] = content_hash(self._read(file), (), {})
            except SourceError as error:
                report.failed[file.uri] = str(error)
        return desired

    def _read(self, file: SourceFile) -> bytes:
        limit = self._settings.max_document_bytes
        if file.size > limit:
            raise SourceError(
                f"it has {file.size / 1e6:.1f} MB, more than the {limit / 1e6:.1f} MB of LIBRARIAN_MAX_DOCUMENT_BYTES."
            )
        try:
            with file.location.open("rb") as opened:
                data = opened.read(limit + 1)  # it may have grown since it was listed
        except OSError as error:
            raise SourceError(f"it cannot be read: {error.strerror or error}.") from None
        if len(data) > limit:
            raise SourceError(f"it has more than the {limit / 1e6:.1f} MB of LIBRARIAN_MAX_DOCUMENT_BYTES.")
        return data

    def _batches(self, files: Sequence[SourceFile], steps: Plan, report: Report) -> Iterator[list[_Work]]:
        """Loaded and chunked documents, enough together to keep the encoder busy."""
        replaced = frozenset(steps.replace)
        batch: list[_Work] = []
        for file in files:
            try:
                document = load(file, self._read(file))
            except EmptyDocument:
                report.empty.append(file.uri)
                continue
            except SourceError as error:
                report.failed[file.uri] = str(error)
                continue
            prepared = chunk(document, self._dense, self._chunk_tokens)
            if not prepared:  # nothing but link definitions
                report.empty.append(file.uri)
                continue
            batch.append(_Work(document, prepared, file.uri in replaced))
            if sum(len(each.prepared) for each in batch) >= BATCH_CHUNKS:
                yield batch
                batch = []
        if batch:
            yield batch

    def _write(
        self, name: str, batch: Sequence[_Work], actual: Mapping[str, Actual], chunker: str, report: Report
    ) -> None:
        texts = [each.embedded for work in batch for each in work.prepared]
        vectors = iter(self._dense.encode_documents(texts))
        for work in batch:
            records = [
                Record(
                    id=point_id(work.document, prepared.chunk.ordinal, chunker, self._scope),
                    dense=next(vectors).tolist(),
                    sparse=self._sparse.encode_document(prepared.embedded),
                    payload=to_payload(work.document, prepared.chunk, len(work.prepared)),
                )
                for prepared in work.prepared
            ]
            self._index.upsert(name, records, self._scope)
            before = actual.get(work.document.uri)
            if before:
                written = {each.id for each in records}
                stale = [each for each in before.stale(None) if each not in written]
                self._index.delete(name, stale, self._scope)
            report.chunks += len(records)
            if work.replaces:
                report.replaced += 1
            else:
                report.added += 1

    def _delete(self, name: str, uris: Sequence[str], actual: Mapping[str, Actual], report: Report) -> None:
        """Take out documents that are gone from the source (or hold no text any more)."""
        gone = [actual[uri] for uri in uris if uri in actual]
        self._index.delete(name, [each for found in gone for each in found.stale(None)], self._scope)
        report.deleted = len(gone)


class _Collection:
    """The job's collection: checked at once, made only when there is a first document to write."""

    def __init__(self, index: Index, alias: str, expected: Fingerprint, dense: LocalEncoder) -> None:
        """Raises FingerprintMismatch where there is one that was built with something else."""
        self._index = index
        self._alias = alias
        self._expected = expected
        self._dense = dense
        self.name = find_for_writing(index, alias, expected)

    def made(self) -> str:
        """Its name; makes it where there is none yet."""
        self.name = self.name or make(self._index, self._alias, self._expected, self._dense.dimension)
        return self.name


def _below(folders: Sequence[SourceFile], uris: Iterable[str]) -> list[str]:
    return [uri for uri in uris if any(uri.startswith(folder.uri) for folder in folders)]
