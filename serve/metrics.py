"""Prometheus metrics: one prefix, base units, label values from fixed sets. docs/operating.md lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from rag.errors import EncoderError, EngineError, IndexLocked, IndexUnavailable, ModelUnavailable, RerankerError
from rag.schema import Answer, SearchResult

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
STAGES = (
    "rewrite",
    "encode",
    "search",
    "fetch",
    "rerank",
    "retrieve",
    "assemble",
    "first_token",
    "generate",
    "total",
)
Outcome = Literal["cited", "uncited", "abstained", "unavailable", "refused", "failed", "timed_out", "broken_off"]
Part = Literal["model", "index", "encoder", "reranker", "service"]
PARTS: tuple[tuple[type[Exception], Part], ...] = (
    (ModelUnavailable, "model"),
    (EngineError, "model"),
    (IndexUnavailable, "index"),
    (IndexLocked, "index"),
    (RerankerError, "reranker"),  # before its base class
    (EncoderError, "encoder"),
)


class Metrics:
    """One application's metrics, in a registry of its own. Every series with a known label is there from the start:
    a rate over a series that appears with its first event misses that event."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "librarian_http_requests_total", "Requests answered", ["route", "status"], registry=registry
        )
        self.latency = Histogram(
            "librarian_http_request_seconds", "Time to the last byte", ["route"], buckets=SECONDS, registry=registry
        )
        self.active = Gauge("librarian_active_requests", "Answers and searches at work", registry=registry)
        self.places = Gauge("librarian_request_places", "Answers and searches that may be at work", registry=registry)
        self.turned_away = Counter(
            "librarian_turned_away_total",
            "Answers and searches refused because all places were taken",
            registry=registry,
        )
        self.limited = Counter(
            "librarian_limited_total",
            "Requests refused because their caller had used up a limit of its own",
            ["limit"],
            registry=registry,
        )
        self.stages = Histogram(
            "librarian_stage_seconds",
            "Time of each stage of answers and searches; total is an answer's alone",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self.answers = Counter("librarian_answers_total", "Answers by outcome", ["outcome"], registry=registry)
        self.searches = Counter(
            "librarian_searches_total", "Searches by whether they found a passage", ["outcome"], registry=registry
        )
        self.failures = Counter(
            "librarian_failures_total",
            "Failed answers and searches by the part that failed",
            ["part"],
            registry=registry,
        )
        self.tokens = Counter("librarian_tokens_total", "Tokens by direction", ["direction"], registry=registry)
        self.relevance = Histogram(
            "librarian_relevance_ratio",
            "Probability that the best passages answer, of each answer and search",
            buckets=[step / 10 for step in range(11)],
            registry=registry,
        )
        for family, values in (
            (self.limited, ("requests", "tokens", "concurrent")),
            (self.stages, STAGES),
            (self.answers, get_args(Outcome)),
            (self.searches, ("found", "nothing")),
            (self.failures, get_args(Part)),
            (self.tokens, ("prompt", "completion")),
        ):
            for value in values:
                family.labels(value)

    def count_answer(self, answer: Answer, seconds: float) -> Outcome:
        """Count a whole answer, which took `seconds` from the question to its last word."""
        outcome: Outcome = "cited" if answer.citations else "uncited"
        if answer.finish_reason == "abstained":
            outcome = "abstained"
        elif answer.finish_reason == "unavailable":
            outcome = "unavailable"
        self.answers.labels(outcome).inc()
        self.tokens.labels("prompt").inc(answer.usage.prompt_tokens)
        self.tokens.labels("completion").inc(answer.usage.completion_tokens)
        self._count_stages({**answer.timings_ms, "total": seconds * 1e3}, answer.relevance)
        return outcome

    def count_search(self, found: SearchResult) -> None:
        """Count a search that was asked for as such."""
        self.searches.labels("found" if found.passages else "nothing").inc()
        self._count_stages(found.timings_ms, found.relevance)

    def count_failure(self, error: BaseException) -> None:
        """Count an error under the part that it is of. Errors of the caller and broken connections are none."""
        if isinstance(error, Exception) and getattr(error, "http_status", 500) >= 500:
            self.failures.labels(part_of(error)).inc()

    @contextmanager
    def counting_failures(self) -> Iterator[None]:
        """Count the failure of what happens inside."""
        try:
            yield
        except BaseException as error:
            self.count_failure(error)
            raise

    def add(self, collector: Collector) -> None:
        """Show what `collector` reads at each scrape too."""
        self._registry.register(collector)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self._registry)

    def _count_stages(self, timings_ms: Mapping[str, float], relevance: float | None) -> None:
        if relevance is not None:
            self.relevance.observe(relevance)
        for stage, milliseconds in timings_ms.items():
            if stage in STAGES:
                self.stages.labels(stage).observe(milliseconds / 1e3)


def part_of(error: BaseException) -> Part:
    """The part of the service that an error is of."""
    return next((part for kind, part in PARTS if isinstance(error, kind)), "service")
