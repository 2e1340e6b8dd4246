"""One document over HTTP, within limits of bytes and time, from where the guard allows and from nowhere else."""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

from ingest.sources.guard import Guard, UrlRefused, shown_url
from ingest.sources.reading import too_large
from rag.errors import SourceError

if TYPE_CHECKING:
    from rag.settings import Settings

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SETTLED = 60  # seconds after which a page with a Last-Modified is not taken to change within the same second
_MAX_MEMBERS = 1000
_HEADERS: dict[bytes | str, bytes | str] = {"User-Agent": "librarian", "Accept": "*/*", "Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `url` is where it came from in the end; `media_type` is in lower case, "" where none was sent.

    `stamp` changes with the content; "" where the server does not say.
    """

    url: httpx2.URL
    media_type: str
    charset: str
    stamp: str
    data: bytes


class Fetcher:
    """Fetches one URL at a time; keeps connections open between them. No proxy of the environment is used."""

    def __init__(self, settings: Settings) -> None:
        self.guard = Guard(settings)
        self._seconds = settings.url_timeout
        self._deadline = _Deadline()
        self._pool = httpcore2.ConnectionPool(
            max_connections=4,
            keepalive_expiry=30,
            network_backend=_Backend(self.guard, self._deadline),
        )

    def get(self, url: httpx2.URL, limit: int) -> Fetched:
        """What a URL holds. Raises SourceError, UrlRefused among them, naming what went wrong."""
        return self._follow("GET", url, limit)

    def head(self, url: httpx2.URL) -> Fetched:
        """As `get`, without its data."""
        return self._follow("HEAD", url, 0)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _follow(self, method: str, url: httpx2.URL, limit: int) -> Fetched:
        self._deadline.start(self._seconds)
        for _ in range(MAX_REDIRECTS + 1):
            self.guard.check(url)
            with self._asked(method, url) as answer:
                headers = httpx2.Headers(answer.headers)
                if answer.status not in _REDIRECTS or "location" not in headers:
                    return self._fetched(method, url, answer, headers, limit)
                url = _redirected(url, headers["location"])
        raise SourceError(f"it is redirected more than {MAX_REDIRECTS} times.")

    @contextmanager
    def _asked(self, method: str, url: httpx2.URL) -> Iterator[httpcore2.Response]:
        where = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        try:
            with self._pool.stream(method, where, headers=_HEADERS, extensions={"timeout": timeouts}) as answer:
                yield answer
        except httpcore2.TimeoutException:
            seconds = f"{self._seconds:g} seconds of LIBRARIAN_URL_TIMEOUT"
            raise SourceError(f"'{shown_url(url)}' was not read within the {seconds}.") from None
        except (
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
            httpcore2.UnsupportedProtocol,
            ssl.SSLError,
            OSError,
        ) as error:
            words = str(error).rstrip(".") or type(error).__name__
            raise SourceError(f"'{shown_url(url)}' cannot be read: {words}.") from None

    def _fetched(
        self, method: str, url: httpx2.URL, answer: httpcore2.Response, headers: httpx2.Headers, limit: int
    ) -> Fetched:
        if answer.status != 200:
            raise SourceError(f"the server answers {answer.status} to '{shown_url(url)}'.")
        data = _body(answer, headers, limit) if method != "HEAD" else answer.read()[:0]  # so the connection is kept
        kind = Message()
        kind["Content-Type"] = headers.get("content-type", "")
        media_type = kind.get_content_type() if "/" in headers.get("content-type", "") else ""
        return Fetched(url, media_type, str(kind.get_param("charset") or "").lower(), _stamp(headers), data)


def _body(answer: httpcore2.Response, headers: httpx2.Headers, limit: int) -> bytes:
    length = headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > limit:
        raise too_large(int(length[:20]), limit)
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
        raise SourceError(f"the server sends it packed as '{coding[:40]}', which is not read.")
    chunks: Iterable[bytes] = answer.iter_stream()
    if coding not in {"", "identity"}:
        chunks = unpacked(_bounded(chunks, limit), limit)
    return b"".join(_bounded(chunks, limit))


def _bounded(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise too_large(None, limit)
        yield chunk


def unpacked(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """What gzip or zlib data unpacks to, at most `limit` bytes and one. Raises SourceError where it is damaged."""
    inflate = zlib.decompressobj(47)
    left = limit + 1
    members = 1
    try:
        for chunk in chunks:
            while chunk and left > 0:
                if members > _MAX_MEMBERS:
                    raise SourceError("it is packed with gzip in too many pieces.")
                if inflate.eof:  # gzip data may be several, one after the other
                    inflate = zlib.decompressobj(47)
                    members += 1
                data = inflate.decompress(chunk, left)
                left -= len(data)
                yield data
                chunk = inflate.unused_data if inflate.eof else b""
    except zlib.error as error:
        raise SourceError(f"it is packed with gzip and damaged: {error}.") from None
    if left > 0 and not inflate.eof:
        raise SourceError("it is packed with gzip and cut off.")


def _redirected(url: httpx2.URL, location: str) -> httpx2.URL:
    try:
        target = url.join(location).copy_with(fragment=None)
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise SourceError(f"'{shown_url(url)}' is redirected to what is no URL.") from None
    if url.scheme == "https" and target.scheme == "http":
        raise UrlRefused(f"'{shown_url(url)}' is redirected from https:// to http://, which is refused.")
    return target


def _stamp(headers: httpx2.Headers) -> str:
    etag = headers.get("etag", "")
    if etag.startswith('"') and len(etag) < 200:  # a weak one may stay the same while bytes change
        return f"etag:{etag}"
    try:
        modified = parsedate_to_datetime(headers["last-modified"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return ""
    return f"modified:{int(modified)}" if modified < time.time() - _SETTLED else ""


class _Deadline:
    """Until when the document that is being fetched must be there."""

    def __init__(self) -> None:
        self._end = 0.0

    def start(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, error: type[Exception]) -> float:
        """Seconds left; raises `error` where there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise error("out of time")
        return seconds


class _Backend(httpcore2.NetworkBackend):
    """Connects to addresses that the guard has passed. The host's name stays what TLS and the Host header carry."""

    def __init__(self, guard: Guard, deadline: _Deadline) -> None:
        self._guard = guard
        self._deadline = deadline
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = self._guard.addresses(host.lower().strip("[]").rstrip("."), port)
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, local_address, socket_options, len(addresses))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, local_address, socket_options, 1)

    def _connect(
        self, address: str, port: int, local_address: str | None, options: Iterable[Any] | None, share: int
    ) -> httpcore2.NetworkStream:
        seconds = self._deadline.left(httpcore2.ConnectTimeout) / share
        return _Stream(self._plain.connect_tcp(address, port, seconds, local_address, options), self._deadline)


class _Stream(httpcore2.NetworkStream):
    """A connection on which no wait outlasts the deadline, however little arrives at a time."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        seconds = self._deadline.left(httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
