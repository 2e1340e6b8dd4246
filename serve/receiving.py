"""A multipart body to files on the disk as it arrives: memory holds one piece of it, whatever its size."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from rag.errors import BadInput
from rag.feeding import DiskFull
from serve.document_shapes import MAX_NAME

FILE_FIELDS = {"files", "files[]", "file"}
TEXT_FIELDS = {"collection", "groups", "metadata", "prefix"}
MAX_FIELD_BYTES = 256 * 1024
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that was sent, and where its bytes lie."""

    name: str
    file: Path


@dataclass(slots=True)
class Form:
    """What a multipart body held."""

    files: list[ReceivedFile] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


async def receive_form(content_type: str, stream: AsyncIterator[bytes], folder: Path, max_files: int) -> Form:
    """Read a multipart body, its files into `folder`.

    Raises BadInput, naming the file, for what is malformed or too much, and DiskFull.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadInput("send multipart/form-data with a boundary, or application/json.")
    receiver = _Receiver(options[b"boundary"], folder, max_files)
    try:
        piece = bytearray()
        async for some in stream:
            piece += some
            if len(piece) >= _PIECE_BYTES:
                await asyncio.to_thread(receiver.write, bytes(piece))
                piece.clear()
        await asyncio.to_thread(receiver.write, bytes(piece))
        return receiver.finish()
    finally:
        receiver.close()


class _Receiver:
    """The parser's callbacks, which keep the part that is being read."""

    def __init__(self, boundary: bytes, folder: Path, max_files: int) -> None:
        self._folder = folder
        self._max_files = max_files
        self._form = Form()
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._field = ""
        self._text: bytearray | None = None
        self._open: BinaryIO | None = None
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_end": self._all,
                },
            )
        except FormParserError as error:
            raise BadInput(f"the multipart body cannot be read: {error}") from None

    def write(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadInput(f"the multipart body is malformed{self._where()}: {error}") from None
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise DiskFull(f"the disk of the server is full{self._where()}: make room, or send less.") from None
            raise DiskFull(f"the server cannot write what was sent: {error.strerror or error}.") from None

    def finish(self) -> Form:
        if not self._ended:
            raise BadInput(f"the multipart body breaks off{self._where()}: its last boundary is missing.")
        return self._form

    def close(self) -> None:
        if self._open:
            self._open.close()
            self._open = None

    def _where(self) -> str:
        return f" in file {len(self._form.files)} ('{self._form.files[-1].name}')" if self._form.files else ""

    def _begin(self) -> None:
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        name = options.get(b"filename")
        if name is None and self._field in FILE_FIELDS:
            name = b""
        if name is None:
            if self._field not in TEXT_FIELDS:
                allowed = ", ".join(sorted(TEXT_FIELDS))
                raise BadInput(f"the field '{self._field[:100]}' is not supported; there are files, {allowed}.")
            self._text = bytearray()
            return
        if self._field not in FILE_FIELDS:
            raise BadInput(f"files are sent in the field 'files', not '{self._field[:100]}'.")
        number = len(self._form.files) + 1
        if number > self._max_files:
            raise BadInput(f"more than {self._max_files} files (LIBRARIAN_MAX_UPLOAD_DOCUMENTS): send them in parts.")
        path = self._folder / str(number)
        self._form.files.append(ReceivedFile(_decoded(name, number), path))
        self._open = path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._open:
            self._open.write(data[start:end])
        elif self._text is not None:
            if len(self._text) + end - start > MAX_FIELD_BYTES:
                raise BadInput(f"the field '{self._field}' has more than {MAX_FIELD_BYTES} bytes.")
            self._text += data[start:end]

    def _end(self) -> None:
        self.close()
        if self._text is not None:
            try:
                text = self._text.decode()
            except UnicodeDecodeError:
                raise BadInput(f"the field '{self._field}' is not UTF-8.") from None
            before = self._form.fields.get(self._field)
            if before is not None and self._field != "groups":
                raise BadInput(f"the field '{self._field}' was sent twice.")
            self._form.fields[self._field] = text if before is None else f"{before},{text}"
            self._text = None

    def _all(self) -> None:
        self._ended = True


def _decoded(name: bytes, number: int) -> str:
    try:
        return document_name(name.decode(), f"file {number}")
    except UnicodeDecodeError:
        raise BadInput(f"file {number}: its name is not UTF-8.") from None


def document_name(name: str, which: str) -> str:
    """A name that was sent, as one that identifies a document: relative, with '/' between its parts.

    Raises BadInput, naming `which` document, where it is empty, too long, or climbs out of where it stands.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", "."}]
    clean = "/".join(parts)
    if not clean:
        raise BadInput(f"{which} has no name: give it one, its suffix tells the format.")
    if ".." in parts or not clean.isprintable() or len(clean) > MAX_NAME:
        raise BadInput(
            f"{which} has a name that cannot be used ({clean[:80]!r}): at most {MAX_NAME} printable characters, "
            "without '..'."
        )
    return clean
