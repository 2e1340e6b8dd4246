"""The worker process: reads and cuts one document after the other, and can be killed at any moment.

Started as `python -m ingest.worker SOCKET PARENT`: the number of an open socket, and the id of the process at its other
end. It limits itself before the first document and ends when the other end is gone.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import resource
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from ingest.chunking import TokenCounts
from ingest.preparing import PreparedDocument, Task
from ingest.wire import WorkerSpec, chunk_messages, document_message, receive, send, to_message
from rag.errors import LibrarianError, SourceError

# Nothing that is written while a document is read is large: its text stays in memory.
_MAX_FILE_BYTES = 64 * 1024 * 1024
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


class _Reader:
    """Answers tasks over the socket."""

    def __init__(self, channel: socket.socket, spec: WorkerSpec) -> None:
        self._channel = channel
        self._spec = spec
        self._prepare = _named(spec.prepare)
        self._tokens: TokenCounts = _named(spec.tokens)(spec.tokenizer_file)
        self._tokens.token_counts(["ready"])  # what a tokenizer makes at its first text counts as the idle worker's
        self._idle = _address_space()
        if self._idle is not None:
            limit = self._idle + spec.memory
            with suppress(ValueError, OSError):  # a system that does not know this limit goes without
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def answer(self, task: Task) -> bool:
        """Prepare one document and send what came of it. False: this process has grown and is to be replaced."""
        prepared: PreparedDocument | None = None
        refusal: tuple[str, str] | None = None
        try:
            prepared = self._prepare(task, self._tokens, self._spec.chunk_tokens, self._spec.limits)
            for message in chunk_messages(prepared.chunks):
                send(self._channel, message)
        except MemoryError:
            prepared = None  # answered below, once the frames that hold the memory are gone
        except LibrarianError as error:
            refusal = error.code, str(error)
        except OSError as error:
            if isinstance(error, BrokenPipeError | ConnectionError):
                raise
            refusal = SourceError.code, f"it cannot be read ({type(error).__name__}: {error})."
        except RecursionError:
            refusal = SourceError.code, "its elements are nested too deeply to be read."
        except Exception as error:  # whatever a parser makes of broken bytes, it is about this document only
            refusal = SourceError.code, f"it cannot be read ({type(error).__name__}: {error})."
        stays = self._stays()
        if refusal:
            send(self._channel, to_message("refused", *refusal, stays))
        elif prepared:
            send(self._channel, document_message(prepared, stays))
        else:
            send(self._channel, to_message("hungry"))
            return False
        return stays

    def _stays(self) -> bool:
        """Whether the next document would find most of its memory: what libraries never give back counts against it."""
        now = _address_space()
        return now is None or self._idle is None or now - self._idle < self._spec.memory // 2


def main(arguments: list[str]) -> int:
    """Answer tasks until the other end is gone."""
    channel = socket.socket(fileno=int(arguments[0]))
    _end_with(channel, parent=int(arguments[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whether the job stops is for the parent to say
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    spec = receive(channel)
    if spec is None:
        return 0
    try:
        reader = _Reader(channel, pickle.loads(spec))  # noqa: S301 — from the parent
    except LibrarianError as error:
        send(channel, to_message("broken", error.code, str(error)))
        return 1
    except Exception as error:
        send(channel, to_message("broken", "", f"{type(error).__name__}: {error}"))
        return 1
    send(channel, to_message("ready"))
    while (tasks := receive(channel)) is not None:
        for task in pickle.loads(tasks):  # noqa: S301 — from the parent
            if not reader.answer(task):
                return 0
    return 0


def _end_with(channel: socket.socket, parent: int) -> None:
    """End when the parent does, also in the middle of a document."""
    if sys.platform == "linux":  # at once, even where a library never lets another thread run
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)

    def watch() -> None:
        poll = select.poll()
        poll.register(channel, 0)  # a hang-up is reported unasked
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _named(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)


def _address_space() -> int | None:
    """Bytes of address space of this process, None where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return None


if __name__ == "__main__":
    with suppress(BrokenPipeError, ConnectionError):
        sys.exit(main(sys.argv[1:]))
