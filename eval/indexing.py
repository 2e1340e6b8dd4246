"""The documents of a dataset in an index, by the same ingestion that everyone's documents go through."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from eval.datasets import NO_DOCUMENTS, Dataset
from eval.errors import IndexingFailed
from eval.matching import names_anywhere, names_below
from eval.progress import Show
from rag.collections import fingerprint
from rag.encoders import DenseEncoder, SparseEncoder, identity
from rag.errors import BadInput, CollectionNotFound, FingerprintMismatch
from rag.feeding import JOB_SETTINGS, Handed, Ingestor
from rag.index.interface import Index
from rag.jobs import Job
from rag.payload import HEADS
from rag.schema import Scope
from rag.settings import Settings

FOLDER = "eval"
# How the names of evaluations' collections begin; on a Qdrant server they stand beside people's.
OWN_PREFIX = "eval-"
POLL_SECONDS = 0.1

# The command hands in the ingestion engine, which this package does not import.
OpenIngestor = Callable[[Settings, Index, DenseEncoder, SparseEncoder], Ingestor]


@dataclass(frozen=True, slots=True)
class Indexed:
    """A collection to be asked. `names` holds each document's name by its URI, `missing` judged documents that are not
    there, `warnings` what people should know of it; `built_with` is what the collection says of its encoders."""

    collection: str
    names: Mapping[str, str]
    chunks: int
    missing: frozenset[str]
    built_with: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def own_index(settings: Settings) -> Settings:
    """The same settings with an index of its own: evaluations never meet people's collections, nor a server's lock.

    On a Qdrant server their collections stand beside the others and are named `eval-…`.
    """
    return settings.model_copy(update={"data_dir": settings.data_dir / FOLDER})


def collection_name(dataset: Dataset, settings: Settings, dense: DenseEncoder, sparse: SparseEncoder) -> str:
    """The same for all settings that index a dataset's documents alike, whatever they say of retrieval."""
    known = fingerprint(dense, sparse)
    built = {**known, "dense": identity(known["dense"]), "chunk_tokens": settings.chunk_tokens}
    facts = json.dumps([str(dataset.source), built], sort_keys=True, default=str)
    readable = re.sub(r"[^a-z0-9]+", "-", dataset.name.lower()).strip("-")[:32] or "dataset"
    return f"{OWN_PREFIX}{readable}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}"


def bring_in(
    index: Index,
    settings: Settings,
    dataset: Dataset,
    encoders: tuple[DenseEncoder, SparseEncoder],
    open_ingestor: OpenIngestor,
    show: Show,
) -> Indexed:
    """Bring the dataset's collection in line with its documents; where nothing changed, only a plan is made.

    Raises IndexingFailed, and what opening the ingestion raises.
    """
    name = collection_name(dataset, settings, *encoders)
    with closing(open_ingestor(settings, index, *encoders)) as ingestor:
        job = _run(ingestor, _handed(dataset, settings, name, encoders), settings, show)
        if job.error and job.error.code == FingerprintMismatch.code:
            # Cut by another version of the chunker: nobody else's collection, so it is built anew.
            drop(index, name)
            job = _run(ingestor, _handed(dataset, settings, name, encoders), settings, show)
    if job.error:
        failed = IndexingFailed(f"the documents of {dataset.folder} could not be indexed: {job.error.message}")
        failed.exit_code = job.error.exit_code
        raise failed
    uris = _uris(index, name, settings)
    return _indexed(index, name, settings, dataset, names_below(uris, dataset.source, dataset.beir), _warnings(job))


def existing(index: Index, settings: Settings, dataset: Dataset, name: str) -> Indexed:
    """A collection that is there already, with the documents whose URIs or paths end as the judgements name them.

    Raises CollectionNotFound, and BadInput where it holds none of the judged documents.
    """
    judged = dataset.judged_documents
    names = names_anywhere(_uris(index, name, settings), judged)
    found = _indexed(index, name, settings, dataset, names, ())
    if found.missing == judged:
        raise BadInput(
            f"collection '{name}' holds none of the {len(judged)} documents that {dataset.folder} judges, such as "
            f"'{min(judged)}': its URIs and paths end otherwise."
        )
    return found


def every_document(index: Index, settings: Settings, name: str, wanted: Collection[str] = ()) -> Indexed:
    """A collection with all its documents; those that `wanted` means, by their URI or the end of their path, are named
    so, the others by their URI. Raises CollectionNotFound."""
    return Indexed(
        collection=name,
        names=names_anywhere(_uris(index, name, settings), wanted),
        chunks=index.count(name, Scope.owner(settings.tenant)),
        missing=frozenset(),
        built_with=index.describe(name).spec.metadata,
    )


def drop(index: Index, name: str) -> None:
    """Delete a collection, if it is there."""
    with suppress(CollectionNotFound):
        index.drop(index.describe(name).name)


def _handed(dataset: Dataset, settings: Settings, name: str, encoders: tuple[DenseEncoder, SparseEncoder]) -> Handed:
    return Handed(
        action="run",
        sources=(str(dataset.source),),
        collection=name,
        tenant=settings.tenant,
        fingerprint=fingerprint(*encoders),
        options={"max_failures": settings.max_failures},
        settings=settings.model_dump(mode="json", include=set(JOB_SETTINGS)),
        exclude=NO_DOCUMENTS if dataset.source == dataset.folder else (),
    )


def _run(ingestor: Ingestor, handed: Handed, settings: Settings, show: Show) -> Job:
    scope = Scope.owner(settings.tenant)
    job = ingestor.ingest(handed)
    while not job.ended:
        time.sleep(POLL_SECONDS)
        job = ingestor.job(job.id, scope)
        if progress := job.progress:
            settled = progress["done"] + progress["kept"] + progress["failed"]
            known = progress["documents"] + progress["kept"] + progress["failed"] if progress["listed"] else None
            show("Indexing", settled, known, f"documents · {progress['chunks']} chunks")
    return job


def _uris(index: Index, name: str, settings: Settings) -> list[str]:
    heads = index.scroll(name, Scope.owner(settings.tenant), ["doc"], HEADS)
    return [str(each.payload["doc"]) for each in heads]


def _indexed(
    index: Index,
    name: str,
    settings: Settings,
    dataset: Dataset,
    names: Mapping[str, str],
    warnings: tuple[str, ...],
) -> Indexed:
    missing = dataset.judged_documents - set(names.values())
    if missing:
        shown = f"{len(missing)} judged documents are not in the index and cannot be found, such as '{min(missing)}'."
        warnings = (*warnings, shown)
    return Indexed(
        collection=name,
        names=names,
        chunks=index.count(name, Scope.owner(settings.tenant)),
        missing=frozenset(missing),
        built_with=index.describe(name).spec.metadata,
        warnings=warnings,
    )


def _warnings(job: Job) -> tuple[str, ...]:
    report = job.report or {}
    found = []
    if count := report.get("failures"):
        first = report["failed"][0]
        found.append(f"{count} documents could not be read; the first is {first['path']}: {first['reason']}")
    if count := report.get("empties"):
        found.append(f"{count} documents hold no text, such as {report['empty'][0]}.")
    return tuple(found)
