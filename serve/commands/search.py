"""`librarian search`."""

from __future__ import annotations

from typing import Annotated

import typer

from librarian import Collection, DataDir, Groups, Json, QdrantUrl, Set, Tenant, Where


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", help="Passages to show.")] = None,
    filter_: Where = None,
    collection: Collection = None,
    tenant: Tenant = None,
    groups: Groups = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Show the passages that match best: score, source, heading path, text. No chat model is needed."""
    import asyncio
    import json
    import sys

    from rag.filters import from_text
    from rag.settings import load
    from serve import asking
    from serve.terminal import print_passages

    flags = {
        "top_k": top_k,
        "collection": collection,
        "tenant": tenant,
        "groups": groups,
        "data_dir": data_dir,
        "qdrant_url": qdrant_url,
    }
    settings = load(flags, pairs=set_).settings
    where = from_text(filter_) if filter_ is not None else None
    found = asyncio.run(asking.search(settings, query, top_k, where))
    if json_:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif found["data"]:
        print_passages(found["data"], sys.stdout)
    else:
        print(
            "nothing found: the collection holds no passage that you may see"
            + ("." if where is None else " and that the filter keeps.")
        )
