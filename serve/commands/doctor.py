"""`librarian doctor`."""

from __future__ import annotations

import typer

from librarian import DataDir, Json, LlmUrl, QdrantUrl, Set


def doctor(
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    llm_url: LlmUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Check what is configured, what can be reached, which versions there are, and say what to fix.

    Exits 1 where something that is set cannot be used; what is not there yet is a note.
    """
    import asyncio
    import json

    from rag.settings import load
    from serve.diagnosis import diagnose

    flags = {"data_dir": data_dir, "qdrant_url": qdrant_url, "llm_url": llm_url}
    findings = asyncio.run(diagnose(load(flags, pairs=set_)))
    if json_:
        print(json.dumps([each.as_dict() for each in findings], indent=2))
    else:
        for each in findings:
            print(f"{each.state:4}  {each.what:14}  {each.found}")
            if each.fix:
                print(f"{'':22}→ {each.fix}")
    if any(each.state == "FAIL" for each in findings):
        raise typer.Exit(1)
