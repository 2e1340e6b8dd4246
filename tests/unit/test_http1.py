"""HTTP/1.1 responses, read against h11, which writes them: however they are cut, and whatever is wrong with them."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.http1 import MAX_HEAD, MAX_LINE, BadMessage, ResponseReader, request_bytes

BODIES = st.lists(st.binary(min_size=1, max_size=300), max_size=8)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def written(pieces: list[bytes], framing: str) -> bytes:
    """A response as h11 writes it: chunked, of known length, or until the connection ends."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" if framing != "close" else b"GET / HTTP/1.0\r\n\r\n")
    server.next_event()
    headers = {
        "chunked": [("Transfer-Encoding", "chunked")],
        "length": [("Content-Length", str(sum(map(len, pieces))))],
        "close": [],
    }[framing]
    events = [h11.Response(status_code=200, headers=headers), *map(h11.Data, pieces), h11.EndOfMessage()]
    return b"".join(server.send(each) or b"" for each in events)


def cut(data: bytes, places: set[int]) -> list[bytes]:
    ends = [0, *sorted(each for each in places if each < len(data)), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def read(*parts: bytes) -> tuple[bytes, ResponseReader]:
    reader = ResponseReader()
    return b"".join(reader.feed(part) for part in parts), reader


class TestReading:
    @given(BODIES, st.sampled_from(["chunked", "length", "close"]), st.sets(st.integers(0, 600)))
    def test_what_h11_writes_is_read_wherever_it_is_cut(
        self, pieces: list[bytes], framing: str, places: set[int]
    ) -> None:
        body, reader = read(*cut(written(pieces, framing), places))
        assert (reader.status, body, reader.rest) == (200, b"".join(pieces), b"")
        assert reader.done == (framing != "close")
        assert reader.keeps == (framing != "close")
        reader.end()
        assert reader.done

    @given(BODIES.filter(bool), st.sampled_from(["chunked", "length"]), st.data())
    def test_one_that_ends_early_is_told_wherever_it_ends(
        self, pieces: list[bytes], framing: str, data: st.DataObject
    ) -> None:
        whole = written(pieces, framing)
        _, reader = read(whole[: data.draw(st.integers(0, len(whole) - 1))])
        assert not reader.done
        with pytest.raises(BadMessage, match="closed the connection"):
            reader.end()

    def test_all_chunks_of_one_read_are_one_piece(self) -> None:
        reader = ResponseReader()
        reader.feed(CHUNKED)
        assert reader.feed(b"2\r\nab\r\n3\r\ncde\r\n") == b"abcde"

    def test_extensions_trailers_and_large_sizes_are_passed_over(self) -> None:
        body, reader = read(CHUNKED + b'0002;name="value"\r\nab\r\n0\r\nTrailer: x\r\nAnother: y\r\n\r\n')
        assert body == b"ab"
        assert reader.done
        assert reader.keeps

    def test_a_head_that_only_says_to_wait_is_passed_over(self) -> None:
        body, reader = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
        assert (body, reader.status) == (b"", 0)
        assert reader.feed(b"Content-Length: 1\r\n\r\na") == b"a"

    @pytest.mark.parametrize("status", [204, 304])
    def test_some_have_no_body(self, status: int) -> None:
        _, reader = read(b"HTTP/1.1 %d No\r\nContent-Type: x\r\n\r\n" % status)
        assert reader.done
        assert reader.keeps

    def test_what_comes_behind_the_end_is_not_of_this_response(self) -> None:
        body, reader = read(OK + b"Content-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n")
        assert body == b"ab"
        assert reader.rest == b"HTTP/1.1 200 OK\r\n"

    @pytest.mark.parametrize(
        "head",
        [
            OK + b"Content-Length: 1\r\nConnection: close\r\n\r\n",
            OK + b"Content-Length: 1\r\nConnection: x, Close\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
            OK + b"\r\n",
        ],
    )
    def test_not_every_connection_may_be_used_again(self, head: bytes) -> None:
        body, reader = read(head + b"a")
        assert body == b"a"
        assert not reader.keeps

    def test_headers_are_given_as_they_came(self) -> None:
        _, reader = read(b"HTTP/1.1 404\r\nX-One:  a b \r\nx-two:\r\nContent-Length: 2,2\r\n\r\n")
        assert reader.status == 404
        assert reader.headers == [(b"X-One", b"a b"), (b"x-two", b""), (b"Content-Length", b"2,2")]


class TestNonsense:
    @pytest.mark.parametrize(
        "data",
        [
            b"\x16\x03\x01 this is TLS\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            OK + b"no header\r\n\r\n",
            OK + b"Name : value\r\n\r\n",
            OK + b"Name: value\r\n folded\r\n\r\n",
            OK + b"Content-Length: many\r\n\r\n",
            OK + b"Content-Length: -1\r\n\r\n",
            OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
            CHUNKED + b"x\r\n",
            CHUNKED + b"\r\n",
            CHUNKED + b"+1\r\na\r\n",
            CHUNKED + b"0x1\r\na\r\n",
            CHUNKED + b"-1\r\n",
            CHUNKED + b"1\r\nab\r\n",
            CHUNKED + b"1" * 20 + b"\r\n",
            CHUNKED + b"1;" + b"x" * MAX_LINE,
            b"HTTP/1.1 200 " + b"x" * MAX_HEAD,
        ],
        ids=lambda data: repr(data[:50]),
    )
    def test_it_is_told(self, data: bytes) -> None:
        with pytest.raises(BadMessage):
            read(data)

    @given(st.binary(), st.booleans())
    def test_whatever_comes_nothing_else_is_raised(self, data: bytes, chunked: bool) -> None:
        reader = ResponseReader()
        try:
            reader.feed((CHUNKED if chunked else b"") + data)
            reader.end()
        except BadMessage:
            return
        assert reader.done

    @pytest.mark.parametrize(
        "header", [(b"X", b"a\r\nY: b"), (b"X", b"a\nb"), (b"X Y", b"a"), (b"", b"a"), (b"X", b"\0")]
    )
    def test_no_header_can_become_two(self, header: tuple[bytes, bytes]) -> None:
        with pytest.raises(BadMessage):
            request_bytes(b"GET", b"/", [header], b"")


@given(st.binary(max_size=500))
def test_a_request_is_what_h11_reads(body: bytes) -> None:
    headers = [(b"Host", b"example.org"), (b"Content-Length", str(len(body)).encode())]
    server = h11.Connection(h11.SERVER)
    server.receive_data(request_bytes(b"POST", b"/v1/x?y=1", headers, body))
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (b"POST", b"/v1/x?y=1")
    received = b""
    while isinstance(event := server.next_event(), h11.Data):
        received += event.data
    assert received == body
    assert isinstance(event, h11.EndOfMessage)
