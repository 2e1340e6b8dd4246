"""Metrics that other parts count for themselves, read at each scrape: the query cache's, ingestion's, the loop's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rag.answering import Librarian
from rag.encoders import cache_within
from rag.feeding import Ingestor, Tally

WAITING = ("queued", "running")
ENDED = ("done", "failed", "cancelled")


class Readings(Collector):
    """What a Librarian's query cache and an Ingestor of this process have counted. Zeros where there is none."""

    def __init__(self, librarian: Librarian, ingestor: Ingestor | None) -> None:
        self._librarian = librarian
        self._ingestor = ingestor

    def describe(self) -> list[Metric]:
        """Nothing is asked of the parts when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The families. Reads memory only."""
        yield self._cache()
        yield GaugeMetricFamily(
            "librarian_event_loop_tasks", "Tasks of the event loop that is asked, this one included", value=_tasks()
        )
        tally = self._ingestor.tally() if self._ingestor else Tally({})
        jobs = GaugeMetricFamily("librarian_jobs", "Ingestion jobs of this process at work", labels=["state"])
        for state in WAITING:
            jobs.add_metric([state], tally.jobs.get(state, 0))  # type: ignore[call-overload]
        yield jobs
        ended = CounterMetricFamily("librarian_jobs_ended", "Ingestion jobs that ended", labels=["state"])
        for state in ENDED:
            ended.add_metric([state], tally.jobs.get(state, 0))  # type: ignore[call-overload]
        yield ended
        documents = CounterMetricFamily(
            "librarian_ingested_documents", "Documents by what became of them", labels=["outcome"]
        )
        for outcome, count in (("written", tally.documents), ("failed", tally.failed), ("deleted", tally.deleted)):
            documents.add_metric([outcome], count)
        yield documents
        yield CounterMetricFamily("librarian_ingested_chunks", "Chunks written", value=tally.chunks)

    def _cache(self) -> Metric:
        family = CounterMetricFamily(
            "librarian_query_cache_requests", "Query vectors by whether the cache had them", labels=["result"]
        )
        encoders = getattr(self._librarian.retriever, "encoders", None)
        cache = cache_within(encoders[0]) if encoders else None
        family.add_metric(["hit"], cache.hits if cache else 0)
        family.add_metric(["miss"], cache.misses if cache else 0)
        return family


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # no loop runs in this thread: nobody serves
        return 0
