"""`librarian collections snapshot` and `restore`."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.collections_command import Name, opened, tell
from librarian import DataDir, Json, QdrantUrl, Set


def snapshot(
    name: Name,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]",
            help="A new file, or a folder ending in / (also s3://…/, gs://…/); default: NAME-TIME.jsonl.gz here.",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, metavar="N", help="Of a folder's snapshots of NAME, keep the latest N only."),
    ] = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Write a collection into one file. It can be restored into the embedded index and into a Qdrant server alike.

    librarian collections snapshot documents backup.gz

    librarian collections snapshot documents s3://backups/librarian/ --keep 14
    """
    from ingest.snapshot_places import open_place
    from rag.index.snapshots import snapshot as write

    with opened(data_dir, qdrant_url, set_) as index:
        info = index.describe(name)
        place = open_place(target, name if target else info.name, keep)
        with place.writing() as file:
            made = write(index, info.name, file)
            size = file.stat().st_size
    deleted = place.prune()
    gone = f"; deleted {len(deleted)} older: {', '.join(deleted)}" if deleted else ""
    tell(
        json_,
        f"{place.shown}: {made.points} points of {made.collection}, {size / 1e6:.1f} MB{gone}",
        file=place.shown,
        collection=made.collection,
        points=made.points,
        bytes=size,
        deleted=deleted,
    )


def restore(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE", help="What snapshot wrote: a file or URL, or a folder ending in /: its latest."),
    ],
    as_: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Name; default: the one it had.")] = None,
    alias: Annotated[str | None, typer.Option("--alias", metavar="ALIAS", help="Let this alias name it.")] = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Make a collection from a snapshot, under a name that is free. The file is checked before anything is made.

    librarian collections restore backup.gz --as documents-copy --alias documents
    """
    from ingest.snapshot_places import reading
    from rag.index.snapshots import restore as read

    with opened(data_dir, qdrant_url, set_) as index, reading(source) as (file, shown):
        held = read(index, file, as_)
        name = as_ or held.collection
        if alias:
            index.set_alias(alias, name)
    named = f"{alias} names it." if alias else f"To read it: librarian collections alias NAME {name}"
    tell(
        json_,
        f"{name}: {held.points} points from {shown}. {named}",
        collection=name,
        points=held.points,
        alias=alias,
        made=held.made,
    )
