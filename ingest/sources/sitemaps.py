"""The pages that a sitemap names. Source of the format: the sitemap protocol, sitemaps.org/protocol.html."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.parsers import expat

import httpx2

from ingest.sources.fetching import Fetcher, unpacked
from ingest.sources.filters import Filter
from ingest.sources.guard import parse_url, shown_url
from ingest.sources.interface import Found, Item, Skipped, Unreadable
from ingest.sources.local import is_read
from ingest.sources.seen import Seen
from ingest.sources.uris import suffix
from ingest.sources.web import name_of, path_of, read_page
from rag.errors import SourceError

if TYPE_CHECKING:
    from rag.settings import Settings

MAX_SITEMAP = 50 * 1024 * 1024  # bytes, by the protocol
_MAX_SITEMAPS = 1000
_MAX_DEPTH = 3  # an index names sitemaps; some name further indexes
_MAX_TEXT = 4096  # characters of a location
_PIECE = 64 * 1024
_SETTLED = 2 * 24 * 3600  # seconds after which a page dated by the day is not taken to change on that day


class SitemapSource:
    """The pages of a sitemap, or of those that a sitemap index names.

    It owns the folder common to the pages that it lists, for each host: another sitemap of the host, for pages
    elsewhere, and pages ingested alone, are not its own.
    """

    def __init__(self, url: httpx2.URL, fetcher: Fetcher, settings: Settings, chosen: Filter) -> None:
        self._url = url
        self._fetcher = fetcher
        self._filter = chosen
        self._max_pages = settings.max_archive_files
        self._folders: dict[str, str] = {}  # by origin, the folder common to the pages

    @property
    def shown(self) -> str:
        """Its URL."""
        return shown_url(self._url)

    def owns(self, uri: str) -> bool:
        """Whether the page lies where its pages lie."""
        if not uri.startswith(tuple(self._folders.values())):
            return False
        return self._filter.empty or self._filter.admits(_parts(parse_url(uri)))

    def items(self) -> Iterator[Found]:
        """See Source. Raises SourceError where the sitemap cannot be read, or names no page that may be."""
        pages = 0
        seen = Seen()
        for loc, modified in self._locations():
            if isinstance(loc, SourceError):
                yield from self._protected(str(loc))
                continue
            found = self._page(loc, modified)
            if isinstance(found, Item):
                if not seen.add(found.uri):
                    continue
                if pages >= self._max_pages:
                    yield from self._protected(
                        f"it names more than the {pages} pages of LIBRARIAN_MAX_ARCHIVE_FILES; the others were left."
                    )
                    return
                pages += 1
            if found:
                yield found
        if not pages:
            raise SourceError(f"'{self.shown}' names no page that may be read.")

    def read(self, item: Item, limit: int) -> bytes:
        """See Source."""
        return read_page(self._fetcher, item, limit)

    def close(self) -> None:
        """See Source."""
        self._fetcher.close()

    def _page(self, loc: str, modified: str) -> Found | None:
        try:
            url = parse_url(loc)
            self._fetcher.guard.check(url)
        except SourceError:
            return Skipped(loc[:200], "page of a host that is not allowed")
        if not self._filter.empty and not self._filter.admits(_parts(url)):
            return None
        name = name_of(url)
        if not is_read(name):
            return Skipped(path_of(url), suffix(name))
        self._widen(url)
        return Item(str(url), path_of(url), name, stamp=_stamp(modified))

    def _widen(self, url: httpx2.URL) -> None:
        """Take a page into what is owned."""
        origin, folder = _origin(url), _folder(url)
        owned = self._folders.get(origin, folder)
        while not folder.startswith(owned):
            owned = owned.rstrip("/").rpartition("/")[0] + "/"
        self._folders[origin] = owned

    def _protected(self, reason: str) -> Iterator[Unreadable]:
        """What is not known may be any page of these hosts."""
        for origin in sorted({_origin(self._url), *self._folders}):
            yield Unreadable(f"{origin}/", self.shown, reason)

    def _locations(self) -> Iterator[tuple[str | SourceError, str]]:
        """Every page with its date; an error for a sitemap of an index that cannot be read."""
        stack = [(self._url, 0)]
        count = 0
        while stack:
            url, depth = stack.pop()
            count += 1
            if count > _MAX_SITEMAPS or depth > _MAX_DEPTH:
                yield (
                    SourceError(f"it leads to more than {_MAX_SITEMAPS} sitemaps, or {_MAX_DEPTH} levels of them."),
                    "",
                )
                return
            try:
                further = []
                for kind, loc, modified in _entries(self._fetched(url)):
                    if kind == "sitemap":
                        further.append((parse_url(loc), depth + 1))
                    else:
                        yield loc, modified
                stack += reversed(further[:_MAX_SITEMAPS])
            except SourceError as error:
                if url == self._url:
                    raise
                yield SourceError(f"its sitemap {shown_url(url)}: {error}"), ""

    def _fetched(self, url: httpx2.URL) -> bytes:
        data = self._fetcher.get(url, MAX_SITEMAP).data
        if not data.startswith(b"\x1f\x8b"):
            return data
        data = b"".join(unpacked((data[at : at + _PIECE] for at in range(0, len(data), _PIECE)), MAX_SITEMAP))
        if len(data) > MAX_SITEMAP:
            raise SourceError(f"'{shown_url(url)}' unpacks to more than the {MAX_SITEMAP} bytes of a sitemap.")
        return data


def _entries(data: bytes) -> Iterator[tuple[str, str, str]]:
    """("url" or "sitemap", location, date) of each entry. Raises SourceError where it is no sitemap."""
    parser = expat.ParserCreate(namespace_separator=" ")
    reader = _Reader()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype  # where entities that multiply would be declared
    try:
        for start in range(0, max(1, len(data)), _PIECE):
            parser.Parse(data[start : start + _PIECE], start + _PIECE >= len(data))
            yield from reader.taken()
    except (expat.ExpatError, ValueError) as error:
        raise SourceError(f"it is no sitemap: {error}.") from None


class _Reader:
    """Gathers the entries from what expat reports."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str, str]] = []
        self._entry: dict[str, str] = {}
        self._field = ""

    def taken(self) -> list[tuple[str, str, str]]:
        found, self._found = self._found, []
        return found

    def doctype(self, *_: object) -> None:
        raise SourceError("it is no sitemap: it has a document type declaration, which is refused.")

    def start(self, name: str, _: object) -> None:
        local = name.rpartition(" ")[2]
        if local in {"url", "sitemap"}:
            self._entry = {}
        namespace = name.rpartition(" ")[0]
        # An image's or a video's location is named alike, in a namespace of its own.
        self._field = local if local in {"loc", "lastmod"} and "sitemap" in (namespace or "sitemap") else ""
        if self._field and "/sitemap-" in namespace:
            self._field = ""

    def text(self, text: str) -> None:
        if self._field and len(self._entry.get(self._field, "")) < _MAX_TEXT:
            self._entry[self._field] = self._entry.get(self._field, "") + text

    def end(self, name: str) -> None:
        local = name.rpartition(" ")[2]
        self._field = ""
        loc = self._entry.get("loc", "").strip()
        if local in {"url", "sitemap"} and loc and len(loc) < _MAX_TEXT:
            self._found.append((local, loc, self._entry.get("lastmod", "").strip()[:64]))


def _stamp(modified: str) -> str:
    try:
        date = datetime.fromisoformat(modified)
    except ValueError:
        return ""
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    try:
        return f"lastmod:{modified}" if date.timestamp() < time.time() - _SETTLED else ""
    except (OverflowError, ValueError):
        return ""


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"


def _folder(url: httpx2.URL) -> str:
    return _origin(url) + url.raw_path.decode("ascii").partition("?")[0].rpartition("/")[0] + "/"


def _parts(url: httpx2.URL) -> list[str]:
    return [each for each in url.path.split("/") if each] or [""]
