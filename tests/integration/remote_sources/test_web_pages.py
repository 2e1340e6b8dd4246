"""A page of the web as a source."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import pytest

from rag.errors import SourceError
from tests.integration.remote_sources.local_site import LIMIT, Site, fetched, items, opened, page


class TestPages:
    def test_a_page_is_a_document_of_its_url(self, site: Site) -> None:
        site.pages["/guide?v=2"] = page(b"<h1>Guide</h1>", "text/html; charset=utf-8", ETag='"7"')
        source = opened(f"{site.url}/guide?v=2#part")
        (item,) = items(source)
        assert item.uri == f"{site.url}/guide?v=2"
        assert (item.path, item.name, item.stamp) == ("127.0.0.1/guide?v=2", "guide.html", 'etag:"7"')
        assert source.read(item, LIMIT) == b"<h1>Guide</h1>"
        assert source.owns(item.uri)
        assert not source.owns(item.uri + "0")

    @pytest.mark.parametrize(
        ("path", "kind", "name"),
        [
            ("/", "text/html", "index.html"),
            ("/a.md", "text/plain", "a.md"),
            ("/a.md", "text/html", "a.md.html"),
            ("/a.php", "text/html", "a.php.html"),
            ("/a", "text/markdown", "a.md"),
            ("/v1.2", "text/plain; charset=x", "v1.2.txt"),
        ],
    )
    def test_its_name_says_what_it_is(self, site: Site, path: str, kind: str, name: str) -> None:
        site.pages[path] = page(kind=kind)
        assert [each.name for each in items(opened(site.url + path))] == [name]

    def test_a_server_that_does_not_answer_head_is_read_all_the_same(self, site: Site) -> None:
        answers = {"HEAD": page(b"", status=405), "GET": page(b"Words.")}
        site.pages["/a"] = lambda handler: answers[handler.command](handler)
        assert fetched(f"{site.url}/a") == b"Words."

    def test_a_type_that_is_not_read_is_an_error(self, site: Site) -> None:
        site.pages["/a"] = page(kind="video/mp4")
        with pytest.raises(SourceError, match="video/mp4"):
            fetched(f"{site.url}/a")

    def test_a_page_in_the_place_of_a_file_is_an_error(self, site: Site) -> None:
        answers = {"HEAD": page(b"", status=405), "GET": page(b"<p>Log in</p>")}
        site.pages["/a.md"] = lambda handler: answers[handler.command](handler)
        with pytest.raises(SourceError, match="text/html"):
            fetched(f"{site.url}/a.md")

    def test_text_in_the_encoding_that_its_server_names_becomes_utf_8(self, site: Site) -> None:
        site.pages["/a.txt"] = page("Grüße".encode("windows-1252"), "text/plain; charset=windows-1252")
        assert fetched(f"{site.url}/a.txt").decode() == "Grüße"
        for charset in ("punycode", "zip", "no-such-thing", "utf-16"):
            site.pages["/a.txt"] = page(b"abc", f"text/plain; charset={charset}")
            assert fetched(f"{site.url}/a.txt") == b"abc"

    def test_a_page_that_is_gone_is_an_error_with_its_status(self, site: Site) -> None:
        with pytest.raises(SourceError, match="404"):
            fetched(f"{site.url}/a.md")

    def test_a_server_that_is_not_there_is_an_error(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            port = server.getsockname()[1]
        with pytest.raises(SourceError, match="cannot be read"):
            fetched(f"http://127.0.0.1:{port}/a.md")

    def test_the_date_of_a_page_is_its_stamp_once_it_is_old(self, site: Site) -> None:
        site.pages["/a.md"] = page(Last_Modified="Wed, 01 Jan 2020 00:00:00 GMT", ETag='W/"weak"')
        assert items(opened(f"{site.url}/a.md"))[0].stamp == "modified:1577836800"
        site.pages["/a.md"] = page(Last_Modified=time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()))
        assert items(opened(f"{site.url}/a.md"))[0].stamp == ""

    def test_proxies_of_the_environment_are_not_used(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        site.pages["/a.md"] = page(kind="text/plain")
        assert fetched(f"{site.url}/a.md") == b"Words."
