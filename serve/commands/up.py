"""`librarian up`."""

from __future__ import annotations

from typing import Annotated

import typer

from librarian import Collection, DataDir, LlmUrl, QdrantUrl, Set


def up(
    host: Annotated[str | None, typer.Option("--host", help="Address the API listens on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port the API listens on.")] = None,
    ask: Annotated[str | None, typer.Option("--ask", help="Ask this once everything runs.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after that question.")] = False,
    collection: Collection = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    llm_url: LlmUrl = None,
    set_: Set = None,
) -> None:
    """Start the local engine and the API together. Ctrl-C stops both, and nothing else.

    Where LIBRARIAN_LLM_URL (or --llm-url) names a model server, that one is used and no engine is started.
    """
    from librarian import open_ingestor
    from rag.settings import load
    from serve.together import for_a_terminal, run_together

    flags = {
        "host": host,
        "port": port,
        "collection": collection,
        "data_dir": data_dir,
        "qdrant_url": qdrant_url,
        "llm_url": llm_url,
    }
    run_together(for_a_terminal(load(flags, pairs=set_)), ask, once, open_ingestor)
