"""One worker process as its parent sees it: started, given documents, listened to within a time, killed."""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from ingest.chunking import Prepared
from ingest.preparing import PreparedDocument, Task
from ingest.wire import (
    LENGTH,
    MAX_MESSAGE_BYTES,
    BadMessage,
    WorkerSpec,
    chunks_from,
    document_from,
    from_message,
    one_line,
    refusal_from,
    send,
)
from rag.errors import EncoderError, LibrarianError

# A worker loads a tokenizer and the readers of the commonest formats; a busy machine may need long for it.
START_SECONDS = 60.0
_TAIL_BYTES = 4096
_READ_BYTES = 256 * 1024

# Of the environment a worker is given what finding libraries, temporary folders and OCR data takes: no secrets.
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "TESSDATA_PREFIX", "SYSTEMROOT")
# The cores are the encoder's: a worker takes one.
_SINGLE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_THREAD_LIMIT"), "1"
)
# What a process that is out of memory says last, in C++, in Rust and in Python.
_OUT_OF_MEMORY = (b"bad_alloc", b"memory allocation of", b"MemoryError", b"Cannot allocate memory", b"out of memory")


class WorkersUnavailable(LibrarianError):
    """The processes that read documents cannot be started."""

    code = "workers_unavailable"


class Late(Exception):
    """The document has had its seconds."""


class Gone(Exception):
    """The worker ended, or said something that none says, in the middle of a document."""


class Hungry(Exception):
    """The worker ran into its memory limit, and ends."""


class Child:
    """A worker process. One thread uses it; any thread may `kill` it.

    On Linux it dies with the *thread* that made it, which therefore must be the thread that uses it.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        """Start the process. Raises WorkersUnavailable."""
        self._spec = spec
        self._kill_lock = threading.Lock()
        self._ended = False
        self._buffer = bytearray()
        self._tail = b""
        self._received = 0
        self._hung_up = False
        self.answered = 0  # documents
        self.killed = False
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(  # noqa: S603 — this Python, this package
                [sys.executable, "-P", "-m", "ingest.worker", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                env=_environment(),
                cwd=tempfile.gettempdir(),
                start_new_session=True,  # Ctrl-C is the parent's, and what a reader starts is killed with it
            )
        except OSError as error:
            ours.close()
            raise WorkersUnavailable(
                f"no process to read documents can be started: {error.strerror or error}. "
                "Check the memory and the number of processes this machine allows."
            ) from None
        finally:
            theirs.close()
        self._channel = ours
        self._errors = cast(IO[bytes], self._process.stderr)
        os.set_blocking(self._errors.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(ours, selectors.EVENT_READ)
        self._selector.register(self._errors, selectors.EVENT_READ)

    def start(self) -> None:
        """Wait until it is ready. Raises EncoderError or WorkersUnavailable where it never will be."""
        deadline = time.monotonic() + START_SECONDS
        try:
            self._send(pickle.dumps(self._spec), START_SECONDS)
            kind, values = self._message(deadline)
        except Late:
            raise WorkersUnavailable(
                f"a process to read documents was not ready after {START_SECONDS:g} s. Is the machine overloaded?"
            ) from None
        except Gone:
            said = self._tail.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise WorkersUnavailable(
                f"the process to read documents ended before it was ready: {one_line(said) or 'it gave no reason'}."
            ) from None
        if kind == "ready":
            return
        code, reason = [*values, "", ""][:2]
        if code == EncoderError.code:
            raise EncoderError(one_line(str(reason)))
        raise WorkersUnavailable(f"a process to read documents cannot work: {one_line(str(reason))}.")

    def give(self, tasks: Sequence[Task]) -> None:
        """Hand it documents. It answers all of them, in order, before it can be given others. Raises Late and Gone."""
        self._send(pickle.dumps(list(tasks), protocol=pickle.HIGHEST_PROTOCOL), self._spec.seconds)

    def answer(self, task: Task) -> tuple[PreparedDocument | tuple[str, str], int, bool]:
        """The next document or its refusal (code, reason), its size in bytes, and whether the worker can take others.

        Raises Late, Gone and Hungry; each is the worker's end.
        """
        deadline = time.monotonic() + self._spec.seconds
        self._received = 0
        chunks: list[Prepared] = []
        try:
            while True:
                kind, values = self._message(deadline)
                if kind == "chunks":
                    chunks += chunks_from(values, len(chunks))
                    continue
                if kind == "hungry":
                    raise Hungry
                self.answered += 1
                if kind == "document":
                    document, stays = document_from(values, task, chunks)
                    return document, self._received, stays
                if kind == "refused":
                    code, reason, stays = refusal_from(values)
                    return (code, reason), self._received, stays
                raise BadMessage("unknown")
        except BadMessage:
            raise Gone from None

    def kill(self) -> None:
        """End it at once, with what it started. From any thread, as often as one likes."""
        self.killed = True
        with self._kill_lock:  # once it is reaped its id may be another process's
            if not self._ended:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> tuple[int, bool]:
        """Kill and reap it. Its status (negative: a signal), and whether it seems to have lacked memory."""
        self.kill()  # does not change the status of a process that is ending already
        with self._kill_lock:
            status = self._process.wait()
            self._ended = True
        self._hear_errors()
        self._selector.close()
        self._channel.close()
        self._errors.close()
        said = any(each in self._tail for each in _OUT_OF_MEMORY)
        return status, said or (self._hung_up and status == -signal.SIGKILL)  # the kernel's own remedy for no memory

    def _send(self, message: bytes, seconds: float) -> None:
        self._channel.settimeout(seconds)
        try:
            send(self._channel, message)
        except TimeoutError:
            raise Late from None
        except OSError:
            self._hung_up = True
            raise Gone from None
        finally:
            self._channel.setblocking(False)

    def _message(self, deadline: float) -> tuple[str, list[Any]]:
        """Its next message. Raises Late, Gone and BadMessage."""
        length = LENGTH.unpack(self._bytes(LENGTH.size, deadline))[0]
        self._received += length
        if length > MAX_MESSAGE_BYTES or self._received > self._spec.max_result_bytes:
            raise BadMessage("too long")
        return from_message(self._bytes(length, deadline))

    def _bytes(self, count: int, deadline: float) -> bytes:
        while len(self._buffer) < count:
            left = deadline - time.monotonic()
            ready = self._selector.select(max(0.0, left))
            if any(key.fileobj is self._errors for key, _ in ready):
                self._hear_errors()
            if any(key.fileobj is self._channel for key, _ in ready):
                self._hear()
            if left <= 0 and len(self._buffer) < count:  # after one look: it may be this side that was late
                raise Late
        found = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return found

    def _hear(self) -> None:
        try:
            data = self._channel.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hung_up = True
            raise Gone
        self._buffer += data

    def _hear_errors(self) -> None:
        """Keep the end of what it wrote to its standard error; it must not wait for a reader."""
        with suppress(BlockingIOError, OSError):
            data = os.read(self._errors.fileno(), 65536)
            if data:
                self._tail = (self._tail + data)[-_TAIL_BYTES:]
            elif self._errors in self._selector.get_map():
                self._selector.unregister(self._errors)


def _environment() -> dict[str, str]:
    """The worker's environment. It imports what this process would: same places, same order."""
    places = [str(Path(each).absolute()) for each in sys.path]
    return {
        **{name: os.environ[name] for name in _PASSED if name in os.environ},
        **_SINGLE,
        "PYTHONPATH": os.pathsep.join(places),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }
