"""`librarian ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from librarian import Collection, DataDir, Json, QdrantUrl, Set, Tenant

SOME_FAILED = 3
DRIFT = 11


def ingest(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE…",
            help="A file, folder, glob, archive, .jsonl or BEIR corpus, git repository, sitemap, https:// page, or "
            "s3:// gs:// folder.",
        ),
    ] = None,
    collection: Collection = None,
    tenant: Tenant = None,
    groups: Annotated[
        str | None, typer.Option("--groups", help="Groups that may read the documents, comma-separated; none: all.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", "-m", metavar="KEY=VALUE", help="Stored with every document.")
    ] = None,
    include: Annotated[list[str] | None, typer.Option("--include", help="Only files that match this glob.")] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="No files that match this glob.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and do nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare index and source, change nothing; exit code 11 where they differ.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="Delete documents that are gone from the source.")
    ] = True,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N", help="Only part I (from 0) of N; auto/N takes I from the Job's pod."),
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes that read documents.")] = None,
    max_failures: Annotated[
        float | None,
        typer.Option("--max-failures", help="Stop once this share (below 1) or number of documents has failed."),
    ] = None,
    retry: Annotated[
        Path | None, typer.Option("--retry", metavar="FILE", help="Only the documents of this failures file.")
    ] = None,
    failures: Annotated[
        Path | None,
        typer.Option("--failures", metavar="FILE", help="Write failures here, not to DATA_DIR/failures/."),
    ] = None,
    encoder: Annotated[str | None, typer.Option("--encoder", help="minilm, a model folder, or a hub name.")] = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Bring a collection in line with its sources: add what is new, replace what changed, delete what is gone.

    Run it again at any time: what has not changed is not embedded again, and a killed run is finished.

      librarian ingest docs                              a folder
      librarian ingest docs --dry-run                    what would be done
      librarian ingest docs --check                      does the index hold just that?
      librarian ingest a.pdf b.docx mail.zip             files and archives
      librarian ingest --retry .librarian/failures/documents.jsonl
    """
    from ingest import commanding, reporting
    from rag.errors import BadInput
    from rag.settings import load

    flags = {
        "collection": collection,
        "tenant": tenant,
        "data_dir": data_dir,
        "qdrant_url": qdrant_url,
        "encoder": encoder,
        "ingest_workers": workers,
        "max_failures": max_failures,
    }
    settings = load(flags, pairs=set_).settings
    asked = commanding.asked(
        settings, sources or [], groups, metadata or [], include or [], exclude or [], prune, shard, retry, failures
    )
    if retry is not None and (dry_run or check):
        raise BadInput("--retry tries documents again: it goes with neither --dry-run nor --check.")
    if dry_run:
        reporting.print_plan(commanding.plan(asked), json_)
    elif check:
        drift = commanding.check(asked)
        reporting.print_drift(drift, json_)
        if drift.any:
            raise typer.Exit(DRIFT)
    else:
        report = commanding.run(asked, quiet=json_)
        reporting.print_report(report, json_, asked.failures_file)
        if report.failures:
            raise typer.Exit(SOME_FAILED)
