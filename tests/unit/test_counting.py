"""Counts of what a serving process has ingested."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.counting import Counted
from ingest.report import Progress


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_no_count_ever_falls(told: list[tuple[str, int, int]]) -> None:
    counted, before = Counted(), (0, 0)
    for job, done, written in told:
        counted.progressed(job, Progress(done=done, written=written))
        tally = counted.tally(0, 0)
        assert (tally.documents, tally.chunks) >= before
        before = (tally.documents, tally.chunks)


def test_a_job_that_begins_again_is_not_counted_twice() -> None:
    counted = Counted()
    for done in (1, 2, 3, 0, 1, 2, 3, 4):
        counted.progressed("a", Progress(done=done))
    counted.progressed("b", Progress(done=2))
    assert counted.tally(0, 0).documents == 6
