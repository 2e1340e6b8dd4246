"""The stages between the workers and the index: windows of chunks, and threads that work ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.background import Halt, ahead
from ingest.chunking import Prepared
from ingest.pipeline import encoded, windows
from ingest.writer import Part
from rag.schema import Chunk, Document
from tests.ingest_kit import HashEncoder


def part(name: str, chunks: int) -> Part:
    prepared = [Prepared(Chunk(n, f"{name} {n}", 0, 1), f"{name} {n} " + "x" * (n % 5)) for n in range(chunks)]
    return Part(Document(name, name, name, "", "hash"), prepared, chunks, "", False, last=True)


@given(st.lists(st.integers(1, 30), max_size=20), st.integers(1, 10), st.integers(1, 10))
def test_windows_hold_every_chunk_once_in_order_and_say_where_a_document_ends(
    sizes: list[int], first: int, size: int
) -> None:
    found = list(windows([part(str(n), chunks) for n, chunks in enumerate(sizes)], first, size))
    texts = [each.embedded for window in found for one in window for each in one.chunks]
    assert texts == [each.embedded for n, chunks in enumerate(sizes) for each in part(str(n), chunks).chunks]
    assert [sum(len(one.chunks) for one in window) for window in found[1:-1]] == [size] * len(found[1:-1])
    assert all(sum(len(one.chunks) for one in window) <= max(first, size) for window in found)
    ends = [one.document.uri for window in found for one in window if one.last]
    assert ends == [str(n) for n in range(len(sizes))]
    assert all(one.total == sizes[int(one.document.uri)] for window in found for one in window)


def test_every_chunk_gets_the_vector_of_its_own_text() -> None:
    encoder = HashEncoder()
    told: list[int] = []
    ready = list(encoded(windows([part("a", 200), part("b", 90)], 128, 100), encoder, told.append))
    for window in ready:
        for one in window:
            assert one.vectors is not None
            expected = HashEncoder().encode_documents([each.embedded for each in one.chunks])
            assert np.array_equal(one.vectors, expected)
    assert sum(told) == 290


class TestWorkingAhead:
    def test_items_come_in_order_and_all(self) -> None:
        assert list(ahead(iter(range(1000)), 3, Halt())) == list(range(1000))

    def test_an_error_comes_through_after_what_was_before_it(self) -> None:
        def items() -> Iterator[int]:
            yield 1
            raise ValueError("broken")

        stage = ahead(items(), 3, Halt())
        assert next(stage) == 1
        with pytest.raises(ValueError, match="broken"):
            next(stage)

    def test_it_runs_ahead_by_so_many_and_no_more(self) -> None:
        made: list[int] = []

        def items() -> Iterator[int]:
            for n in range(100):
                made.append(n)
                yield n

        with closing(ahead(items(), 3, Halt())) as stage:
            next(stage)
            time.sleep(0.3)
            assert len(made) <= 6

    def test_closing_the_last_stage_ends_them_all(self) -> None:
        halt = Halt()
        closed = threading.Event()

        def items() -> Iterator[int]:
            try:
                while True:
                    yield 1
            finally:
                closed.set()

        before = threading.active_count()
        inner = ahead(items(), 2, halt)
        outer = ahead((each for each in inner), 2, halt)
        next(outer)
        outer.close()
        inner.close()
        assert closed.wait(5)
        assert threading.active_count() == before

    def test_a_stage_that_hangs_does_not_keep_the_others_from_ending(self) -> None:
        release = threading.Event()
        halt = Halt(release.set)

        def items() -> Iterator[int]:
            yield 1
            release.wait(100)

        inner = ahead(items(), 2, halt)
        outer = ahead((each for each in inner), 2, halt)
        assert next(outer) == 1
        outer.close()
        assert release.is_set()
        inner.close()
