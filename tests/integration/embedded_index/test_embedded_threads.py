"""Many threads on one embedded index."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from rag.errors import CollectionNotFound
from rag.index import DenseLeg
from rag.index.embedded import EmbeddedIndex
from tests.integration.embedded_index.processes import OWNER, SPEC, record


class TestThreads:
    def test_queries_run_during_upserts_and_see_each_write_at_once(self, index: EmbeddedIndex) -> None:
        index.create("docs", SPEC)
        written = 0
        failures: list[BaseException] = []
        done = threading.Event()

        def read() -> None:
            try:
                while not done.is_set():
                    before = written
                    assert index.count("docs", OWNER) >= before
                    hits = index.query("docs", [DenseLeg((1.0, 2.0, 0.5), 5000)], OWNER)[0]
                    assert len(hits) >= before
            except BaseException as error:
                failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for start in range(0, 1500, 100):
            index.upsert("docs", [record(number) for number in range(start, start + 100)], OWNER)
            written = start + 100
            assert len(index.fetch("docs", [str(uuid.UUID(int=start))], OWNER)) == 1
        done.set()
        for reader in readers:
            reader.join()
        assert failures == []

    def test_a_collection_dropped_under_its_readers_is_not_found(self, index: EmbeddedIndex) -> None:
        outcomes: list[object] = []

        def read() -> None:
            try:
                while True:
                    index.count("docs", OWNER)
            except BaseException as error:
                outcomes.append(type(error))

        for _ in range(5):
            index.create("docs", SPEC)
            readers = [threading.Thread(target=read) for _ in range(3)]
            for reader in readers:
                reader.start()
            time.sleep(0.02)
            index.drop("docs")
            for reader in readers:
                reader.join()
        assert set(outcomes) == {CollectionNotFound}

    def test_a_scroll_whose_collection_goes_away_says_so(self, index: EmbeddedIndex) -> None:
        index.create("docs", SPEC)
        index.upsert("docs", [record(number) for number in range(1500)], OWNER)
        pages = index.scroll("docs", OWNER)
        next(pages)
        index.drop("docs")
        with pytest.raises(CollectionNotFound):
            list(pages)

    def test_two_threads_that_create_one_name_make_one_collection(self, index: EmbeddedIndex) -> None:
        outcomes: list[str] = []

        def make() -> None:
            try:
                index.create("docs", SPEC)
                outcomes.append("made")
            except Exception as error:
                outcomes.append(type(error).__name__)

        makers = [threading.Thread(target=make) for _ in range(4)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        assert sorted(outcomes) == ["CollectionExists"] * 3 + ["made"]
