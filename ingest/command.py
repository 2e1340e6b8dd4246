"""`librarian ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from librarian import Collection, DataDir, Json, QdrantUrl, Set, Tenant

if TYPE_CHECKING:
    from ingest.job import Report

SHOWN_FAILURES = 20
SOME_FAILED = 3


def ingest(
    source: Annotated[Path, typer.Argument(help="Folder (or one file) of Markdown, text and HTML documents.")],
    collection: Collection = None,
    tenant: Tenant = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    encoder: Annotated[str | None, typer.Option("--encoder", help="minilm, a model folder, or a hub name.")] = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Bring a collection in line with a folder: add what is new, replace what changed, delete what is gone.

    Run it again at any time: what has not changed is not embedded again, and a killed run is finished.
    """
    from ingest.job import IngestJob
    from ingest.progress import shown_progress
    from rag.encoders import dense_encoder, sparse_encoder
    from rag.index import open_index
    from rag.settings import load

    flags = {
        "collection": collection,
        "tenant": tenant,
        "data_dir": data_dir,
        "qdrant_url": qdrant_url,
        "encoder": encoder,
    }
    settings = load(flags, pairs=set_).settings
    index = open_index(settings)
    try:
        job = IngestJob(index, dense_encoder(settings), sparse_encoder(settings), settings)
        with shown_progress(quiet=json_) as on_progress:
            report = job.run(source, on_progress)
    finally:
        index.close()
    _print(report, json_)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def _print(report: Report, as_json: bool) -> None:
    import json
    import sys
    from dataclasses import asdict

    from librarian import one_line

    if as_json:
        print(json.dumps(asdict(report), indent=2, ensure_ascii=False))
        return
    print(
        f"{report.collection}: {report.added} added, {report.replaced} replaced, {report.deleted} deleted, "
        f"{report.kept} kept, {len(report.failed)} failed; {report.chunks} chunks written in {report.seconds:.1f} s"
    )
    if report.empty:
        names = ", ".join(report.empty[:3]) + (", …" if len(report.empty) > 3 else "")
        print(f"{len(report.empty)} documents hold no text and were left out: {one_line(names)}")
    if report.skipped:
        kinds = ", ".join(f"{count} {kind}" for kind, count in list(report.skipped.items())[:5])
        print(f"Files of types that are not read: {one_line(kinds)}")
    for path, reason in list(report.failed.items())[:SHOWN_FAILURES]:
        print(one_line(f"failed: {path}: {reason}"), file=sys.stderr)
    if len(report.failed) > SHOWN_FAILURES:
        print(f"failed: … and {len(report.failed) - SHOWN_FAILURES} more (--json names all)", file=sys.stderr)
