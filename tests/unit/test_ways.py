"""Where a search waits: in one thread for an index that blocks, on the event loop for others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from rag.collections import fingerprint
from rag.encoders import Bm25Encoder
from rag.errors import CollectionNotFound
from rag.index import Collection, CollectionSpec, Hit, Index, Stored
from rag.index.threaded import ThreadedIndex
from rag.retrieval import Retriever
from rag.schema import Scope
from rag.settings import Settings
from rag.ways import in_one_thread, on_loop, run

SPARSE = Bm25Encoder()
PAYLOAD = {
    "text": "Pods run.",
    "doc": "a",
    "path": "a",
    "title": "",
    "headings": [],
    "ordinal": 0,
    "start": 0,
    "end": 9,
    "metadata": {},
}


class Encoder:
    """Stands for a dense encoder; notes the threads that it is called in."""

    fingerprint, dimension, max_tokens = {"name": "stand-in", "sha256": "aa"}, 2, 256

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def encode_query(self, text: str) -> Any:
        self.threads.add(threading.get_ident())
        return np.array([1.0, 0.0], dtype=np.float32)


class BlockingIndex:
    """Stands for an Index of one point; notes the threads that it is called in."""

    def __init__(self, metadata: Any) -> None:
        self.metadata = metadata
        self.threads: set[int] = set()

    def resolve(self, name: str) -> Collection:
        self.threads.add(threading.get_ident())
        if name != "documents":
            raise CollectionNotFound(f"no collection '{name}'")
        return Collection("documents-1", CollectionSpec(2, self.metadata))

    def query(self, *_: Any) -> list[list[Hit]]:
        self.threads.add(threading.get_ident())
        return [[Hit("a", 0.5)], [Hit("a", 2.0)]]

    def fetch(self, *_: Any) -> list[Stored]:
        self.threads.add(threading.get_ident())
        return [Stored("a", PAYLOAD)]


@pytest.fixture
def parts(settings: Callable[..., Settings]) -> tuple[Retriever, BlockingIndex, Encoder]:
    encoder = Encoder()
    index = BlockingIndex(fingerprint(encoder, SPARSE))  # type: ignore[arg-type]
    threaded = ThreadedIndex(cast(Index, index))
    return Retriever(threaded, encoder, SPARSE, settings()), index, encoder  # type: ignore[arg-type]


def test_a_search_of_an_index_that_blocks_stays_in_one_thread_that_is_not_the_loop_s(
    parts: tuple[Retriever, BlockingIndex, Encoder],
) -> None:
    retriever, index, encoder = parts
    found = asyncio.run(retriever.search("What runs?", Scope()))
    assert [each.text for each in found.passages] == ["Pods run."]
    assert len(index.threads | encoder.threads) == 1
    assert threading.get_ident() not in index.threads


@pytest.mark.filterwarnings("error")
def test_what_fails_there_reaches_the_caller_and_leaves_nothing_behind(
    parts: tuple[Retriever, BlockingIndex, Encoder],
) -> None:
    retriever, _, encoder = parts
    asyncio.run(retriever.search("What runs?", Scope()))
    encoder.threads.clear()
    with pytest.raises(CollectionNotFound, match="nowhere"):
        asyncio.run(retriever.search("What runs?", Scope(), collection="nowhere"))
    assert encoder.threads == set()


def test_in_one_thread_nothing_may_wait_for_an_event_loop() -> None:
    with pytest.raises(RuntimeError, match="waited for an event loop"):
        run(asyncio.sleep(0))


def test_both_ways_give_the_same() -> None:
    index = BlockingIndex({})

    async def asked(way: Any) -> Any:
        return await way.together(way.index.resolve("documents"), way.apart(max, 1, 2))

    one = run(asked(in_one_thread(cast(Index, index))))
    other = asyncio.run(asked(on_loop(ThreadedIndex(cast(Index, index)))))
    assert one == other == [Collection("documents-1", CollectionSpec(2, {})), 2]
