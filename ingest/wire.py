"""What a job and its worker processes say to each other: length-prefixed messages over a socket.

To a worker go pickles. From a worker comes JSON of known shapes and bounded size, and it is judged: a hostile document
may have taken the worker over. Whose document it is (URI, groups, content hash) is never taken from a worker.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ingest.chunking import Prepared
from ingest.loading import Limits
from ingest.preparing import PreparedDocument, Task, header
from rag.schema import Chunk, Format

LENGTH = struct.Struct("!Q")

# Chunks are sent in messages of about this many characters; no message of a worker may have more bytes than the other.
CHARACTERS_PER_MESSAGE = 256 * 1024
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker does and may cost. `seconds` and `memory` (bytes over what an idle worker has) are per document.

    `prepare` and `tokens` name functions of the shape of `ingest.preparing.prepare` and
    `rag.encoders.tokens.load_token_counts`, which is called with `tokenizer_file`.
    """

    tokenizer_file: Path
    chunk_tokens: int
    limits: Limits
    seconds: float
    memory: int
    prepare: str = "ingest.preparing:prepare"
    tokens: str = "rag.encoders.tokens:load_token_counts"

    @property
    def max_result_bytes(self) -> int:
        """Bytes of JSON that one document's chunks may come to: several times its text, which stands in it twice."""
        return 4 * MAX_MESSAGE_BYTES + 8 * self.limits.characters


class BadMessage(Exception):
    """A worker sent something that none sends by itself."""


def send(channel: socket.socket, message: bytes) -> None:
    """Send one message. Raises OSError where the other end is gone."""
    channel.sendall(LENGTH.pack(len(message)))
    channel.sendall(message)


def receive(channel: socket.socket) -> bytearray | None:
    """The next message, None where the other end is gone. For the side that trusts the other."""
    head = _exactly(channel, LENGTH.size)
    return None if head is None else _exactly(channel, LENGTH.unpack(head)[0])


def _exactly(channel: socket.socket, count: int) -> bytearray | None:
    buffer = bytearray(count)
    view, filled = memoryview(buffer), 0
    while filled < count:
        got = channel.recv_into(view[filled:])
        if not got:
            return None
        filled += got
    return buffer


def to_message(kind: str, *values: object) -> bytes:
    """A message of a worker. What cannot be encoded (lone surrogates) is replaced."""
    return json.dumps([kind, *values], ensure_ascii=False).encode("utf-8", "replace")


def from_message(data: bytes | bytearray) -> tuple[str, list[Any]]:
    """Kind and values of a worker's message. Raises BadMessage."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        raise BadMessage("no JSON") from None
    if not isinstance(message, list) or not message or not isinstance(message[0], str):
        raise BadMessage("no message")
    return message[0], message[1:]


def chunk_messages(chunks: Sequence[Prepared]) -> Iterator[bytes]:
    """The chunks in messages of bounded size. Of what is embedded only the part before the text is sent."""
    rows: list[object] = []
    characters = 0
    for each in chunks:
        chunk, embedded = each.chunk, each.embedded
        before, whole = (embedded[: -len(chunk.text)], None) if embedded.endswith(chunk.text) else ("", embedded)
        rows.append([chunk.start, chunk.end, chunk.text, list(chunk.heading_path), chunk.page, before, whole])
        characters += len(embedded) + len(chunk.text)
        if characters >= CHARACTERS_PER_MESSAGE:
            yield to_message("chunks", rows)
            rows, characters = [], 0
    if rows:
        yield to_message("chunks", rows)


def chunks_from(values: Sequence[Any], first: int) -> list[Prepared]:
    """The chunks of a message, numbered from `first`. Raises BadMessage."""
    if len(values) != 1 or not isinstance(values[0], list):
        raise BadMessage("no chunks")
    return [_chunk(row, ordinal) for ordinal, row in enumerate(values[0], start=first)]


def _chunk(row: Any, ordinal: int) -> Prepared:
    if not isinstance(row, list) or len(row) != 7:
        raise BadMessage("no chunk")
    start, end, text, headings, page, before, whole = row
    if not _is_count(start) or not _is_count(end) or not _is_text(text) or not text or len(text) != end - start:
        raise BadMessage("a chunk whose span is not that of its text")
    if not isinstance(headings, list) or not all(_is_text(each) for each in headings):
        raise BadMessage("a chunk whose headings are no words")
    if not (page is None or (_is_count(page) and page > 0)):
        raise BadMessage("a chunk whose page is no number")
    if not _is_text(before) or not (whole is None or _is_text(whole)):
        raise BadMessage("a chunk whose embedded text is none")
    embedded = before + text if whole is None else whole
    return Prepared(Chunk(ordinal, text, start, end, tuple(headings), page), embedded)


def document_message(prepared: PreparedDocument, stays: bool) -> bytes:
    """The end of a document's chunks, and its header. `stays`: the worker can take another document."""
    document = prepared.document
    return to_message("document", document.title, document.format, dict(document.metadata), document.pages, stays)


def document_from(values: Sequence[Any], task: Task, chunks: list[Prepared]) -> tuple[PreparedDocument, bool]:
    """The task's document with its chunks, and whether the worker stays. Raises BadMessage."""
    if len(values) != 5:
        raise BadMessage("no document")
    title, form, metadata, pages, stays = values
    if not _is_text(title) or form not in get_args(Format) or not isinstance(stays, bool) or not chunks:
        raise BadMessage("a document without title, format or chunks")
    if not _is_mapping(metadata) or not isinstance(pages, list) or not all(_is_count(each) for each in pages):
        raise BadMessage("a document whose metadata or pages are none")
    document = replace(header(task, title, metadata), format=form, pages=tuple(pages))
    return PreparedDocument(document, chunks), stays


def refusal_from(values: Sequence[Any]) -> tuple[str, str, bool]:
    """Code and reason of a refused document, and whether the worker stays. Raises BadMessage."""
    if len(values) != 3 or not all(_is_text(each) for each in values[:2]) or not isinstance(values[2], bool):
        raise BadMessage("no refusal")
    code, reason, stays = values
    if not code.isidentifier() or len(code) > 64:
        raise BadMessage("a refusal without a code")
    return code, one_line(reason), stays


def one_line(words: str, length: int = 500) -> str:
    """The words as one line of at most so many printable characters."""
    line = " ".join(words[: 4 * length].split())[:length]
    return "".join(each if each.isprintable() else "?" for each in line)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_text(value: object) -> bool:
    """Whether it is text that can be stored: JSON can carry lone surrogates."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping) and all(_is_text(key) and _is_text(each) for key, each in value.items())
