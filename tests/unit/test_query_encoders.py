"""Queries that share a call and queries that are remembered: the same vectors as each alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.encoders import LocalEncoder, PrefixedEncoder, cache_within, dense_encoder, query_encoder
from rag.encoders.batching import BatchedEncoder
from rag.encoders.interface import Vectors
from rag.encoders.query_cache import CachedEncoder
from rag.errors import EncoderError
from rag.settings import Settings


class Real(LocalEncoder):
    """MiniLM on onnx, whose calls may be shared, noted, and held by a gate."""

    def __init__(self) -> None:
        super().__init__("minilm", backend="onnx-int8")
        self.calls: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.probes: dict[str, Any] = {}

    @property
    def fingerprint(self) -> Mapping[str, Any]:  # type: ignore[override]
        return {"name": "minilm", **self.probes}

    def encode_query(self, text: str) -> Vectors:
        return self.encode_queries([text])[0]

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self.calls.append(list(texts))
        assert self.gate.wait(20)
        if "bad" in texts:
            raise EncoderError("one of them is bad")
        return self._encode(texts, "query")


@cache
def loaded() -> Real:
    return Real()


def fresh() -> Real:
    made = loaded()
    made.calls.clear()
    made.probes.clear()
    made.gate.set()
    return made


@pytest.fixture
def real() -> Real:
    return fresh()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def together(real: Real, batched: BatchedEncoder, texts: Sequence[str]) -> list[Any]:
    """A first query is held in its call while the others arrive, one by one. Errors come back as results."""

    def one(text: str) -> Any:
        try:
            return batched.encode_query(text)
        except EncoderError as error:
            return error

    real.gate.clear()
    with ThreadPoolExecutor(len(texts) + 1) as pool:
        first = pool.submit(one, "first")
        until(lambda: bool(real.calls))
        rest = []
        for number, text in enumerate(texts, start=1):
            rest.append(pool.submit(one, text))
            until(lambda count=number: batched.waiting >= count)  # type: ignore[misc]
        real.gate.set()
        first.result()
        return [each.result() for each in rest]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=200).filter(lambda text: text != "bad"), min_size=1, max_size=6))
def test_sharing_a_call_changes_no_bit(texts: list[str]) -> None:
    real = fresh()
    alone = [real.encode_query(each) for each in texts]
    real.calls.clear()
    found = together(real, BatchedEncoder(real, 60_000), texts)
    assert [len(each) for each in real.calls] == [1, len(texts)]
    assert all(np.array_equal(a, b) for a, b in zip(alone, found, strict=True))


def test_a_lone_query_waits_for_nobody(real: Real) -> None:
    batched = BatchedEncoder(real, 3_600_000)
    for text in ("a", "b"):
        batched.encode_query(text)
    assert real.calls == [["a"], ["b"]]


def test_the_wait_has_an_end_while_another_call_hangs(real: Real) -> None:
    batched = BatchedEncoder(real, 1)
    real.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(batched.encode_query, each) for each in "ab"]
        until(lambda: len(real.calls) == 2)
        real.gate.set()
        assert [each.result().shape for each in asked] == [(384,), (384,)]


def test_an_error_reaches_only_its_own_caller(real: Real) -> None:
    good, bad, other = together(real, BatchedEncoder(real, 60_000), ["good", "bad", "other"])
    assert isinstance(bad, EncoderError)
    assert np.array_equal(good, real.encode_query("good"))
    assert np.array_equal(other, real.encode_query("other"))


def test_a_full_group_goes_though_another_call_hangs(real: Real) -> None:
    batched = BatchedEncoder(real, 60_000, most=2)
    real.gate.clear()
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(batched.encode_query, each) for each in "abcde"]
        until(lambda: len(real.calls) == 3)
        real.gate.set()
        assert [each.result().shape for each in asked] == [(384,)] * 5
    assert sorted(map(len, real.calls)) == [1, 2, 2]


def test_closing_waits_for_what_is_under_way(real: Real) -> None:
    batched = BatchedEncoder(real, 60_000)
    real.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(batched.encode_query, "a")]
        until(lambda: bool(real.calls))
        asked.append(pool.submit(batched.encode_query, "b"))
        until(lambda: batched.waiting == 1)
        closing = pool.submit(batched.close)
        until(lambda: batched.waiting == 0)
        assert not closing.done()
        real.gate.set()
        closing.result()
        assert [each.result().shape for each in asked] == [(384,), (384,)]
    assert batched.encode_query("later").shape == (384,)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["a", "a ", "A", "", "pod", "node"]), max_size=12), st.integers(1, 4))
def test_the_cache_changes_no_bit(texts: list[str], entries: int) -> None:
    real = fresh()
    cached = CachedEncoder(real, entries)
    for text in texts:
        found = cached.encode_query(text)
        assert np.array_equal(found, real.encode_query(text))
        found[:] = 0  # what a caller does to its copy is its own affair
    assert cached.hits + cached.misses == len(texts)


def test_the_cache_forgets_what_was_asked_longest_ago(real: Real) -> None:
    cached = CachedEncoder(real, 2)
    for text in ("a", "b", "a", "c", "a", "b"):
        cached.encode_query(text)
    assert [each for (each,) in real.calls] == ["a", "b", "c", "b"]
    assert (cached.hits, cached.misses) == (2, 4)


def test_another_model_behind_the_same_name_finds_nothing(real: Real) -> None:
    cached = CachedEncoder(real, 10)
    cached.encode_query("a")
    real.probes["probes"] = "others"
    cached.encode_query("a")
    assert (cached.hits, cached.misses) == (0, 2)


@pytest.mark.parametrize("entries", [0, 10])
def test_a_prefix_stands_before_queries_and_never_before_documents(
    settings: Callable[..., Settings], real: Real, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    monkeypatch.setattr("rag.encoders.LocalEncoder", lambda *_: real)
    for made in (query_encoder, dense_encoder):
        encoder = made(settings(query_prefix="query: ", query_cache=entries))
        assert np.array_equal(encoder.encode_query("pod"), real.encode_query("query: pod"))
        assert encoder.fingerprint == real.fingerprint
        assert np.array_equal(encoder.encode_documents(["pod"]), real.encode_documents(["pod"]))


def test_a_query_with_another_prefix_is_another_to_the_cache(real: Real) -> None:
    cached = CachedEncoder(real, 10)
    for prefix in ("query: ", "search: ", "query: "):
        PrefixedEncoder(cached, prefix).encode_query("pod")
    assert (cached.hits, cached.misses) == (1, 2)
    assert cache_within(PrefixedEncoder(cached, "query: ")) is cached
    assert cache_within(PrefixedEncoder(real, "query: ")) is None


def test_an_error_is_not_remembered(real: Real) -> None:
    cached = CachedEncoder(real, 10)
    for _ in range(2):
        with pytest.raises(EncoderError):
            cached.encode_query("bad")
    assert cached.misses == 2
