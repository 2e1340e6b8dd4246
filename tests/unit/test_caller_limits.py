"""What a caller has left of its limits, and what is told of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering import Event, Sources, Text
from rag.caller_limits import UNSAID, CallerLimits, limits_of
from rag.errors import LibrarianError, ModelUnavailable
from rag.schema import Answer, Scope, Usage
from serve.access.allowance import Allowances, RateLimited, duration
from serve.access.bucket import Bucket
from serve.access.caller import Caller
from serve.charging import charged
from serve.metrics import Metrics

limits = st.none() | st.integers(0, 100)


class Clock:
    """Time that stands still until it is told to go on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def caller(name: str = "alice", **given_: int) -> Caller:
    return Caller(name, Scope(), frozenset(), CallerLimits(**given_))


class TestLimits:
    @given(limits, limits, limits)
    def test_what_a_key_does_not_say_the_settings_do(self, mine: int | None, other: int | None, below: int) -> None:
        found = CallerLimits(mine, other).over(CallerLimits(below, below, below))
        assert found == CallerLimits(below if mine is None else mine, below if other is None else other, below)

    def test_records_of_other_versions_can_be_read(self) -> None:
        assert limits_of({}) == UNSAID
        assert limits_of({"tokens_per_minute": 5, "of_later": 1}) == CallerLimits(tokens_per_minute=5)


class TestBucket:
    @given(st.integers(1, 50), st.lists(st.floats(0, 30), min_size=1, max_size=200))
    def test_over_any_time_no_more_is_taken_than_a_burst_and_the_rate(self, size: int, steps: list[float]) -> None:
        bucket, now, taken = Bucket(size, 0.0), 0.0, []
        for step in steps:
            now += step
            while not bucket.wait(1, now):
                bucket.take(1, now)
                taken.append(now)
        for (first, start), (last, end) in itertools.combinations(enumerate(taken), 2):
            assert last - first + 1 <= size + (end - start) * size / 60 + 1e-6

    @given(st.integers(1, 1000), st.floats(0, 5000), st.floats(0, 1000))
    def test_after_the_wait_that_it_names_there_is_enough(self, size: int, taken: float, later: float) -> None:
        bucket = Bucket(size, 0.0)
        bucket.take(taken, 0.0)
        wait, enough = bucket.wait(1, later), bucket.level(later) >= 1
        assert (wait == 0) >= enough
        assert bucket.wait(1, later + wait) == 0

    def test_a_clock_that_goes_back_gives_nothing(self) -> None:
        bucket = Bucket(60, 100.0)
        bucket.take(60, 100.0)
        assert bucket.level(50.0) == 0
        assert bucket.level(101.0) == pytest.approx(1)


class TestAccounts:
    def test_requests_are_a_burst_and_then_come_at_the_rate(self) -> None:
        clock, metrics = Clock(), Metrics()
        account = Allowances(metrics, clock=clock).account(caller(requests_per_minute=6))
        for _ in range(6):
            account.enter()
            account.leave()
        with pytest.raises(RateLimited, match="6 requests a minute; try again in 10 s") as refused:
            account.enter()
        assert (refused.value.http_status, refused.value.code) == (429, "rate_limit_exceeded")
        assert refused.value.retry_after == pytest.approx(10)
        assert account.inside == 0
        clock.now += 10
        account.enter()
        assert b'librarian_limited_total{limit="requests"} 1.0' in metrics.render()

    def test_places_are_given_back(self) -> None:
        account = Allowances(Metrics()).account(caller(concurrent_requests=2, requests_per_minute=3))
        account.enter()
        account.enter()
        with pytest.raises(RateLimited, match="2 requests of this caller are at work"):
            account.enter()
        account.leave()
        account.enter()  # the refused one was not counted among the three

    def test_tokens_may_be_overspent_once_and_are_then_waited_for(self) -> None:
        clock = Clock()
        account = Allowances(Metrics(), clock=clock).account(caller(tokens_per_minute=60))
        account.check_tokens()
        account.spend(100)
        with pytest.raises(RateLimited, match="60 tokens a minute") as refused:
            account.check_tokens()
        assert refused.value.retry_after == pytest.approx(41)
        account.enter()  # a search costs none
        clock.now += 41
        account.check_tokens()

    def test_each_caller_has_its_own(self) -> None:
        allowances = Allowances(Metrics())
        allowances.account(caller("alice", requests_per_minute=1)).enter()
        allowances.account(caller("bob", requests_per_minute=1)).enter()
        with pytest.raises(RateLimited):
            allowances.account(caller("alice", requests_per_minute=1)).enter()

    def test_who_has_no_limits_is_not_remembered_and_never_refused(self) -> None:
        allowances = Allowances(Metrics())
        for _ in range(1000):
            account = allowances.account(caller(requests_per_minute=0))
            account.enter()
            account.check_tokens()
            account.spend(10**9)
        assert (len(allowances), account.headers()) == (0, [])

    @given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=100))
    def test_the_callers_that_are_remembered_are_bounded_and_none_at_work_is_forgotten(
        self, calls: list[tuple[int, bool]]
    ) -> None:
        allowances, at_work = Allowances(Metrics(), size=5), {}
        for number, stays in calls:
            account = allowances.account(caller(str(number), concurrent_requests=1))
            assert (account.inside == 1) == (number in at_work)
            if number not in at_work:
                account.enter()
                at_work[number] = account
            if not stays:
                at_work.pop(number).leave()
        allowances.account(caller("last", concurrent_requests=1))
        assert len(allowances) <= max(5, len(at_work) + 1)


class TestHeaders:
    def test_they_are_openais(self) -> None:
        clock = Clock()
        account = Allowances(Metrics(), clock=clock).account(caller(requests_per_minute=60, tokens_per_minute=600))
        account.enter()
        account.spend(700)
        assert dict(account.headers()) == {
            b"x-ratelimit-limit-requests": b"60",
            b"x-ratelimit-remaining-requests": b"59",
            b"x-ratelimit-reset-requests": b"1s",
            b"x-ratelimit-limit-tokens": b"600",
            b"x-ratelimit-remaining-tokens": b"0",
            b"x-ratelimit-reset-tokens": b"1m10s",
        }

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0ms"),
            (0.0171, "18ms"),
            (0.9999, "1s"),
            (1.5, "1.5s"),
            (59.9999, "1m0s"),
            (360, "6m0s"),
            (90.951, "1m30.951s"),
        ],
    )
    def test_durations_are_written_as_openai_does(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text


ANSWER = Answer("q", "text", (), (), "stop", Usage(100, 20))


class Purse:
    """Stands for an account: `empty` refuses."""

    def __init__(self, empty: bool = False) -> None:
        self.spent: list[int] = []
        self.empty = empty

    def check_tokens(self) -> None:
        if self.empty:
            raise RateLimited("none left", 1)

    def spend(self, tokens: int) -> None:
        self.spent.append(tokens)


async def told(*events: Event | Exception) -> AsyncGenerator[Event]:
    for each in events:
        if isinstance(each, Exception):
            raise each
        yield each


def cost(*events: Event | Exception, until: int = 99) -> int:
    """What the purse is charged where the reader leaves after `until` events."""
    purse = Purse()

    async def read() -> None:
        stream = charged(told(*events), purse)
        try:
            for _ in range(until):
                await anext(stream)
        except (LibrarianError, StopAsyncIteration):
            pass
        finally:
            await stream.aclose()

    asyncio.run(read())
    [spent] = purse.spent
    return spent


class TestCharging:
    SOURCES = Sources((), None, (), 100)

    def test_a_whole_answer_costs_what_the_models_server_counted(self) -> None:
        assert cost(self.SOURCES, Text("a"), ANSWER) == 120

    def test_where_it_counted_nothing_pieces_are_counted(self) -> None:
        assert cost(self.SOURCES, Text("a"), Text("b"), replace(ANSWER, usage=Usage())) == 102

    def test_a_reader_who_leaves_has_used_the_prompt_and_what_came(self) -> None:
        events = (self.SOURCES, Text("a"), Text("b"), Text("c"), ANSWER)
        assert [cost(*events, until=each) for each in (1, 2, 4, 5)] == [100, 101, 103, 120]

    def test_an_abstention_and_sources_without_an_answer_cost_nothing(self) -> None:
        for reason in ("abstained", "unavailable"):
            answer = replace(ANSWER, finish_reason=reason, usage=Usage())
            assert cost(Sources((), None, ()), Text("I do not know."), answer) == 0

    def test_a_failure_of_the_model_costs_what_was_read(self) -> None:
        assert cost(self.SOURCES, ModelUnavailable("gone")) == 0
        assert cost(self.SOURCES, Text("a"), ModelUnavailable("gone")) == 1

    def test_an_empty_purse_is_told_before_anything_begins(self) -> None:
        purse = Purse(empty=True)

        async def read() -> None:
            with pytest.raises(RateLimited):
                await anext(charged(told(self.SOURCES), purse))

        asyncio.run(read())
        assert purse.spent == []
