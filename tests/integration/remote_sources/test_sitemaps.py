"""A sitemap as a source."""

from __future__ import annotations

import gzip
import time

import pytest

from ingest.sources import Item, Skipped, Unreadable
from rag.errors import SourceError
from tests.integration.remote_sources.local_site import LIMIT, Site, items, opened, page


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
