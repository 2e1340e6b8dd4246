"""`librarian ask`."""

from __future__ import annotations

from typing import Annotated

import typer

from librarian import Collection, DataDir, Groups, Json, LlmUrl, QdrantUrl, Set, Tenant, Where


def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", help="Passages to retrieve.")] = None,
    filter_: Where = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Model or adapter to answer; none: the one in service.")
    ] = None,
    collection: Collection = None,
    tenant: Tenant = None,
    groups: Groups = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    llm_url: LlmUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Answer a question from the documents: the answer streams with numbered citations, then come the sources.

    Needs a chat model: run `librarian up` (or `librarian model`) in another terminal, or set --llm-url.
    """
    import asyncio
    import json
    import os
    import sys

    from rag.filters import from_text
    from rag.settings import load
    from serve import asking
    from serve.terminal import print_answer

    flags = {
        "top_k": top_k,
        "collection": collection,
        "tenant": tenant,
        "groups": groups,
        "data_dir": data_dir,
        "qdrant_url": qdrant_url,
        "llm_url": llm_url,
    }
    settings = load(flags, pairs=set_).settings
    where = from_text(filter_) if filter_ is not None else None
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 — a device, not a path
        shown = print_answer(asking.ask(settings, question, top_k, where, profile), nowhere if json_ else sys.stdout)
        context, text, end = asyncio.run(shown)
    if json_:
        answer = {
            "question": question,
            "answer": text,
            "context": context,
            "citations": end.citations if end else [],
            "dropped": end.dropped if end else [],
            "abstained": bool(end and end.abstained),
            "timings_ms": end.timings_ms if end else {},
        }
        print(json.dumps(answer, indent=2, ensure_ascii=False))
