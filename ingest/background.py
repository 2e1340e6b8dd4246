"""An iterator that works ahead in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

_T = TypeVar("_T")
_POLL_S = 0.2
# How long a stage that is told to stop may take: one slice of the encoder. One that hangs is left behind.
_JOIN_S = 4.0


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Halt:
    """Tells the stages of a pipeline to stop. `also` is called once when they are: it ends what one may hang in."""

    def __init__(self, also: Callable[[], None] = lambda: None) -> None:
        self._event = threading.Event()
        self._also = also

    def set(self) -> None:
        """Stop them all."""
        if not self._event.is_set():
            self._event.set()
            self._also()

    def is_set(self) -> bool:
        """Whether they are to stop."""
        return self._event.is_set()


def ahead(items: Iterable[_T], room: int, halt: Halt) -> Generator[_T]:
    """The items, produced by another thread which runs at most `room` of them ahead.

    An error there is raised here. `halt` is shared by the stages of one pipeline: closing any of them before its end
    sets it, and all stop after the item that they are at. `items` is closed in the thread that used it.
    """
    ready: queue.Queue[_T | _End] = queue.Queue(maxsize=room)

    def put(item: _T | _End) -> bool:
        while not halt.is_set():
            try:
                ready.put(item, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        error: BaseException | None = None
        source = iter(items)
        try:
            for item in source:
                if not put(item):
                    break
        except BaseException as raised:  # raised again where the items are used
            error = raised
        close = getattr(source, "close", None)
        if close:
            close()
        put(_End(error))

    worker = threading.Thread(target=work, name="librarian-ingest", daemon=True)
    worker.start()
    ended = False
    try:
        while not halt.is_set():
            try:
                item = ready.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                ended = True
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        if not ended:
            halt.set()
        worker.join(_JOIN_S)
