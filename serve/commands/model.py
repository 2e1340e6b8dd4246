"""`librarian model`."""

from __future__ import annotations

from typing import Annotated

import typer

from librarian import DataDir, Set


def model(
    port: Annotated[int | None, typer.Option("--port", help="Port on 127.0.0.1.")] = None,
    engine_model: Annotated[str | None, typer.Option("--model", help="smollm2, a folder, or a hub name.")] = None,
    data_dir: DataDir = None,
    prepare: Annotated[bool, typer.Option("--prepare", help="Only make the packaged model ready, then stop.")] = False,
    set_: Set = None,
) -> None:
    """Start the local engine: vLLM with a small packaged model, on loopback. Ctrl-C stops it."""
    from rag.settings import load
    from serve.engine import prepare_model, run_engine

    flags = {"engine_port": port, "engine_model": engine_model, "data_dir": data_dir}
    settings = load(flags, pairs=set_).settings

    def echo(line: str) -> None:
        print(f"model: {line}", flush=True)

    if prepare:
        echo(f"ready in {prepare_model(settings, echo)}")
        return
    raise typer.Exit(run_engine(settings, echo))
