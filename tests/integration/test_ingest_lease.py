"""Two jobs at once on one collection of a server: one works, the other is told to wait, and shards work side by side.

qdrant-client's `:memory:` mode stands for the server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import ingest.lease
from ingest.job import IngestJob
from ingest.lease import Lease, lease
from ingest.options import Options, Shard
from ingest.sources import open_source
from rag.encoders import Bm25Encoder
from rag.errors import IndexLocked, IndexUnavailable
from rag.index.server import ServerIndex
from rag.records import Records
from rag.schema import Scope
from rag.settings import Settings
from tests.ingest_kit import HashEncoder, memory_server, paths, stored, write_folder

WHOLE = Shard()
BEAT = 0.1


@pytest.fixture
def index() -> Iterator[ServerIndex]:
    opened = memory_server()
    yield opened
    opened.close()


def place(index: ServerIndex, shard: Shard = WHOLE, collection: str = "c", tenant: str = "t") -> Lease:
    return Lease(Records(index), Scope.owner(tenant), collection, shard, beat_s=BEAT)


def test_a_second_job_is_told_to_wait_and_gets_in_when_the_first_is_done(index: ServerIndex) -> None:
    first, second = place(index), place(index)
    first.acquire()
    with pytest.raises(IndexLocked, match=r"another job \(.*process \d+\) is writing collection 'c': wait"):
        second.acquire()
    first.release()
    third = place(index)
    third.acquire()
    third.release()


def test_other_collections_tenants_and_shards_do_not_wait(index: ServerIndex) -> None:
    held = [
        place(index, Shard(0, 3)),
        place(index, Shard(1, 3)),
        place(index, collection="d"),
        place(index, tenant="u"),
    ]
    for each in held:
        each.acquire()
    for shard in (Shard(1, 3), Shard(2, 4), WHOLE):
        with pytest.raises(IndexLocked):
            place(index, shard).acquire()
    for each in held:
        each.release()


def test_the_lease_of_a_job_that_died_is_taken_over(index: ServerIndex) -> None:
    dead = place(index)
    dead._beat()  # its thread never runs: the process was killed
    living = place(index)
    living.acquire(dead_s=0.5)
    living.check()
    with pytest.raises(IndexLocked):
        place(index).acquire()
    living.release()
    assert list(Records(index).scan(ingest.lease.KIND, Scope.owner("t"))) == []


def test_of_two_that_come_at_once_never_both_get_in(index: ServerIndex) -> None:
    inside: list[Lease] = []
    refused: list[IndexLocked] = []
    start = threading.Barrier(2)

    def come() -> None:
        mine = place(index)
        start.wait()
        try:
            mine.acquire(dead_s=5)
            inside.append(mine)
        except IndexLocked as error:
            refused.append(error)

    threads = [threading.Thread(target=come) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(inside) <= 1
    assert len(inside) + len(refused) == 2
    for held in inside:
        held.release()


def test_a_job_that_cannot_show_that_it_lives_stops(index: ServerIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.lease, "LOST_S", 0.3)
    held = place(index)
    held.acquire()

    def gone(*_: object) -> None:
        raise IndexUnavailable("gone")

    monkeypatch.setattr(Records, "put", gone)
    time.sleep(0.6)
    with pytest.raises(IndexLocked, match="lost its hold"):
        held.check()
    monkeypatch.undo()
    held.release()


def test_two_jobs_at_once_over_one_folder_leave_it_whole(
    index: ServerIndex, settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.lease, "BEAT_S", BEAT)
    monkeypatch.setattr(Lease.__init__, "__defaults__", (BEAT,))
    made = settings(qdrant_url="http://stands.for.a.server:6333")
    docs = write_folder(
        tmp_path / "docs", {f"{n}.md": f"{n} " + "Words about pods and nodes. " * 30 for n in range(60)}
    )
    outcomes: list[str] = []

    def work() -> None:
        try:
            with closing(open_source(docs, made)) as source:
                IngestJob(index, HashEncoder(), Bm25Encoder(), made).run(source)
            outcomes.append("done")
        except IndexLocked:
            outcomes.append("told to wait")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert "told to wait" in outcomes or outcomes == ["done", "done"]
    with closing(open_source(docs, made)) as source:
        job = IngestJob(index, HashEncoder(), Bm25Encoder(), made)
        job.run(source)
        assert not job.check(source).any
    assert len(paths(stored(index))) == 60


def test_the_embedded_index_needs_no_lease(index: ServerIndex, settings: Callable[..., Settings]) -> None:
    with lease(index, settings(), Shard()) as held:
        held.check()
    assert list(Records(index).scan(ingest.lease.KIND, Scope.owner())) == []


def test_shards_of_one_job_work_side_by_side(
    index: ServerIndex, settings: Callable[..., Settings], tmp_path: Path
) -> None:
    made = settings(qdrant_url="http://stands.for.a.server:6333")
    docs = write_folder(tmp_path / "docs", {f"{n}.md": f"{n} " + "Words about pods. " * 10 for n in range(30)})
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with closing(open_source(docs, made)) as source:
                IngestJob(index, HashEncoder(), Bm25Encoder(), made, Options(shard=Shard(number, 3))).run(source)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(each,)) for each in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == []
    assert len(paths(stored(index))) == 30
