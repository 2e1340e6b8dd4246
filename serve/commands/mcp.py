"""`librarian mcp`."""

from __future__ import annotations

from librarian import Collection, DataDir, Groups, LlmUrl, QdrantUrl, Set, Tenant


def mcp(
    collection: Collection = None,
    tenant: Tenant = None,
    groups: Groups = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    llm_url: LlmUrl = None,
    set_: Set = None,
) -> None:
    """Offer `search` and `answer` to an assistant over stdin and stdout (Model Context Protocol)."""
    import asyncio

    from rag.settings import load
    from serve.mcp_stdio import run

    flags = {
        "collection": collection,
        "tenant": tenant,
        "groups": groups,
        "data_dir": data_dir,
        "qdrant_url": qdrant_url,
        "llm_url": llm_url,
    }
    asyncio.run(run(load(flags, pairs=set_).settings))
