"""How big a cluster must be for so many documents and answers: arithmetic, each figure with its source.

Bytes of an index, for n chunks of d dimensions, each on c nodes (`copies`):

- vectors: n d 4 (float32); scalar quantization keeps n d 1 of it in memory and leaves the rest on disk
- graph: n 2 m 4, with m = 16 links a node, twice that on the lowest layer (Malkov and Yashunin, 2018; Qdrant's default)
- keyword leg: n t 8, a token's id and its weight for each of t different words
- memory: 1.5 (vectors + graph + keyword leg) c, the half more being Qdrant's own advice for segments that are being
  rewritten (its capacity-planning guide)
- disk: 2 (vectors + graph + keyword leg + payload) c, as an optimizer writes the new segment beside the old one
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rag.errors import BadInput

LINKS = 16  # Qdrant's default m
HEADROOM = 1.5
REWRITING = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be held and answered. Defaults: pages as long as those of the Kubernetes documentation, MiniLM."""

    documents: int
    chunks_per_document: float = 36.0
    dimensions: int = 384
    words: int = 60
    payload_bytes: int = 1200
    copies: int = 1
    quantized: bool = False
    node_memory_gib: float = 32.0
    cores: int = 8
    chunks_per_core_second: float = 75.0
    answers_per_second: float = 1.0
    answer_tokens: int = 200
    gpu_tokens_per_second: float = 1500.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if name != "quantized" and not getattr(self, name) > 0:
                raise BadInput(f"{name.replace('_', '-')} must be more than 0")


@dataclass(frozen=True, slots=True)
class Size:
    """What that takes. Bytes of all copies; nodes of Qdrant; hours of the first ingestion; GPUs that answer."""

    chunks: int
    vector_bytes: int
    graph_bytes: int
    keyword_bytes: int
    payload_bytes: int
    memory_bytes: int
    disk_bytes: int
    nodes: int
    shards: int
    ingestion_hours: float
    gpus: int


def size(load: Load) -> Size:
    """The arithmetic above. Raises BadInput for numbers that are none."""
    chunks = math.ceil(load.documents * load.chunks_per_document)
    vectors = chunks * load.dimensions * 4
    graph = chunks * 2 * LINKS * 4
    keywords = chunks * load.words * 8
    payload = chunks * load.payload_bytes
    held = vectors // 4 if load.quantized else vectors
    memory = math.ceil(HEADROOM * (held + graph + keywords) * load.copies)
    stored = vectors + held * load.quantized + graph + keywords + payload
    disk = math.ceil(REWRITING * stored * load.copies)
    nodes = max(load.copies, math.ceil(memory / (load.node_memory_gib * 2**30)))
    seconds = chunks / (load.chunks_per_core_second * load.cores)
    tokens = load.answers_per_second * load.answer_tokens
    return Size(
        chunks=chunks,
        vector_bytes=vectors * load.copies,
        graph_bytes=graph * load.copies,
        keyword_bytes=keywords * load.copies,
        payload_bytes=payload * load.copies,
        memory_bytes=memory,
        disk_bytes=disk,
        nodes=nodes,
        shards=2 * nodes if nodes > 1 else 1,
        ingestion_hours=seconds / 3600,
        gpus=math.ceil(tokens / load.gpu_tokens_per_second),
    )
