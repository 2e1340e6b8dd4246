"""Sources that are not on this machine: the web, sitemaps, git, object stores. The servers are real and local."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec  # type: ignore[import-untyped]
import pytest

from ingest.sources import Item, Skipped, Source, Unreadable, open_source, open_sources
from rag.errors import SourceError
from rag.settings import Settings

LIMIT = 1_000_000
Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A web server on this machine. `pages` says by path (with query) how each request is answered."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, str, str]] = []  # method, path, Host header
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.asked.append((self.command, self.path, self.headers["Host"]))
                site.pages.get(self.path, page(status=404))(self)

            do_HEAD = do_GET  # noqa: N815
            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that went away."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def page(data: bytes = b"Words.", kind: str = "text/html", status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    return answer


def moved(location: str, status: int = 302) -> Answer:
    return page(b"", status=status, Location=location)


@pytest.fixture
def site() -> Iterator[Site]:
    with closing(Site()) as running:
        yield running


def opened(url: str, **values: Any) -> Source:
    options = {key: values.pop(key) for key in ("include", "exclude") if key in values}
    given = {"allow_urls": ("127.0.0.1:*", "*.example:*"), "allow_private_urls": True, "url_timeout": 5, **values}
    return open_source(url, Settings(**given), **options)


def items(source: Source) -> list[Item]:
    return [each for each in source.items() if isinstance(each, Item)]


def fetched(url: str, limit: int = LIMIT, **values: Any) -> bytes:
    with closing(opened(url, **values)) as source:
        return source.read(items(source)[0], limit)


def resolve(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str]]) -> list[str]:
    """Stands for a name server; each answer is given once, the last for ever. Returns what it is asked."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        given = answers.get(host, [host])
        address = given.pop(0) if len(given) > 1 else given[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


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


def sitemap(*urls: str, kind: str = "url", modified: str | None = None) -> bytes:
    date = f"<lastmod>{modified}</lastmod>" if modified else ""
    entries = "".join(f"<{kind}><loc> {url} </loc>{date}</{kind}>" for url in urls)
    root = "urlset" if kind == "url" else "sitemapindex"
    return (
        f'<?xml version="1.0"?><{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</{root}>'.encode()
    )


class TestSitemaps:
    def test_its_pages_are_documents_stamped_with_their_dates(self, site: Site) -> None:
        urls = [f"{site.url}/docs/a", f"{site.url}/docs/b.md"]
        site.pages["/docs/sitemap.xml"] = page(sitemap(*urls, modified="2020-01-01"), "application/xml")
        site.pages["/docs/a"] = page(b"<p>A</p>")
        source = opened(f"{site.url}/docs/sitemap.xml")
        found = items(source)
        assert [each.uri for each in found] == urls
        assert [each.name for each in found] == ["a.html", "b.md"]
        assert {each.stamp for each in found} == {"lastmod:2020-01-01"}
        assert source.read(found[0], LIMIT) == b"<p>A</p>"

    @pytest.mark.parametrize("modified", [None, "yesterday", "2999-01-01", time.strftime("%Y-%m-%d"), "99999-01-01"])
    def test_a_date_that_says_too_little_is_no_stamp(self, site: Site, modified: str | None) -> None:
        site.pages["/sitemap.xml"] = page(sitemap(f"{site.url}/a", modified=modified))
        assert [each.stamp for each in items(opened(f"{site.url}/sitemap.xml"))] == [""]

    def test_an_index_leads_to_its_sitemaps_packed_ones_too(self, site: Site) -> None:
        parts = [f"{site.url}/s1.xml", f"{site.url}/s2.xml.gz"]
        site.pages["/sitemap_index.xml"] = page(sitemap(*parts, kind="sitemap"))
        site.pages["/s1.xml"] = page(sitemap(f"{site.url}/a", f"{site.url}/b"))
        site.pages["/s2.xml.gz"] = page(gzip.compress(sitemap(f"{site.url}/b", f"{site.url}/c")))
        found = items(opened(f"{site.url}/sitemap_index.xml"))
        assert [each.path for each in found] == ["127.0.0.1/a", "127.0.0.1/b", "127.0.0.1/c"]

    def test_it_owns_where_its_pages_lie_and_not_what_other_sitemaps_list(self, site: Site) -> None:
        site.pages["/maps/sitemap.xml"] = page(sitemap(f"{site.url}/docs/x/a", f"{site.url}/docs/y/b"))
        source = opened(f"{site.url}/maps/sitemap.xml")
        assert not source.owns(f"{site.url}/docs/gone")
        items(source)
        assert not source.owns(f"{site.url}/maps/gone")
        site.pages["/docs/sitemap.xml"] = page(sitemap(f"{site.url}/docs/a"))
        narrow = opened(f"{site.url}/docs/sitemap.xml")
        items(narrow)
        assert source.owns(f"{site.url}/docs/gone")
        assert not source.owns(f"{site.url}/blog/gone")
        assert narrow.owns(f"{site.url}/docs/gone")
        assert not narrow.owns(f"{site.url}/docs2/gone")
        assert not narrow.owns("http://elsewhere.test/docs/gone")

    def test_pages_of_hosts_that_are_not_allowed_are_skipped(self, site: Site) -> None:
        others = [
            "http://elsewhere.test/a",
            "ftp://127.0.0.1/a",
            "http://user:pw@127.0.0.1/a",
            "not a url",
            "/relative",
        ]
        site.pages["/sitemap.xml"] = page(sitemap(*others, f"{site.url}/a"))
        source = opened(f"{site.url}/sitemap.xml")
        assert len(items(source)) == 1
        assert sum(isinstance(each, Skipped) for each in source.items()) == len(others)

    def test_a_part_that_cannot_be_read_keeps_what_is_indexed(self, site: Site) -> None:
        site.pages["/sitemap.xml"] = page(sitemap(f"{site.url}/gone.xml", f"{site.url}/s.xml", kind="sitemap"))
        site.pages["/s.xml"] = page(sitemap(f"{site.url}/a"))
        found = list(opened(f"{site.url}/sitemap.xml").items())
        assert [each.uri for each in found if isinstance(each, Unreadable)] == [f"{site.url}/"]
        assert sum(isinstance(each, Item) for each in found) == 1

    def test_more_pages_than_are_allowed_are_left_and_told(self, site: Site) -> None:
        site.pages["/sitemap.xml"] = page(sitemap(*(f"{site.url}/{number}" for number in range(9))))
        found = list(opened(f"{site.url}/sitemap.xml", max_archive_files=4).items())
        assert sum(isinstance(each, Item) for each in found) == 4
        assert isinstance(found[-1], Unreadable)
        assert "LIBRARIAN_MAX_ARCHIVE_FILES" in found[-1].reason

    def test_an_index_that_names_itself_ends(self, site: Site) -> None:
        site.pages["/sitemap.xml"] = page(sitemap(*[f"{site.url}/sitemap.xml"] * 20, kind="sitemap"))
        with pytest.raises(SourceError, match="names no page"):
            items(opened(f"{site.url}/sitemap.xml"))
        assert len(site.asked) < 20

    @pytest.mark.parametrize(
        "data",
        [
            b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><urlset>&b;</urlset>',
            b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><urlset/>',
            b"<html><p>Not found",
            b"",
            b"\x1f\x8b\0\0 broken",
            gzip.compress(bytes(60 * 1024 * 1024)),
        ],
    )
    def test_what_is_no_sitemap_or_means_harm_is_an_error(self, site: Site, data: bytes) -> None:
        site.pages["/sitemap.xml"] = page(data, "application/xml")
        with pytest.raises(SourceError) as raised:
            items(opened(f"{site.url}/sitemap.xml"))
        assert "\n" not in str(raised.value)

    def test_the_pictures_of_a_page_are_not_pages(self, site: Site) -> None:
        picture = '<image:image xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"><image:loc>{}</image:loc></image:image>'
        data = sitemap(f"{site.url}/a").replace(b"</url>", picture.format(f"{site.url}/b.html").encode() + b"</url>")
        site.pages["/sitemap.xml"] = page(data)
        assert [each.uri for each in items(opened(f"{site.url}/sitemap.xml"))] == [f"{site.url}/a"]

    def test_patterns_narrow_it(self, site: Site) -> None:
        site.pages["/sitemap.xml"] = page(sitemap(f"{site.url}/docs/a", f"{site.url}/blog/b"))
        source = opened(f"{site.url}/sitemap.xml", include=["/docs/"])
        assert [each.path for each in items(source)] == ["127.0.0.1/docs/a"]
        assert not source.owns(f"{site.url}/blog/b")


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
class TestGit:
    @pytest.fixture
    def work(self, tmp_path: Path) -> Path:
        work = tmp_path / "work"
        work.mkdir()
        git(work, "init", "-q", "-b", "main")
        for name, text in {"README.md": "Read me.", "docs/ü #1.md": "One.", "docs/.h.md": "H.", "x.bin": ""}.items():
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text(text)
        (work / "link.md").symlink_to("/etc/passwd")
        git(work, "add", ".")
        git(work, "commit", "-qm", "first")
        git(work, "tag", "v1")
        return work

    @pytest.fixture
    def served(self, work: Path, site: Site, tmp_path: Path) -> str:
        """The repository behind git's own HTTP backend; returns its URL."""
        git(tmp_path, "clone", "-q", "--bare", str(work), "repo.git")

        def backend(handler: BaseHTTPRequestHandler) -> None:
            parts = urlsplit(handler.path)
            body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
            body = gzip.decompress(body) if handler.headers.get("Content-Encoding") == "gzip" else body
            environment = {
                "GIT_PROJECT_ROOT": str(tmp_path),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": handler.command,
                "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
                "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
                "PATH": os.defpath,
            }
            done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
            head, _, data = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            status = int(headers.pop("Status", "200 OK").split()[0])
            page(data, headers.pop("Content-Type", "text/plain"), status)(handler)

        class Every(dict[str, Answer]):
            def get(self, key: str, default: Any = None) -> Answer:
                return super().get(key) or (backend if key.startswith("/repo.git/") else default)

        site.pages = Every()
        return f"git+{site.url}/repo.git"

    def test_its_files_are_documents_of_the_repository_not_of_a_commit(self, served: str) -> None:
        with closing(opened(served)) as source:
            found = items(source)
            assert [each.uri for each in found] == [f"{served}#README.md", f"{served}#docs/%C3%BC%20%231.md"]
            assert [source.read(each, LIMIT) for each in found] == [b"Read me.", b"One."]
            assert [each.size for each in found] == [8, 4]
            assert all(each.stamp.startswith("blob:") and source.owns(each.uri) for each in found)
            assert not source.owns(f"{served}#docs/.h.md")
            assert not source.owns(served.replace("repo", "repo2") + "#README.md")

    def test_a_ref_names_another_state_of_the_same_documents(self, served: str, work: Path, tmp_path: Path) -> None:
        with closing(opened(served)) as source:
            before = {each.uri: each.stamp for each in items(source)}
        (work / "README.md").write_text("Read me again.")
        git(work, "commit", "-qam", "second")
        git(work, "push", "-q", str(tmp_path / "repo.git"), "main")
        commit = git(work, "rev-parse", "v1^{commit}")
        git(tmp_path / "repo.git", "config", "uploadpack.allowAnySHA1InWant", "true")
        for ref, same in (("", False), ("@main", False), ("@v1", True), (f"@{commit}", True)):
            with closing(opened(served + ref)) as source:
                after = {each.uri: each.stamp for each in items(source)}
            assert after.keys() == before.keys()
            assert (after == before) is same, ref

    def test_a_folder_of_it_owns_only_that(self, served: str) -> None:
        with closing(opened(f"{served}@main#docs")) as source:
            found = items(source)
            assert [(each.uri, each.path) for each in found] == [(f"{served}#docs/%C3%BC%20%231.md", "ü #1.md")]
            assert source.owns(f"{served}#docs/gone.md")
            assert not source.owns(f"{served}#docs2/gone.md")
            assert not source.owns(f"{served}#README.md")

    def test_its_own_ignore_file_counts(self, served: str, work: Path, tmp_path: Path) -> None:
        (work / ".librarianignore").write_text("docs/\n")
        git(work, "add", "-f", ".librarianignore")
        git(work, "commit", "-qm", "ignore")
        git(work, "push", "-q", str(tmp_path / "repo.git"), "main")
        with closing(opened(served)) as source:
            assert [each.path for each in items(source)] == ["README.md"]

    def test_a_document_over_the_limit_is_refused_and_the_next_one_read(self, served: str) -> None:
        with closing(opened(served)) as source:
            first, second = items(source)
            for limit in (3, 5):
                with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES"):
                    source.read(first, limit)
            assert source.read(second, 4) == b"One."

    def test_what_it_leaves_on_the_disk_is_removed(self, served: str) -> None:
        source = opened(served)
        items(source)
        home = source._home  # type: ignore[attr-defined]
        assert home.is_dir()
        source.close()
        source.close()
        assert not home.exists()

    def test_what_cannot_be_fetched_is_an_error_in_one_line(self, served: str) -> None:
        for url in (served.replace("repo", "none"), f"{served}@no-such-branch"):
            with closing(opened(url)) as source, pytest.raises(SourceError, match="cannot be fetched") as raised:
                items(source)
            assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("ref", ["--upload-pack=touch x", "a..b", "-x", "a b", "main:evil"])
    def test_a_ref_that_is_none_is_refused(self, served: str, ref: str) -> None:
        with pytest.raises(SourceError, match="no branch, tag or commit"):
            opened(f"{served}@{ref}")

    def test_a_private_address_and_a_redirect_are_refused(self, served: str, site: Site) -> None:
        with (
            closing(opened(served, allow_private_urls=False)) as source,
            pytest.raises(SourceError, match="not a public one"),
        ):
            items(source)
        site.pages["/repo.git/info/refs?service=git-upload-pack"] = moved(
            f"{site.url}/other.git/info/refs?service=git-upload-pack"
        )
        with closing(opened(served)) as source, pytest.raises(SourceError, match="cannot be fetched"):
            items(source)
        assert not any("other.git" in path for _, path, _ in site.asked)

    def test_git_connects_to_the_address_that_was_looked_up(
        self, served: str, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve(monkeypatch, {"code.example": ["127.0.0.1"]})
        with closing(opened(served.replace("127.0.0.1", "code.example"))) as source:
            assert len(items(source)) == 2  # no name server knows code.example

    def test_one_that_takes_too_long_is_stopped(self, served: str, site: Site) -> None:
        site.pages["/repo.git/info/refs?service=git-upload-pack"] = lambda _: time.sleep(3)
        started = time.monotonic()
        with closing(opened(served, url_timeout=0.05)) as source, pytest.raises(SourceError, match=r"0\.5 seconds"):
            items(source)
        assert time.monotonic() - started < 2.5


class TestObjectStores:
    @pytest.fixture
    def store(self) -> Iterator[Any]:
        store = fsspec.filesystem("memory")
        for name, data in {
            "b/docs/one.md": b"One.",
            "b/docs/sub/two #1 50%.txt": b"Two.",
            "b/docs/sub/x.exe": b"",
            "b/docs/.hidden/a.md": b"",
            "b/docs2/other.md": b"Other.",
            "b/c.jsonl": b'{"_id": "1", "text": "A record."}\n{"_id": "2", "text": "Another."}\n',
        }.items():
            store.pipe_file(f"/{name}", data)
        yield store
        store.rm("/b", recursive=True)

    def test_the_objects_below_a_prefix_are_documents(self, store: Any) -> None:
        source = opened("memory://b/docs")
        found = items(source)
        assert [each.uri for each in found] == ["memory://b/docs/one.md", "memory://b/docs/sub/two %231 50%25.txt"]
        assert [each.path for each in found] == ["one.md", "sub/two #1 50%.txt"]
        assert [source.read(each, LIMIT) for each in found] == [b"One.", b"Two."]
        assert [each.kind for each in source.items() if isinstance(each, Skipped)] == [".exe"]
        assert all(source.owns(each.uri) for each in found)
        for other in ("memory://b/docs2/other.md", "memory://b/docs/.hidden/a.md", "s3://b/docs/one.md"):
            assert not source.owns(other)

    def test_a_stamp_changes_with_the_object(self, store: Any) -> None:
        before = items(opened("memory://b/docs"))[0].stamp
        assert before == items(opened("memory://b/docs/"))[0].stamp
        store.pipe_file("/b/docs/one.md", b"New.")
        assert items(opened("memory://b/docs"))[0].stamp != before

    def test_one_object_is_a_source(self, store: Any) -> None:
        source = opened("memory://b/docs/one.md")
        (item,) = items(source)
        assert (item.uri, item.path, source.read(item, LIMIT)) == ("memory://b/docs/one.md", "one.md", b"One.")
        assert not source.owns("memory://b/docs/sub/two.txt")

    def test_a_corpus_is_read_record_by_record(self, store: Any) -> None:
        source = opened("memory://b/c.jsonl")
        found = items(source)
        assert [each.uri for each in found] == ["memory://b/c.jsonl#1", "memory://b/c.jsonl#2"]
        assert [source.read(each, LIMIT) for each in found] == [b"A record.", b"Another."]
        assert all(source.owns(each.uri) for each in found)
        source.close()

    def test_an_object_over_the_limit_is_refused(self, store: Any) -> None:
        source = opened("memory://b/docs")
        with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES"):
            source.read(items(source)[0], 3)

    def test_an_object_that_is_gone_when_it_is_read_is_an_error(self, store: Any) -> None:
        source = opened("memory://b/docs/one.md")
        (item,) = items(source)
        store.rm("/b/docs/one.md")
        with pytest.raises(SourceError, match="there is nothing at"):
            source.read(item, LIMIT)

    def test_patterns_narrow_it(self, store: Any) -> None:
        source = opened("memory://b/docs", include=["*.txt"])
        assert [each.path for each in items(source)] == ["sub/two #1 50%.txt"]
        assert not source.owns("memory://b/docs/one.md")

    def test_a_folder_that_cannot_be_listed_keeps_what_is_indexed(
        self, store: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = type(store).ls

        def failing(self: Any, path: str, **options: Any) -> Any:  # stands for a store that denies a prefix
            if path.endswith("/sub"):
                raise PermissionError("AccessDenied")
            return real(self, path, **options)

        monkeypatch.setattr(type(store), "ls", failing)
        found = list(opened("memory://b/docs").items())
        assert [each.uri for each in found if isinstance(each, Unreadable)] == ["memory://b/docs/sub/"]

    @pytest.mark.parametrize("url", ["memory://b/nowhere", "memory://b/docs/sub/none.md"])
    def test_nothing_there_is_an_error(self, store: Any, url: str) -> None:
        with pytest.raises(SourceError, match=r"there is nothing at|holds no document"):
            items(opened(url))

    @pytest.mark.parametrize("url", ["memory://", "s3://", "memory://x::file:///etc", "simplecache::s3://b/x"])
    def test_what_names_no_bucket_or_chains_stores_is_refused(self, url: str) -> None:
        with pytest.raises(SourceError):
            opened(url)

    @pytest.mark.parametrize(("url", "extra"), [("s3://b/x", "s3"), ("gs://b/x", "gcs"), ("az://b/x", "azure")])
    def test_a_store_whose_package_is_missing_names_the_extra(
        self, monkeypatch: pytest.MonkeyPatch, url: str, extra: str
    ) -> None:
        def missing(*_: Any, **__: Any) -> None:  # stands for an environment without the extra
            raise ImportError("Install s3fs to access S3")

        monkeypatch.setattr(fsspec, "filesystem", missing)
        with pytest.raises(SourceError, match=rf"librarian-rag\[{extra}\]"):
            opened(url)


def test_sources_of_every_kind_join(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Local.")
    store = fsspec.filesystem("memory")
    store.pipe_file("/joined/b.md", b"Stored.")
    site.pages["/c.md"] = page(b"Fetched.", "text/plain")
    settings = Settings(allow_urls=("127.0.0.1:*",), allow_private_urls=True)
    source = open_sources([tmp_path, "memory://joined", f"{site.url}/c.md"], settings)
    with closing(source):
        assert [source.read(each, LIMIT) for each in items(source)] == [b"Local.", b"Stored.", b"Fetched."]
    store.rm("/joined", recursive=True)
