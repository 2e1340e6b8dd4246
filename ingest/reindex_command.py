"""`librarian reindex`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from librarian import Collection, DataDir, Json, QdrantUrl, Set

if TYPE_CHECKING:
    from ingest.reindex import Reindexed


def reindex(
    collection: Collection = None,
    encoder: Annotated[str | None, typer.Option("--encoder", help="minilm, a model folder, or a hub name.")] = None,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Keep the old collection, to swap back to (librarian collections swap).")
    ] = False,
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=65536, help="Chunks that are encoded and written together.")
    ] = 1024,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Build a collection anew with another encoder or chunker, then let its name mean the new one at once.

    The sources are not needed. Readers use the old collection until the new one is whole; a killed run is finished by
    running it again. Set the new encoder for `librarian up` and `serve` too, and start them again after the swap.

      librarian reindex --encoder models/tuned           another encoder
      librarian reindex --set chunk_tokens=128           smaller chunks
      librarian reindex --encoder models/tuned --keep-old
    """
    from ingest.progress import shown_progress
    from ingest.reindex import Reindex
    from rag.encoders import dense_encoder, sparse_encoder
    from rag.index import open_alone
    from rag.settings import load

    flags = {"collection": collection, "encoder": encoder, "data_dir": data_dir, "qdrant_url": qdrant_url}
    settings = load(flags, pairs=set_).settings
    index = open_alone(settings)
    try:
        with shown_progress(quiet=json_) as on_progress:
            job = Reindex(index, dense_encoder(settings), sparse_encoder(settings), settings, batch, on_progress)
            report = job.run(keep_old)
    finally:
        index.close()
    _print(report, json_)


def _print(report: Reindexed, as_json: bool) -> None:
    import json
    import sys
    from dataclasses import asdict

    from librarian import one_line

    if as_json:
        print(json.dumps(asdict(report), indent=2, ensure_ascii=False))
        return
    if report.new is None:
        print(one_line(f"{report.collection}: nothing to do, {report.old} is built with these settings."))
    else:
        for change in report.changes:
            print(one_line(f"{report.collection}: {change}"))
        print(
            one_line(
                f"{report.collection}: now {report.new}, was {report.old}; {report.documents} documents, "
                f"{report.written} of them and {report.chunks} chunks written in {report.seconds:.1f} s"
            )
        )
    for name in report.deleted_collections:
        print(one_line(f"Deleted the old collection {name}."))
    if report.new and report.old not in report.deleted_collections:
        back = f"librarian collections swap {report.collection} {report.old}"
        print(one_line(f"The old collection stays. To go back: {back}"))
    if report.incomplete:
        names = ", ".join(report.incomplete[:3]) + (", …" if len(report.incomplete) > 3 else "")
        print(
            one_line(
                f"{len(report.incomplete)} documents were only half there (a killed job's) and were left out; ingest "
                f"their source again: {names}"
            ),
            file=sys.stderr,
        )
