"""`librarian serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from librarian import Collection, DataDir, LlmUrl, QdrantUrl, Set


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.")] = None,
    collection: Collection = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    llm_url: LlmUrl = None,
    set_: Set = None,
) -> None:
    """Serve the API: OpenAI-compatible chat, search, models, health and metrics. Ctrl-C stops it."""
    from librarian import open_ingestor
    from rag.settings import load
    from serve.server import run_server

    flags = {
        "host": host,
        "port": port,
        "collection": collection,
        "data_dir": data_dir,
        "qdrant_url": qdrant_url,
        "llm_url": llm_url,
    }
    run_server(load(flags, pairs=set_).settings, open_ingestor=open_ingestor)
