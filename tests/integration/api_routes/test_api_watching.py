"""Every answer and search is counted and every answer makes one line in the log, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from rag.encoders import Bm25Encoder, CachedEncoder
from rag.errors import IndexUnavailable
from rag.settings import Settings
from serve.metrics import STAGES, Metrics
from serve.readings import Readings
from tests.fake_model import FakeModel, wait_until
from tests.integration.api_routes.routes import HashEncoder
from tests.integration.api_server import QUESTION, ApiServer, FixedRetriever, ask


class CachingRetriever(FixedRetriever):
    """The same stand-in with real encoders, behind the real query cache."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = (CachedEncoder(HashEncoder(), 10), Bm25Encoder())


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


@pytest.fixture
def api(model: FakeModel) -> Iterator[ApiServer]:
    with ApiServer(CachingRetriever(), llm_url=model.url, max_concurrent_requests=1, request_timeout=20) as api:
        yield api


def post(api: ApiServer, path: str, body: dict[str, Any]) -> httpx2.Response:
    return httpx2.post(f"{api.v1}/{path}", json=body, trust_env=False, timeout=20)


def lines(api: ApiServer) -> list[Any]:
    return [each for each in api.logs if each["event"] == "answer"]


def test_series_are_there_before_their_first_event(api: ApiServer) -> None:
    labels = {(each.name, *each.labels.values()) for each in api.samples()}
    assert {("librarian_stage_seconds_count", stage) for stage in STAGES} <= labels
    assert ("librarian_answers_total", "abstained") in labels
    assert ("librarian_failures_total", "model") in labels
    assert ("librarian_jobs", "queued") in labels


def test_a_search_is_counted_with_its_stages_and_relevance(api: ApiServer) -> None:
    assert post(api, "search", {"query": "pods"}).status_code == 200
    api.retriever.passages = ()
    assert post(api, "search", {"query": "pods"}).status_code == 200
    assert api.metric("librarian_searches_total", outcome="found") == 1
    assert api.metric("librarian_searches_total", outcome="nothing") == 1
    assert api.metric("librarian_stage_seconds_count", stage="search") == 2
    assert api.metric("librarian_relevance_ratio_count") == 2
    assert api.metric("librarian_stage_seconds_count", stage="total") == 0


def test_a_dead_model_is_counted_as_its_failure_before_and_within_a_stream(api: ApiServer, model: FakeModel) -> None:
    model.fail = {"chat": 500}
    assert post(api, "chat/completions", ask()).status_code == 503
    model.fail, model.dies_after = {}, 1
    assert "model_unavailable" in post(api, "chat/completions", ask(stream=True)).text
    assert api.metric("librarian_failures_total", part="model") == 2
    assert api.metric("librarian_answers_total", outcome="failed") == 2
    assert [each["code"] for each in lines(api)] == ["model_unavailable"] * 2


def test_a_failed_search_is_counted_as_the_indexs(api: ApiServer) -> None:
    api.retriever.index.failure = IndexUnavailable("Qdrant is away.")
    assert post(api, "search", {"query": "pods"}).status_code == 503
    assert api.metric("librarian_failures_total", part="index") == 1


def test_a_mistake_of_the_caller_is_no_failure(api: ApiServer) -> None:
    assert post(api, "chat/completions", ask(collection="nowhere")).status_code == 404
    assert api.metric("librarian_answers_total", outcome="refused") == 1
    assert sum(each.value for each in api.samples() if each.name == "librarian_failures_total") == 0


def test_who_is_turned_away_is_counted_and_a_reader_who_leaves_too(api: ApiServer, model: FakeModel) -> None:
    model.hangs_after = 1
    url = f"{api.v1}/chat/completions"
    with httpx2.stream("POST", url, json=ask(stream=True), trust_env=False, timeout=20) as response:
        pieces = response.iter_raw()  # kept: letting go of it would close the connection
        next(pieces)
        assert post(api, "search", {"query": "pods"}).status_code == 429
    assert api.metric("librarian_turned_away_total") == api.metric("librarian_request_places") == 1
    assert wait_until(lambda: api.metric("librarian_answers_total", outcome="broken_off") == 1)


def test_the_query_caches_hits_and_misses_are_shown(api: ApiServer) -> None:
    cache, _ = api.retriever.encoders
    for text in ("pods", "pods", "nodes"):
        cache.encode_query(text)
    assert api.metric("librarian_query_cache_requests_total", result="hit") == 1
    assert api.metric("librarian_query_cache_requests_total", result="miss") == 2


def test_an_answer_makes_one_line_without_its_question(api: ApiServer) -> None:
    headers = {"X-Request-Id": "abc-1"}
    for streaming in (False, True):
        body = ask("What runs containers in pods?", stream=streaming)
        httpx2.post(f"{api.v1}/chat/completions", json=body, headers=headers, trust_env=False, timeout=20)
    first, second = lines(api)
    for each in (first, second):
        assert (each["request_id"], each["outcome"], each["collection"]) == ("abc-1", "cited", "documents")
        assert (each["prompt_tokens"], each["completion_tokens"]) == (12, 5)
        assert each["timings_ms"].keys() >= {"rewrite", "retrieve", "assemble", "generate", "total"}
        assert "containers" not in str(each)


def test_questions_are_logged_only_where_the_setting_says_so(model: FakeModel) -> None:
    with ApiServer(FixedRetriever(), llm_url=model.url, log_questions=True) as api:
        post(api, "chat/completions", ask())
        assert lines(api)[0]["question"] == QUESTION
    assert Settings().log_questions is False


def test_nothing_is_asked_of_the_parts_before_a_scrape() -> None:
    metrics = Metrics()
    metrics.add(Readings(None, None))  # type: ignore[arg-type]
