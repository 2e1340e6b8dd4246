"""Pages of the web as sources: one page, or those that a sitemap names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx2

from ingest.sources.fetching import Fetched, Fetcher
from ingest.sources.filters import Filter
from ingest.sources.guard import UrlRefused, host_of, parse_url, shown_url
from ingest.sources.interface import Found, Item, Source
from ingest.sources.local import is_read
from ingest.sources.uris import suffix
from rag.errors import SourceError

if TYPE_CHECKING:
    from rag.settings import Settings

_HTML = frozenset({".html", ".htm", ".xhtml"})
# Encodings that pages are really in, UTF-8 aside; Python knows others, some of which take time without end.
_ENCODING = re.compile(r"(?:iso-8859-|iso-2022-|windows-|cp|koi8-|shift_jis|euc-|gb|big5|utf-16|latin)[\w-]*\Z")
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
# Suffixes of programs that write pages: what is fetched is the page.
_PROGRAMS = frozenset({".php", ".asp", ".aspx", ".jsp", ".cgi", ".do", ".cfm", ".py", ".pl", ".rb"})
_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/x-rst": ".rst",
    "text/csv": ".csv",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/rtf": ".rtf",
    "application/epub+zip": ".epub",
    "message/rfc822": ".eml",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}


def open_web(text: str, settings: Settings, chosen: Filter) -> Source:
    """A page, or the pages of a sitemap where the URL's last part is named as one.

    Raises UrlRefused where the URL is not allowed, SourceError where it is none.
    """
    url = parse_url(text)
    fetcher = Fetcher(settings)
    fetcher.guard.check(url)
    name = last_part(url).lower()
    if "sitemap" in name and name.endswith((".xml", ".xml.gz")):
        from ingest.sources.sitemaps import SitemapSource

        return SitemapSource(url, fetcher, settings, chosen)
    return PageSource(url, fetcher)


class PageSource:
    """One URL."""

    def __init__(self, url: httpx2.URL, fetcher: Fetcher) -> None:
        self._url = url
        self._fetcher = fetcher

    @property
    def shown(self) -> str:
        """The URL."""
        return shown_url(self._url)

    def owns(self, uri: str) -> bool:
        """Only the URL itself."""
        return uri == str(self._url)

    def items(self) -> Iterator[Found]:
        """See Source. Raises SourceError where what it holds is of a type that is not read."""
        try:
            found = self._fetcher.head(self._url)
        except UrlRefused:
            raise
        except SourceError:  # many servers do not answer HEAD; reading it says what is wrong
            found = Fetched(self._url, "", "", "", b"")
        name = name_of(self._url, found.media_type)
        if not is_read(name):
            raise SourceError(f"'{self.shown}' is of a type that is not read ({found.media_type or suffix(name)}).")
        yield Item(str(self._url), path_of(self._url), name, stamp=found.stamp)

    def read(self, item: Item, limit: int) -> bytes:
        """See Source."""
        return read_page(self._fetcher, item, limit)

    def close(self) -> None:
        """See Source."""
        self._fetcher.close()


def read_page(fetcher: Fetcher, item: Item, limit: int) -> bytes:
    """A page's bytes; text that its server says to be in another encoding is made UTF-8. Raises SourceError."""
    found = fetcher.get(parse_url(item.uri), limit)
    html, as_html = found.media_type in _HTML_TYPES, suffix(item.name) in _HTML
    text = found.media_type.startswith("text/") or found.media_type.endswith(("xml", "json")) or not found.media_type
    if (html and not as_html) or (as_html and not html and not text):
        raise SourceError(f"the server sends {found.media_type}, where its URL looks like {suffix(item.name)}.")
    if not found.media_type.startswith("text/") or not _ENCODING.match(found.charset):
        return found.data
    try:
        return found.data.decode(found.charset).encode("utf-8")
    except (LookupError, ValueError):  # no such encoding, or not in it: its bytes say more than its server
        return found.data


def name_of(url: httpx2.URL, media_type: str = "") -> str:
    """A file name for a page, whose suffix says what it is: HTML where nothing says anything else."""
    name = last_part(url)
    ending = suffix(name)
    if media_type in _HTML_TYPES:
        return name if ending in _HTML else f"{name or 'index'}.html"
    if ending not in _PROGRAMS and is_read(name):
        return name
    if media_type:
        return f"{name or 'index'}{_SUFFIXES.get(media_type, '.' + media_type.rpartition('/')[2])}"
    return f"{name or 'index'}.html"


def last_part(url: httpx2.URL) -> str:
    """The last part of a URL's path."""
    return url.path.rpartition("/")[2]


def path_of(url: httpx2.URL) -> str:
    """A URL as people are shown it: host, path and query."""
    query = f"?{url.query.decode('ascii', 'replace')}" if url.query else ""
    path = "".join(each if each.isprintable() else "\ufffd" for each in url.path)
    return f"{host_of(url)}{path}{query}"
