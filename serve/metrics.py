"""Prometheus metrics: one prefix, base units, label values from fixed sets."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from rag.schema import Answer

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
STAGES = {"encode", "search", "fetch", "retrieve", "assemble", "first_token", "generate", "total"}


class Metrics:
    """One application's metrics, in a registry of its own."""

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
        self.stages = Histogram(
            "librarian_stage_seconds", "Time of each stage of an answer", ["stage"], buckets=SECONDS, registry=registry
        )
        self.answers = Counter("librarian_answers_total", "Answers by outcome", ["outcome"], registry=registry)
        self.tokens = Counter("librarian_tokens_total", "Tokens by direction", ["direction"], registry=registry)
        self.relevance = Histogram(
            "librarian_relevance",
            "Best cosine of each question",
            buckets=[step / 10 for step in range(11)],
            registry=registry,
        )

    def answered(self, answer: Answer) -> None:
        """Count a whole answer."""
        cited = "cited" if answer.citations else "uncited"
        self.answers.labels("abstained" if answer.finish_reason == "abstained" else cited).inc()
        self.tokens.labels("prompt").inc(answer.usage.prompt_tokens)
        self.tokens.labels("completion").inc(answer.usage.completion_tokens)
        if answer.relevance is not None:
            self.relevance.observe(answer.relevance)
        for stage, milliseconds in answer.timings_ms.items():
            if stage in STAGES:
                self.stages.labels(stage).observe(milliseconds / 1e3)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self._registry)
