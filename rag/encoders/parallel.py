"""Calls that wait for a network, several at once, that nobody has to wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def in_parallel(call: Callable[[_T, threading.Event], _R], items: Sequence[_T], most: int) -> list[_R]:
    """What `call` makes of each item, in order; at most `most` at once. Raises the first error that any of them raises.

    Once one fails, or the caller is interrupted, the event that each call is given is set and none is waited for. An
    executor's threads would be: the interpreter joins them at its end, so Ctrl-C would last as long as a dead server
    is waited for.
    """
    gone = threading.Event()
    ready: queue.SimpleQueue[tuple[int, _R | None, BaseException | None]] = queue.SimpleQueue()
    todo = iter(enumerate(items))
    turn = threading.Lock()

    def work() -> None:
        while not gone.is_set():
            with turn:
                following = next(todo, None)
            if following is None:
                return
            number, item = following
            try:
                ready.put((number, call(item, gone), None))
            except BaseException as error:  # raised again where the results are waited for
                ready.put((number, None, error))
                return

    for _ in range(min(most, len(items))):
        threading.Thread(target=work, name="encoder", daemon=True).start()
    found: dict[int, _R] = {}
    try:
        while len(found) < len(items):
            number, result, error = ready.get()
            if error is not None:
                raise error
            found[number] = result  # type: ignore[assignment]  # there is one where there is no error
    finally:
        gone.set()
    return [found[number] for number in range(len(items))]
