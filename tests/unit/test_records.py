"""Records and jobs in Qdrant, over the embedded engine and the server driver; two stores stand for two replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from rag.errors import BadInput, CollectionNotFound
from rag.index import Index
from rag.index.embedded import EmbeddedIndex
from rag.index.server import ServerIndex
from rag.jobs import KEPT_JOBS, KEPT_SECONDS, JobNotFound, JobStore, Trouble
from rag.records import RESERVED, Records, check_askable, check_not_reserved
from rag.schema import Scope

OWNER = Scope.owner("default")


@pytest.fixture(params=["embedded", "server"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    opened: Index = (
        EmbeddedIndex(tmp_path)
        if request.param == "embedded"
        else ServerIndex(QdrantClient(":memory:"), "http://memory:6333")
    )
    yield opened
    opened.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1_764_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(index: Index, clock: Clock) -> Callable[[], JobStore]:
    """Each call is another replica's store."""
    return lambda: JobStore(Records(index), "default", clock)


def test_before_the_first_record_there_is_nothing_and_no_collection(index: Index) -> None:
    records = Records(index)
    assert records.get("job", "1", OWNER) is None
    assert list(records.scan("job", OWNER)) == []
    records.delete("job", ["1"], OWNER)
    assert index.collections() == []


def test_a_record_is_read_back_as_it_was_written_last(index: Index) -> None:
    records = Records(index)
    records.put("job", "1", {"state": "queued", "deep": {"list": [1, "ä"]}}, OWNER)
    records.put("job", "1", {"state": "done"}, OWNER)
    records.put("job", "2", {"state": "queued"}, OWNER)
    records.put("lease", "1", {"of": "something else"}, OWNER)
    assert records.get("job", "1", OWNER) == {"state": "done"}
    assert sorted(records.scan("job", OWNER)) == [("1", {"state": "done"}), ("2", {"state": "queued"})]
    records.delete("job", ["1", "absent"], OWNER)
    assert [each for each, _ in records.scan("job", OWNER)] == ["2"]


def test_of_many_records_only_the_fields_asked_for_are_read(index: Index) -> None:
    records = Records(index)
    records.put("job", "1", {"state": "done", "report": {"long": "x" * 1000}}, OWNER)
    assert list(records.scan("job", OWNER, ["state"])) == [("1", {"state": "done"})]


def test_another_tenant_finds_no_record_and_writes_over_none(index: Index) -> None:
    records = Records(index)
    records.put("job", "1", {"whose": "ours"}, OWNER)
    other = Scope.owner("acme")
    assert records.get("job", "1", other) is None
    records.put("job", "1", {"whose": "theirs"}, other)
    records.delete("job", ["1"], other)
    assert records.get("job", "1", OWNER) == {"whose": "ours"}


def test_a_record_with_groups_is_found_by_who_shares_one(index: Index) -> None:
    records = Records(index)
    records.put("job", "1", {}, OWNER, ["staff", "hr"])
    assert records.get("job", "1", Scope("default", frozenset({"hr"}))) == {}
    assert records.get("job", "1", Scope("default", frozenset({"sales"}))) is None
    assert records.get("job", "1", Scope("default")) is None


def test_many_that_write_the_first_record_at_once_all_succeed(index: Index) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: Records(index).put("job", str(number), {}, OWNER), range(16)))
    assert len(list(Records(index).scan("job", OWNER))) == 16


def test_no_alias_names_the_records_so_no_model_does(index: Index) -> None:
    Records(index).put("job", "1", {}, OWNER)
    assert [(each.name, each.aliases) for each in index.collections()] == [(RESERVED, ())]


def test_documents_may_not_be_put_among_the_records() -> None:
    assert check_not_reserved("documents") == "documents"
    with pytest.raises(BadInput, match=RESERVED):
        check_not_reserved(RESERVED)


def test_whoever_asks_the_records_is_told_what_one_that_is_not_there_tells() -> None:
    assert check_askable("documents") == "documents"
    with pytest.raises(CollectionNotFound, match=RESERVED) as raised:
        check_askable(RESERVED)
    assert raised.value.public == CollectionNotFound("", asked=RESERVED).public


class TestJobs:
    def test_another_replica_sees_a_job_and_how_far_it_is(self, store: Callable[[], JobStore], clock: Clock) -> None:
        here, there = store(), store()
        job = here.create("upload", "documents", (), ["a.md"])
        here.change(job.id, state="running", progress={"done": 3})
        assert there.get(job.id, OWNER).state == "queued"  # what was noted is not written yet
        clock.now += 10
        assert here.beat(job.id) == "on"
        seen = there.get(job.id, OWNER)
        assert (seen.state, seen.progress, seen.send_again) == ("running", {"done": 3}, ("a.md",))
        here.finish(job.id, "done", report={"added": 1})
        assert there.get(job.id, OWNER) == here.get(job.id, OWNER)
        assert there.get(job.id, OWNER).report == {"added": 1}
        assert there.get(job.id, OWNER).send_again == ()

    def test_a_job_without_a_sign_of_life_is_failed_for_all_and_says_what_to_send(
        self, store: Callable[[], JobStore], clock: Clock
    ) -> None:
        dead, asked, other = store(), store(), store()
        job = dead.create("upload", "documents", (), ["a.md", "b.md"])
        clock.now += 44
        assert asked.get(job.id, OWNER).state == "queued"
        clock.now += 2
        seen = asked.get(job.id, OWNER)
        assert seen.state == "failed"
        assert seen.error
        assert seen.error.code == "worker_died"
        assert seen.send_again == ("a.md", "b.md")
        assert other.latest(OWNER) == [seen]

    def test_a_process_that_was_taken_for_dead_learns_it_and_changes_nothing(
        self, store: Callable[[], JobStore], clock: Clock
    ) -> None:
        slept, asked = store(), store()
        job = slept.create("upload", "documents", (), ["a.md"])
        clock.now += 60
        assert asked.get(job.id, OWNER).state == "failed"
        assert slept.beat(job.id) == "lost"
        slept.finish(job.id, "done", report={"added": 1})
        assert asked.get(job.id, OWNER).state == "failed"
        assert slept.get(job.id, OWNER).state == "failed"

    def test_a_busy_process_does_not_take_itself_for_dead(self, store: Callable[[], JobStore], clock: Clock) -> None:
        here = store()
        job = here.create("upload", "documents", (), ["a.md"])
        clock.now += 600
        assert here.get(job.id, OWNER).state == "queued"

    def test_a_job_is_cancelled_through_any_replica(self, store: Callable[[], JobStore]) -> None:
        here, there = store(), store()
        job = here.create("upload", "documents", (), ["a.md"])
        there.ask_to_cancel(job.id, OWNER)
        assert here.beat(job.id) == "cancel"
        here.finish(job.id, "cancelled", Trouble("cancelled", "as asked"))
        assert there.get(job.id, OWNER).state == "cancelled"
        there.ask_to_cancel(job.id, OWNER)  # too late is no error
        assert there.get(job.id, OWNER).state == "cancelled"

    def test_where_nobody_else_can_run_them_unfinished_jobs_are_failed_at_once(
        self, store: Callable[[], JobStore]
    ) -> None:
        before, after = store(), store()
        lost = before.create("upload", "documents", (), ["a.md"])
        own = after.create("upload", "documents", (), ["b.md"])
        after.abandon()
        assert after.get(lost.id, OWNER).state == "failed"
        assert [each.id for each in after.active()] == [own.id]

    def test_a_job_is_unknown_to_other_tenants_and_groups(self, index: Index, clock: Clock) -> None:
        job = JobStore(Records(index), "default", clock).create("upload", "documents", ["staff"], ["pay.xlsx"])
        for scope in (Scope.owner("acme"), Scope("default"), Scope("default", frozenset({"guests"}))):
            with pytest.raises(JobNotFound):
                JobStore(Records(index), scope.tenant, clock).get(job.id, scope)
            assert JobStore(Records(index), scope.tenant, clock).latest(scope) == []

    def test_the_newest_jobs_come_first(self, store: Callable[[], JobStore], clock: Clock) -> None:
        here = store()
        made = []
        for _ in range(5):
            clock.now += 1
            made.append(here.create("upload", "documents", (), []).id)
        assert [each.id for each in here.latest(OWNER, 3)] == made[:-4:-1]

    def test_ended_jobs_are_forgotten_after_a_week(self, store: Callable[[], JobStore], clock: Clock) -> None:
        here = store()
        old, running = (here.create("upload", "documents", (), []).id for _ in range(2))
        here.finish(old, "done")
        clock.now += KEPT_SECONDS + 1
        new = here.create("upload", "documents", (), []).id
        here.finish(new, "done")
        here.prune()
        assert {each.id for each in here.latest(OWNER)} == {running, new}

    def test_no_more_ended_jobs_are_kept_than_the_limit(
        self, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert KEPT_JOBS == 1000
        monkeypatch.setattr("rag.jobs.KEPT_JOBS", 3)
        index = EmbeddedIndex(tmp_path)
        here = JobStore(Records(index), "default", clock)
        made = []
        for _ in range(5):
            clock.now += 1
            made.append(here.create("upload", "documents", (), []).id)
            here.finish(made[-1], "done")
        here.prune()
        assert {each.id for each in here.latest(OWNER)} == set(made[2:])
        index.close()
