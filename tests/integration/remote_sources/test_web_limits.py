"""How much, how long and how packed a page may be."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from rag.errors import SourceError
from tests.integration.remote_sources.local_site import Answer, Site, fetched, page


class TestLimits:
    def test_a_page_over_the_limit_is_refused_by_what_it_says_and_by_what_it_is(self, site: Site) -> None:
        site.pages["/says.md"] = page(b"x", "text/plain", Content_Length="99999999")
        site.pages["/is.md"] = chunked(b"x" * 10_000 for _ in range(1000))
        for path in ("/says.md", "/is.md"):
            with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES"):
                fetched(site.url + path)

    def test_a_page_shorter_than_it_says_is_an_error(self, site: Site) -> None:
        def short(handler: BaseHTTPRequestHandler) -> None:
            page(b"x" * 10, "text/plain", Content_Length="100")(handler)
            handler.close_connection = True

        site.pages["/a.md"] = short
        with pytest.raises(SourceError, match="cannot be read"):
            fetched(f"{site.url}/a.md")

    def test_packed_pages_are_unpacked_within_the_limit(self, site: Site) -> None:
        site.pages["/a.md"] = page(
            gzip.compress(b"One. ") + gzip.compress(b"Two."), "text/plain", Content_Encoding="gzip"
        )
        assert fetched(f"{site.url}/a.md") == b"One. Two."
        site.pages["/a.md"] = page(gzip.compress(bytes(50_000_000)), "text/plain", Content_Encoding="gzip")
        with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES"):
            fetched(f"{site.url}/a.md")
        for broken in (gzip.compress(b"words" * 99)[:-20], b"no gzip at all", gzip.compress(b"") * 2000):
            site.pages["/a.md"] = page(broken, "text/plain", Content_Encoding="gzip")
            with pytest.raises(SourceError, match="packed with gzip"):
                fetched(f"{site.url}/a.md")

    def test_another_packing_is_refused(self, site: Site) -> None:
        site.pages["/a.md"] = page(b"x", "text/plain", Content_Encoding="br")
        with pytest.raises(SourceError, match="'br'"):
            fetched(f"{site.url}/a.md")

    @pytest.mark.parametrize("slow", ["head", "body", "silence"])
    def test_a_page_takes_no_longer_than_it_may_however_it_trickles(self, site: Site, slow: str) -> None:
        def trickling(handler: BaseHTTPRequestHandler) -> None:
            if handler.command == "HEAD":
                page(b"", status=405)(handler)
                return
            try:
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
                handler.wfile.write(b"" if slow == "head" else b"Content-Length: 1000\r\n\r\n")
                for number in range(100):
                    time.sleep(0.05)
                    if slow != "silence":
                        handler.wfile.write(f"X-{number}: y\r\n".encode() if slow == "head" else b"x")
            except OSError:
                pass

        site.pages["/a.md"] = trickling
        started = time.monotonic()
        with pytest.raises(SourceError, match="LIBRARIAN_URL_TIMEOUT"):
            fetched(f"{site.url}/a.md", url_timeout=0.5)
        assert time.monotonic() - started < 4

    def test_endless_headers_are_an_error(self, site: Site) -> None:
        site.pages["/a.md"] = page(kind="text/plain", X="y" * 500_000)
        with pytest.raises(SourceError, match="cannot be read"):
            fetched(f"{site.url}/a.md")


def chunked(chunks: Iterator[bytes]) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            if handler.command == "GET":
                for chunk in chunks:
                    handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            handler.close_connection = True

    return answer
