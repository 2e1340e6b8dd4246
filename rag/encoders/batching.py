"""Queries that come at the same time share one call of the encoder.

For encoders behind a URL: a call costs a request, and their servers join what reaches them at the same time anyhow.
Encoders in this process are better off without, by measurement (MiniLM, two cores, 16 callers). onnx gives each query
a core as it comes, and a shared call, though it changes no bit, makes the median wait 27 ms instead of 9 and answers a
fifth fewer. torch changes bits: of two queries of equal length, so without any padding, neither vector was the one that
it is alone (1.2e-7 off), because matrix products are cut differently for other numbers of rows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rag.encoders.interface import DenseEncoder, Vectors
from rag.encoders.wrapped import WrappedEncoder

MOST_QUERIES = 32


class BatchesQueries(DenseEncoder, Protocol):
    """An encoder that can be asked for several queries' vectors at once."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """The queries' unit vectors, shape (len(texts), dimension)."""
        ...


@dataclass(slots=True)
class _Group:
    """Queries that wait for one call. The thread that made it makes the call; `done` is set whatever comes of it."""

    texts: list[str]
    done: threading.Event = field(default_factory=threading.Event)
    vectors: Vectors | None = None


class BatchedEncoder(WrappedEncoder):
    """A query that finds none under way is encoded at once. Others wait for company, no longer than `wait_ms`.

    Thread-safe. The wait ends as soon as nothing is under way or MOST_QUERIES are together. Where a shared call fails
    each of its queries is encoded alone, so that an error reaches those only whose own it is. A call runs in the thread
    of one of its queries: a caller that stops waiting for that thread harms no other.
    """

    def __init__(self, inner: BatchesQueries, wait_ms: float, most: int = MOST_QUERIES) -> None:
        super().__init__(inner)
        self._batches = inner
        self._wait = wait_ms / 1e3
        self._most = most
        self._turn = threading.Condition()
        self._under_way = 0
        self._gathering = 0  # groups whose call has not begun
        self._open: _Group | None = None
        self._closed = False

    def encode_query(self, text: str) -> Vectors:
        """The query's unit vector, shape (dimension,): the one that it has alone."""
        with self._turn:
            if self._closed or not (self._under_way or self._gathering):
                group, place = None, 0
                self._under_way += 1
            else:
                group, place = self._joined(text)
        if group is None:
            return self._alone(text)
        if place == 0:
            self._lead(group)
        else:
            group.done.wait()
        return self.inner.encode_query(text) if group.vectors is None else group.vectors[place].copy()

    @property
    def waiting(self) -> int:
        """Queries in the group that others may join now."""
        with self._turn:
            return len(self._open.texts) if self._open else 0

    def close(self) -> None:
        """Wait for what is under way; later queries are encoded alone. Calling it twice is no error."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
            self._turn.wait_for(lambda: not self._under_way and not self._gathering)

    def _joined(self, text: str) -> tuple[_Group, int]:
        group = self._open
        if group is None:
            group = self._open = _Group([text])
            self._gathering += 1
            return group, 0
        group.texts.append(text)
        if len(group.texts) >= self._most:
            self._open = None
            self._turn.notify_all()
        return group, len(group.texts) - 1

    def _lead(self, group: _Group) -> None:
        try:
            self._close_group(group)
            if len(group.texts) > 1:
                group.vectors = self._batches.encode_queries(group.texts)
        except Exception:  # whose fault it is shows when each is encoded alone
            group.vectors = None
        finally:
            group.done.set()
            self._ended()

    def _close_group(self, group: _Group) -> None:
        """Wait for company; from then on the group counts as under way."""
        with self._turn:
            try:
                self._turn.wait_for(
                    lambda: self._open is not group or not self._under_way or self._closed, timeout=self._wait
                )
            finally:
                if self._open is group:
                    self._open = None
                self._gathering -= 1
                self._under_way += 1

    def _alone(self, text: str) -> Vectors:
        try:
            return self.inner.encode_query(text)
        finally:
            self._ended()

    def _ended(self) -> None:
        with self._turn:
            self._under_way -= 1
            self._turn.notify_all()
