"""Documents prepared in worker processes, several at once. What a document does to its worker, it does to itself only.

A worker that takes too long, too much memory, or dies is replaced; its document is refused with a typed reason, and the
others that it had been given are done by the next one.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from ingest.child import Child, Gone, Hungry, Late, WorkersUnavailable
from ingest.preparing import PreparedDocument, Task
from ingest.sources.interface import Item
from ingest.wire import WorkerSpec
from rag.errors import SourceError

__all__ = ["Outcome", "PreparePool", "ReaderDied", "Ready", "Refused", "TooHungry", "TooSlow", "WorkerSpec"]

# Small documents are handed over several at once: the encoder's threads make every round trip wait for its turn.
BATCH_TASKS = 8
BATCH_BYTES = 256 * 1024

# Bytes of documents that wait for a worker, and of prepared ones that wait to be taken.
BYTES_AHEAD = 64 * 1024 * 1024


class TooSlow(SourceError):
    """Reading the document takes longer than it may."""

    code = "document_too_slow"


class TooHungry(SourceError):
    """Reading the document takes more memory than it may."""

    code = "document_too_large_in_memory"


class ReaderDied(SourceError):
    """The process that read the document died, twice."""

    code = "reader_died"


@dataclass(frozen=True, slots=True)
class Ready:
    """A document that was read and cut."""

    item: Item
    prepared: PreparedDocument


@dataclass(frozen=True, slots=True)
class Refused:
    """A document that gives no chunks: the `code` and message of the error that says why."""

    item: Item
    code: str
    reason: str


Outcome = Ready | Refused


class PreparePool:
    """At most `workers` processes, started when there is work for them. A context manager; `close` ends all at once.

    Each is served by a thread of this process. One `run` at a time.
    """

    def __init__(self, workers: int, spec: WorkerSpec, bytes_ahead: int = BYTES_AHEAD) -> None:
        """`bytes_ahead` bounds the bytes that wait on either side, but for one document that is larger alone."""
        self._workers = workers
        self._spec = spec
        self._bytes_ahead = bytes_ahead
        self._changed = threading.Condition()
        self._todo: deque[Task] = deque()
        self._ready: deque[tuple[Outcome, int, int]] = deque()  # with the bytes of its task and of its result
        self._ready_bytes = 0
        self._children: dict[int, Child] = {}
        self._busy: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._turn = 0  # counts runs: what was begun in an earlier one is not wanted any more
        self._running = False
        self._closed = False
        self._failure: BaseException | None = None

    def __enter__(self) -> PreparePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill all workers and wait for their end. Calling it twice is no error."""
        with self._changed:
            self._closed = True
            children = list(self._children.values())
            self._changed.notify_all()
        for child in children:
            child.kill()
        for thread in self._threads:
            thread.join()

    def run(self, tasks: Iterable[Task]) -> Generator[Outcome]:
        """Every task's outcome, once, in the order in which they get done.

        `tasks` is pulled in the caller's thread, one for each outcome taken once 16 a worker are on their way, so a
        consumer that is slow holds everything up. Closing the generator kills the workers that are at a task and waits
        for their end. An error of `tasks` is raised as it is; WorkersUnavailable or EncoderError where no worker can
        work.
        """
        with self._changed:
            if self._running or self._closed:
                raise RuntimeError("the pool is closed" if self._closed else "the pool is running already")
            self._running = True
        try:
            yield from self._run(iter(tasks))
        finally:
            self._abandon()

    def _run(self, tasks: Iterable[Task]) -> Generator[Outcome]:
        source = iter(tasks)
        held: Task | None = None
        more = True
        flying = flying_bytes = 0
        while True:
            if more and held is None and flying < self._workers * 2 * BATCH_TASKS:
                held = next(source, None)
                more = held is not None
            if held and (not flying or flying_bytes + len(held.data) <= self._bytes_ahead):
                flying, flying_bytes = flying + 1, flying_bytes + len(held.data)
                self._submit(held)
                held = None
                fed = True
            else:
                fed = False
            if not flying:
                return
            done = self._take_ready(wait=not fed)
            if done:
                outcome, size = done
                flying, flying_bytes = flying - 1, flying_bytes - size
                yield outcome

    def _submit(self, task: Task) -> None:
        with self._changed:
            self._todo.append(task)
            idle = len(self._threads) - len(self._busy)
            if len(self._todo) > idle and len(self._threads) < self._workers:
                slot = len(self._threads)
                thread = threading.Thread(
                    target=self._serve, args=(slot,), name=f"librarian-reader-{slot}", daemon=True
                )
                thread.start()
                self._threads.append(thread)
            self._changed.notify_all()

    def _take_ready(self, wait: bool) -> tuple[Outcome, int] | None:
        """An outcome and the bytes of its task; None where there is none and one need not wait for it."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._ready or self._failure or self._closed)
            if self._failure:
                failure, self._failure = self._failure, None
                raise failure
            if self._closed:
                raise RuntimeError("the pool was closed while it ran")
            if not self._ready:
                return None
            outcome, task_bytes, result_bytes = self._ready.popleft()
            self._ready_bytes -= result_bytes
            self._changed.notify_all()
            return outcome, task_bytes

    def _abandon(self) -> None:
        """End the run: what is not done is not wanted."""
        with self._changed:
            self._turn += 1
            self._todo.clear()
            self._ready.clear()
            self._ready_bytes = 0
            children = [child for slot, child in self._children.items() if slot in self._busy]
            self._changed.notify_all()
        for child in children:
            child.kill()
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            self._failure = None
            self._running = False

    def _serve(self, slot: int) -> None:
        """A thread's life: wait for work, start a worker where there is none, do a batch."""
        try:
            while (turn := self._wait_for_work(slot)) is not None:
                try:
                    self._child(slot, turn)
                    self._do(slot, turn, self._take_tasks(turn))
                except _Unwanted:
                    self._end(slot)
                except Exception as error:  # raised again in `run`: a thread that dies silently would hang it
                    self._end(slot)
                    with self._changed:
                        if self._wanted(turn):
                            self._failure = self._failure or error
        finally:
            self._end(slot)
            with self._changed:
                self._busy.discard(slot)
                self._changed.notify_all()

    def _wait_for_work(self, slot: int) -> int | None:
        """The turn of the work that is there, None once the pool is closed."""
        with self._changed:
            self._busy.discard(slot)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or (self._todo and not self._failure))
            if self._closed:
                return None
            self._busy.add(slot)
            return self._turn

    def _take_tasks(self, turn: int) -> deque[Task]:
        """Some small tasks or a large one; none where other threads were quicker."""
        taken: deque[Task] = deque()
        size = 0
        with self._changed:
            while self._todo and self._wanted(turn) and len(taken) < BATCH_TASKS:
                size += len(self._todo[0].data)
                if taken and size > BATCH_BYTES:
                    break
                taken.append(self._todo.popleft())
        return taken

    def _do(self, slot: int, turn: int, tasks: deque[Task]) -> None:
        """Have the tasks done, in order, by as many workers as that takes."""
        suspect: Task | None = None  # its worker died: it is tried once more, alone in a new one
        while tasks:
            child = self._child(slot, turn)
            try:
                self._do_with(child, slot, turn, tasks, alone=tasks[0] is suspect)
            except (Late, Hungry, Gone) as end:
                fresh, hungry = child.answered == 0, isinstance(end, Hungry)
                status, lacked_memory = self._end(slot)
                if not self._wanted(turn):
                    raise _Unwanted from None
                tried = tasks[0] is suspect
                suspect = tasks[0]
                if isinstance(end, Late):
                    self._refuse(turn, tasks.popleft(), _too_slow(self._spec))
                elif (hungry and fresh) or (tried and (hungry or lacked_memory)):
                    self._refuse(turn, tasks.popleft(), _too_hungry(self._spec))
                elif tried:
                    self._refuse(turn, tasks.popleft(), _died(status))

    def _do_with(self, child: Child, slot: int, turn: int, tasks: deque[Task], alone: bool) -> None:
        """Have one worker do the first task (`alone`) or all; those that are answered leave `tasks`."""
        given = [tasks[0]] if alone else list(tasks)
        child.give(given)
        for task in given:
            found, size, stays = child.answer(task)
            tasks.popleft()
            outcome = Refused(task.item, *found) if isinstance(found, tuple) else Ready(task.item, found)
            self._put(turn, task, outcome, size)
            if not stays:
                self._end(slot)
                return

    def _refuse(self, turn: int, task: Task, error: SourceError) -> None:
        self._put(turn, task, Refused(task.item, error.code, str(error)), 0)

    def _put(self, turn: int, task: Task, outcome: Outcome, size: int) -> None:
        """Hand an outcome over, once there is room for it."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._wanted(turn) or not self._ready or self._ready_bytes + size <= self._bytes_ahead
            )
            if not self._wanted(turn):
                raise _Unwanted
            self._ready.append((outcome, len(task.data), size))
            self._ready_bytes += size
            self._changed.notify_all()

    def _child(self, slot: int, turn: int) -> Child:
        """The slot's worker, started where there is none. Raises what `Child.start` raises."""
        child = self._children.get(slot)
        if child and not child.killed:
            return child
        self._end(slot)  # killed as the run before this one ended, between two of its documents
        for last in (False, True):  # a machine that is short of something for a moment is no reason to stop a job
            try:
                return self._new_child(slot, turn)
            except WorkersUnavailable:
                if last:
                    raise
        raise AssertionError

    def _new_child(self, slot: int, turn: int) -> Child:
        child = Child(self._spec)
        with self._changed:
            self._children[slot] = child
            wanted = self._wanted(turn)
        try:
            if not wanted:
                raise _Unwanted
            child.start()
        except BaseException:
            self._end(slot)
            if not self._wanted(turn):
                raise _Unwanted from None
            raise
        return child

    def _end(self, slot: int) -> tuple[int, bool]:
        with self._changed:
            child = self._children.pop(slot, None)
        return child.end() if child else (0, False)

    def _wanted(self, turn: int) -> bool:
        return turn == self._turn and not self._closed


class _Unwanted(Exception):
    """The run that this was for is over."""


def _too_slow(spec: WorkerSpec) -> TooSlow:
    return TooSlow(
        f"reading it takes more than the {spec.seconds:g} s of max_document_seconds; split it, or raise the setting."
    )


def _too_hungry(spec: WorkerSpec) -> TooHungry:
    return TooHungry(
        f"reading it takes more than the {spec.memory / 1e6:.0f} MB of max_document_memory; split it, or raise the "
        "setting."
    )


def _died(status: int) -> ReaderDied:
    with suppress(ValueError):
        return ReaderDied(
            f"the process that read it died of {signal.Signals(-status).name}, twice; the document may be damaged: "
            "save it anew, or as another format."
        )
    return ReaderDied(
        f"the process that read it ended without an answer (status {status}), twice; the document may be damaged: save "
        "it anew, or as another format."
    )
