"""Where a redirect or a name server may lead to, and where not."""

from __future__ import annotations

from contextlib import closing

import pytest

from ingest.sources import Source
from rag.errors import SourceError
from tests.integration.remote_sources.local_site import LIMIT, Site, fetched, items, moved, opened, page, resolve


class TestRedirects:
    def test_they_are_followed_and_the_document_keeps_its_url(self, site: Site) -> None:
        site.pages["/old.md"] = moved("new.md")
        site.pages["/new.md"] = page(b"New.", "text/plain")
        source = opened(f"{site.url}/old.md")
        (item,) = items(source)
        assert item.uri == f"{site.url}/old.md"
        assert source.read(item, LIMIT) == b"New."

    @pytest.mark.parametrize(
        "location",
        [
            "http://elsewhere.test/a.md",
            "//elsewhere.test/a.md",
            "ftp://127.0.0.1/a.md",
            "file:///etc/passwd",
            "http://user:pw@127.0.0.1/a.md",
            "http://[::1]:1/a.md",
        ],
    )
    def test_each_is_checked_like_the_first_url(self, site: Site, location: str) -> None:
        site.pages["/a.md"] = moved(location)
        with pytest.raises(SourceError, match="refused") as raised:
            fetched(f"{site.url}/a.md")
        assert raised.value.code == "url_refused"

    def test_one_to_a_private_address_is_refused(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve(monkeypatch, {"a.example": ["127.0.0.1"]})
        for target in ("http://169.254.169.254:80/latest/meta-data", f"http://a.example:{site.port}/x"):
            site.pages["/a.md"] = moved(target)
            # The first step stands for a public host: the guard is told to let this one address through.
            with closing(opened(f"{site.url}/a.md", allow_urls=("*:*",), allow_private_urls=False)) as source:
                let_through(source, "127.0.0.1")
                with pytest.raises(SourceError, match="not a public one"):
                    items(source)
        assert all(path == "/a.md" for _, path, _ in site.asked)

    def test_a_ring_of_them_ends(self, site: Site) -> None:
        site.pages["/a.md"] = moved("/a.md")
        with pytest.raises(SourceError, match="more than 5 times"):
            fetched(f"{site.url}/a.md")
        assert sum(method == "GET" for method, _, _ in site.asked) == 6

    def test_one_from_https_to_http_is_refused(self) -> None:
        from ingest.sources.fetching import _redirected
        from ingest.sources.guard import parse_url

        with pytest.raises(SourceError, match="from https:// to http://"):
            _redirected(parse_url("https://example.org/a"), "http://example.org/a")
        assert str(_redirected(parse_url("http://example.org/a"), "https://example.org/b#c")) == "https://example.org/b"


def let_through(source: Source, host: str) -> None:
    guard = source._fetcher.guard  # type: ignore[attr-defined]
    real = guard.addresses
    guard.addresses = lambda name, port: [host] if name == host else real(name, port)


class TestAddresses:
    def test_a_name_is_asked_once_and_its_address_connected_to(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = resolve(monkeypatch, {"docs.example": ["127.0.0.1", "127.0.0.9"]})
        site.pages["/a.md"] = page(kind="text/plain")
        assert fetched(f"http://docs.example:{site.port}/a.md") == b"Words."
        assert asked.count("docs.example") == 1
        assert {host for _, _, host in site.asked} == {f"docs.example:{site.port}"}

    def test_a_name_that_becomes_private_later_is_refused_then(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The first answer stands for a public address, of which there is none here: 127.0.0.1, let through by hand.
        resolve(monkeypatch, {"docs.example": ["127.0.0.1", "10.0.0.1"]})
        site.pages["/a.md"] = page(kind="text/plain", Connection="close")
        with closing(opened(f"http://docs.example:{site.port}/a.md", allow_private_urls=False)) as source:
            guard = source._fetcher.guard  # type: ignore[attr-defined]
            real = guard._may_connect
            guard._may_connect = lambda address: address == "127.0.0.1" or real(address)
            (item,) = items(source)
            with pytest.raises(SourceError, match=r"10\.0\.0\.1 is not a public one"):
                source.read(item, LIMIT)
