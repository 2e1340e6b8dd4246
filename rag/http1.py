"""HTTP/1.1 as a client that streams needs it: a request's bytes, and a response read as it comes. Pure; no network.

All of the body that one read brings comes out as one piece, however many chunks the server made of it: a reader that
has fallen behind catches up at once. Source of the framing: RFC 9112, sections 2, 5, 6 and 7.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Header = tuple[bytes, bytes]

MAX_HEAD = 64 * 1024  # bytes of a status line with its headers
MAX_LINE = 4096  # bytes of a chunk's size with its extensions, and of a trailer
_STATUS = re.compile(rb"HTTP/1\.([01]) (\d{3})(?: [^\r\n]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_DIGITS = re.compile(rb"\d{1,18}")
_BREAKS = re.compile(rb"[\r\n\0]")


class BadMessage(Exception):
    """Bytes that are no HTTP/1.1, or the end of the connection where more had to come."""


def request_bytes(method: bytes, target: bytes, headers: Sequence[Header], body: bytes) -> bytes:
    """A request with a body of known length, which `headers` tell. Raises BadMessage for a line break in a header."""
    for name, value in headers:
        if not _NAME.fullmatch(name) or _BREAKS.search(value):
            raise BadMessage(f"the header {name!r} cannot be sent")
    lines = [b"%b %b HTTP/1.1" % (method, target), *(b"%b: %b" % each for each in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class ResponseReader:
    """One response to a GET or POST. `status` is 0 until its head is whole; `done` once its body is.

    `keeps`: the connection may be used again, once this is done and `rest` is empty.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.done = False
        self.keeps = False
        self.rest = b""
        self._chunked = False
        self._left: int | None = None  # bytes of the body, or of the chunk; None: until the connection ends
        self._after_chunk = False
        self._trailers = False

    def feed(self, data: bytes) -> bytes:
        """Take what was read and return what it brings of the body. Raises BadMessage."""
        data = self.rest + data if self.rest else data
        self.rest = b""
        while not self.status:
            end = data.find(b"\r\n\r\n")
            if end < 0 or end > MAX_HEAD:
                if len(data) > MAX_HEAD:
                    raise BadMessage(f"a head of more than {MAX_HEAD} bytes")
                self.rest = data
                return b""
            self._head(data[:end])
            data = data[end + 4 :]
        if self.done:
            self.rest = data
            return b""
        return self._chunks(data) if self._chunked else self._plain(data)

    def end(self) -> None:
        """The connection has ended. Raises BadMessage where the response has not."""
        if not self.status:
            raise BadMessage("the server closed the connection without an answer")
        if not self.done and (self._chunked or self._left is not None):
            raise BadMessage("the server closed the connection before the end of its answer")
        self.done = True

    def _head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        status = _STATUS.fullmatch(first)
        if status is None:
            raise BadMessage(f"no HTTP/1.1 but {first[:40]!r}")
        headers = []
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not _NAME.fullmatch(name):
                raise BadMessage(f"no header but {line[:40]!r}")
            headers.append((name, value.strip(b" \t")))
        code = int(status[2])
        if 100 <= code < 200 and code != 101:
            return  # says only that the answer is still to come
        if code < 200:
            raise BadMessage(f"status {code}, which was not asked for")
        self.status, self.headers = code, headers
        self._frame(persistent=status[1] == b"1")

    def _frame(self, persistent: bool) -> None:
        codings = [each.strip() for each in self._values(b"transfer-encoding")]
        lengths = set(self._values(b"content-length"))
        self._chunked = codings == [b"chunked"]
        if codings and not self._chunked:
            raise BadMessage(f"a body in {b', '.join(codings)[:40]!r}")
        if self.status in {204, 304}:
            self.done = True
        elif lengths and not self._chunked:
            if len(lengths) > 1 or not _DIGITS.fullmatch(length := lengths.pop()):
                raise BadMessage("a length that is no number")
            self._left = int(length)
            self.done = self._left == 0
        framed = self.done or self._chunked or self._left is not None
        self.keeps = persistent and framed and b"close" not in self._values(b"connection")
        if self._chunked:
            self._left = 0

    def _values(self, wanted: bytes) -> list[bytes]:
        """The members of a header's lists, in small letters."""
        found = [value.lower().split(b",") for name, value in self.headers if name.lower() == wanted]
        return [each.strip(b" \t") for values in found for each in values]

    def _plain(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        part, self.rest = data[: self._left], data[self._left :]
        self._left -= len(part)
        self.done = self._left == 0
        return part

    def _chunks(self, data: bytes) -> bytes:
        parts, at = [], 0
        while at < len(data) and not self.done:
            if self._left:
                part = data[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                self._after_chunk = not self._left
                continue
            end = data.find(b"\r\n", at)
            if end < 0 or end - at > MAX_LINE:
                if len(data) - at > MAX_LINE:
                    raise BadMessage(f"a line of more than {MAX_LINE} bytes between chunks")
                break
            self._line(data[at:end])
            at = end + 2
        self.rest = data[at:]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _line(self, line: bytes) -> None:
        """A line between chunks: the end of one, the size of the next, or a trailer."""
        if self._after_chunk:
            if line:
                raise BadMessage("a chunk longer than its size")
            self._after_chunk = False
        elif self._trailers:
            self.done = not line
        else:
            size = line.partition(b";")[0].strip(b" \t")
            if not _SIZE.fullmatch(size):
                raise BadMessage(f"no chunk's size but {line[:40]!r}")
            self._left = int(size, 16)
            self._trailers = self._left == 0
