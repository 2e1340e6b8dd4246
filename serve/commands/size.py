"""`librarian size`."""

from __future__ import annotations

from typing import Annotated

import typer

from librarian import Json


def size(
    documents: Annotated[int, typer.Option("--documents", "-n", help="Documents to hold.")],
    chunks_per_document: Annotated[
        float, typer.Option(help="Chunks a document comes to; `librarian collections describe` tells of yours.")
    ] = 36.0,
    dimensions: Annotated[int, typer.Option(help="Dimensions of the encoder.")] = 384,
    copies: Annotated[int, typer.Option(help="Nodes that hold each shard (LIBRARIAN_QDRANT_REPLICATION).")] = 1,
    quantized: Annotated[
        bool, typer.Option("--quantized", help="Vectors in memory as bytes (LIBRARIAN_QDRANT_QUANTIZATION=int8).")
    ] = False,
    node_memory_gib: Annotated[float, typer.Option(help="Memory of a Qdrant node, GiB.")] = 32.0,
    cores: Annotated[int, typer.Option(help="Cores that ingest, of all pods.")] = 8,
    chunks_per_core_second: Annotated[float, typer.Option(help="What one of them encodes.")] = 75.0,
    answers_per_second: Annotated[float, typer.Option(help="Answers at the busiest time.")] = 1.0,
    answer_tokens: Annotated[int, typer.Option(help="Tokens of an answer.")] = 200,
    gpu_tokens_per_second: Annotated[float, typer.Option(help="What one GPU writes, all streams together.")] = 1500.0,
    json_: Json = False,
) -> None:
    """How big a cluster must be: chunks, memory, disk, nodes, ingestion time, GPUs. Formulas: docs/deploying.md.

    librarian size --documents 1000000 --copies 2
    """
    import json
    from dataclasses import asdict

    from rag.sizing import Load
    from rag.sizing import size as compute

    found = compute(
        Load(
            documents=documents,
            chunks_per_document=chunks_per_document,
            dimensions=dimensions,
            copies=copies,
            quantized=quantized,
            node_memory_gib=node_memory_gib,
            cores=cores,
            chunks_per_core_second=chunks_per_core_second,
            answers_per_second=answers_per_second,
            answer_tokens=answer_tokens,
            gpu_tokens_per_second=gpu_tokens_per_second,
        )
    )
    if json_:
        print(json.dumps(asdict(found), indent=2))
        return
    rows = (
        ("chunks", f"{found.chunks:,}"),
        ("vectors", _bytes(found.vector_bytes)),
        ("graph", _bytes(found.graph_bytes)),
        ("keyword leg", _bytes(found.keyword_bytes)),
        ("payload", _bytes(found.payload_bytes)),
        ("Qdrant, memory", _bytes(found.memory_bytes)),
        ("Qdrant, disk", _bytes(found.disk_bytes)),
        ("Qdrant, nodes", f"{found.nodes} of {node_memory_gib:g} GiB, {found.shards} shards"),
        ("first ingestion", f"{found.ingestion_hours:,.1f} h on {cores} cores"),
        ("model, GPUs", f"{found.gpus} at {answers_per_second:g} answers/s"),
    )
    for name, value in rows:
        print(f"{name:<16}{value}")


def _bytes(number: int) -> str:
    left = float(number)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if left < 1000 or unit == "TB":
            break
        left /= 1000
    return f"{left:,.1f} {unit}"
