"""The circuit breaker alone, on a clock that is turned by hand."""

from __future__ import annotations

from rag.breaker import Breaker


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(2, 5, clock)
    for _ in range(2):
        assert breaker.enter()
        breaker.failed()
    return breaker


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(2, 5, Clock())
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.enter()


def test_it_opens_after_so_many_in_a_row_and_says_for_how_long() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 2
    assert not breaker.enter()
    assert breaker.wait() == 3


def test_afterwards_one_call_is_let_in_and_no_second() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 5
    assert breaker.enter()
    assert not breaker.enter()
    breaker.succeeded()
    assert breaker.enter()
    assert breaker.enter()


def test_a_probe_that_fails_opens_it_anew() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 5
    assert breaker.enter()
    breaker.failed()
    assert breaker.wait() == 5


def test_a_probe_whose_client_left_makes_room_for_the_next() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 5
    assert breaker.enter()
    breaker.left()
    assert breaker.enter()


def test_calls_from_before_do_not_prolong_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 4
    breaker.failed()
    assert breaker.wait() == 1
