"""Prepared documents to encoded parts: the stage that keeps the encoder busy.

Chunks of many documents are encoded together, sorted by length, so that little is padded; a long document is cut into
several parts, so that memory does not follow the longest document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ingest.writer import Part
from rag.encoders import DenseEncoder, Vectors

# The first window is small, so that a job soon shows progress; the others are large enough for sorting to pay.
FIRST_WINDOW = 128
WINDOW = 1024
# Chunks encoded in one call: few enough that a job stops within seconds when asked to.
_SLICE = 128


def windows(parts: Iterable[Part], first: int = FIRST_WINDOW, size: int = WINDOW) -> Iterator[list[Part]]:
    """Lists of parts of `size` chunks (the first of `first`), documents cut across lists where they must be."""
    room = first
    window: list[Part] = []
    for part in parts:
        chunks = part.chunks
        while chunks:
            taken, chunks = chunks[:room], chunks[room:]
            window.append(replace(part, chunks=taken, last=not chunks))
            room -= len(taken)
            if not room:
                yield window
                window, room = [], size
    if window:
        yield window


def encoded(
    some: Iterable[Sequence[Part]], dense: DenseEncoder, on_chunks: Callable[[int], None] = lambda _: None
) -> Iterator[list[Part]]:
    """Each list with the vectors of its parts. `on_chunks` is told of every slice that is done."""
    for window in some:
        texts = [each.embedded for part in window for each in part.chunks]
        vectors = _encode(texts, dense, on_chunks)
        ready, start = [], 0
        for part in window:
            ready.append(replace(part, vectors=vectors[start : start + len(part.chunks)]))
            start += len(part.chunks)
        yield ready


def _encode(texts: Sequence[str], dense: DenseEncoder, on_chunks: Callable[[int], None]) -> Vectors:
    order = sorted(range(len(texts)), key=lambda each: len(texts[each]), reverse=True)
    vectors: Vectors | None = None
    for start in range(0, len(order), _SLICE):
        some = order[start : start + _SLICE]
        found = dense.encode_documents([texts[each] for each in some])
        if vectors is None:
            vectors = np.empty((len(texts), found.shape[1]), dtype=np.float32)
        vectors[some] = found
        on_chunks(len(some))
    if vectors is None:
        raise ValueError("there is nothing to encode")
    return vectors
