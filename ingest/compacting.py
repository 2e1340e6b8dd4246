"""The embedded index after an ingest: made smaller where most of it was deleted."""

from __future__ import annotations

import sys

from rag.errors import CollectionNotFound
from rag.index import Index
from rag.settings import Settings


def compact(index: Index, settings: Settings) -> None:
    """Make the settings' collection smaller where that is worth it, and say so on stderr.

    Only for a process that has the folder to itself and nothing else to do: it takes about a second for each thousand
    points that remain, and stops every other thread.
    """
    if not settings.compact:
        return
    try:
        if not index.wasteful(settings.collection):
            return
        points = index.describe(settings.collection).points
    except CollectionNotFound:
        return
    print(
        f"ingest: most of collection '{settings.collection}' was deleted: making it smaller, about "
        f"{max(1, points // 1000)} s (LIBRARIAN_COMPACT=false: never).",
        file=sys.stderr,
        flush=True,
    )
    index.optimize(settings.collection)
