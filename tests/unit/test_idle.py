"""Which of a server's connections are closed because nothing comes over them."""

from __future__ import annotations

from dataclasses import dataclass

from serve.idle import Idle


@dataclass(eq=False)
class Cycle:
    """As far as Idle looks at uvicorn's: a request and its answer."""

    response_complete: bool


class Connection:
    """As far as Idle looks at uvicorn's."""

    def __init__(self, cycle: Cycle | None = None) -> None:
        self.cycle = cycle
        self.closed = False

    def shutdown(self) -> None:
        self.closed = True


def test_one_that_never_asks_is_closed_once_its_time_is_over() -> None:
    idle, connection = Idle(10), Connection()
    for now in range(11):
        idle.close_overdue([connection], now)
    assert not connection.closed
    idle.close_overdue([connection], 11)
    assert connection.closed


def test_one_that_was_answered_and_says_no_more_is_closed() -> None:
    idle, connection = Idle(10), Connection(Cycle(response_complete=True))
    for now in (0, 11):
        idle.close_overdue([connection], now)
    assert connection.closed


def test_one_that_waits_for_its_answer_stays() -> None:
    idle, connection = Idle(10), Connection(Cycle(response_complete=False))
    for now in (0, 11, 1000):
        idle.close_overdue([connection], now)
    assert not connection.closed


def test_one_that_asks_again_and_again_stays() -> None:
    idle, connection = Idle(10), Connection()
    for now in range(100):
        connection.cycle = Cycle(response_complete=True)  # of the request that came since the last look
        idle.close_overdue([connection], now)
    assert not connection.closed


def test_one_that_is_gone_is_forgotten() -> None:
    idle, connection = Idle(10), Connection()
    idle.close_overdue([connection], 0)
    idle.close_overdue([], 5)
    idle.close_overdue([connection], 11)
    assert not connection.closed
