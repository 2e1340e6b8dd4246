"""What runs in the worker processes of test_pool.py: a reader that does what a document's name says."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.chunking import Prepared
from ingest.loading import EmptyDocument, Limits
from ingest.preparing import PreparedDocument, Task, header
from ingest.wire import LENGTH, send, to_message
from rag.errors import EncoderError
from rag.schema import Chunk


class Words:
    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(each.split()) for each in texts]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\S+", text)]


def tokens(_: Path) -> Words:
    return Words()


def no_tokens(file: Path) -> Words:
    raise EncoderError(f"tokenizer {file} cannot be read.")


def dead_at_once(_: Path) -> Words:
    print("a library says\nwhy it cannot", file=sys.stderr, flush=True)
    os._exit(3)


def prepare(task: Task, _tokens: Words, _chunk_tokens: int, _limits: Limits) -> PreparedDocument:
    """Chunks that are the document's lines, unless its name is that of an act."""
    act = ACTS.get(task.item.name)
    if act:
        act(task)
    text = task.data.decode()
    lines = [match.span() for match in re.finditer("[^\n]+", text)]
    chunks = [Prepared(Chunk(n, text[a:b], a, b), f"T\n{text[a:b]}") for n, (a, b) in enumerate(lines)]
    return PreparedDocument(header(task, str(os.getpid()), {}), chunks)


def _channel() -> socket.socket:
    return socket.socket(fileno=os.dup(int(sys.argv[1])))


def _note_and(task: Task) -> Path:
    """The file whose path is the document's text; a line is added to it for every try."""
    file = Path(task.data.decode())
    with file.open("a") as opened:
        opened.write(f"{os.getpid()}\n")
    return file


def _hang(_: Task) -> None:
    while True:
        time.sleep(0.01)


def _hold(_: Task) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")  # never lets another thread run


def _eat(_: Task) -> None:
    eaten = []
    while True:
        eaten.append(bytearray(16 * 1024 * 1024))


def _leak(task: Task) -> None:
    _LEAKED.append(bytearray(160 * 1024 * 1024))


def _crash_once(task: Task) -> None:
    if len(_note_and(task).read_text().splitlines()) == 1:
        os._exit(1)


def _crash_noted(task: Task) -> None:
    _note_and(task)
    ctypes.string_at(0)


def _garbage(_: Task) -> None:
    _channel().sendall(os.urandom(64))
    _hang(_)


def _huge(_: Task) -> None:
    _channel().sendall(LENGTH.pack(2**62))
    _hang(_)


def _endless(_: Task) -> None:
    channel = _channel()
    rows = [[0, 100_000, "x" * 100_000, [], None, "", None]]
    while True:
        send(channel, to_message("chunks", rows))


def _lie(_: Task) -> None:
    send(_channel(), to_message("document", "T", "markdown", {"a": 1}, [], True))
    _hang(_)


def _noise(_: Task) -> None:
    print("x" * 1_000_000)
    os.write(1, b"y" * 1_000_000)
    os.write(2, b"z" * 1_000_000)


def _refuse(_: Task) -> None:
    raise EmptyDocument("it holds no text.")


def _bug(_: Task) -> None:
    raise KeyError("a\nparser's bug")


def _deep(_: Task) -> None:
    _deep(_)


def _killed(_: Task) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _start_another(task: Task) -> None:
    pid = os.fork()
    if pid == 0:
        _hang(task)
    Path(task.data.decode()).write_text(str(pid))
    _hang(task)


def _environment(task: Task) -> None:
    Path(task.data.decode()).write_text("\n".join(os.environ))


_LEAKED: list[bytearray] = []
ACTS: dict[str, Callable[[Task], None]] = {
    "hang": _hang,
    "hold": _hold,
    "eat": _eat,
    "leak": _leak,
    "exit": lambda _: os._exit(0),
    "segfault": lambda _: ctypes.string_at(0) and None,
    "crash_once": _crash_once,
    "crash_noted": _crash_noted,
    "garbage": _garbage,
    "huge": _huge,
    "endless": _endless,
    "lie": _lie,
    "noise": _noise,
    "refuse": _refuse,
    "bug": _bug,
    "deep": _deep,
    "killed": _killed,
    "start_another": _start_another,
    "environment": _environment,
}
