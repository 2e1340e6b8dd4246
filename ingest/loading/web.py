"""HTML: the main content of a page as Markdown, without what surrounds it."""

from __future__ import annotations

import re
from typing import Any

from ingest.loading.decoding import decode
from ingest.loading.errors import Damaged
from ingest.loading.html import HtmlWriter, is_unseen, tag_of
from ingest.loading.interface import Limits, Loaded
from ingest.loading.titles import facts

_MAIN_SHARE = 0.1  # of a page's text that its main part has at least; less is a frame that a script would fill
_DECLARED = re.compile(rb"<meta[^<>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?([\w-]{1,40})", re.IGNORECASE)
_TAG = re.compile(r"""<[A-Za-z](?:[^"'<>]++|"[^"]*+"|'[^']*+')*+""")
_LONG_TAG = 10_000  # characters
_MAX_ATTRIBUTES = 2000  # of an element; reading them takes time in proportion to the square of their number
_HEAD = 4096  # bytes in which a page declares its encoding
_FACTS = {
    "author": "author",
    "article:author": "author",
    "description": "description",
    "keywords": "keywords",
    "date": "date",
    "article:published_time": "date",
}


def load_html(data: bytes, name: str, limits: Limits) -> Loaded:
    """The main content of a page; its title and what it says of itself."""
    declared = _DECLARED.search(data[:_HEAD])
    root = _parsed(decode(data, declared[1].decode() if declared else None))
    if root is None:
        return Loaded("")
    return Loaded(_markdown(root), _title(root), metadata=_metadata(root))


def html_to_markdown(text: str) -> tuple[str, str | None]:
    """The main content as Markdown, and the page's title."""
    root = _parsed(text)
    return ("", None) if root is None else (_markdown(root), _title(root))


def _parsed(text: str) -> Any:
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True)
    if any(len(tag[0]) > _LONG_TAG and tag[0].count("=") > _MAX_ATTRIBUTES for tag in _TAG.finditer(text)):
        raise Damaged(f"it has an element of more than {_MAX_ATTRIBUTES} attributes.")
    data = text.encode("utf-8", "replace")
    root = etree.fromstring(data, parser) if data.strip() else None
    if any(each.type_name == "ERR_RESOURCE_LIMIT" for each in parser.error_log):  # the parser has dropped what follows
        raise Damaged("its elements are nested too deeply to be read.")
    return root


def _markdown(root: Any) -> str:
    return HtmlWriter().written(_main(root))


def _main(root: Any) -> Any:
    """The element that holds the content: <main>, the one <article>, else the body."""
    body = root.find("body")
    body = root if body is None else body
    articles = body.findall(".//article")
    marked = [body.find(".//main"), body.find(".//*[@role='main']"), articles[0] if len(articles) == 1 else None]
    for each in marked:
        if each is not None and not is_unseen(each, inside=True):
            return each if _length(each) >= _MAIN_SHARE * _length(body) else body
    return body


def _length(element: Any) -> int:
    """Characters of text that are not a script's."""
    return sum(
        len(each.text or "") + len(each.tail or "")
        for each in element.iter()
        if tag_of(each) not in {"script", "style"}
    )


def _title(root: Any) -> str | None:
    title = root.find(".//title")
    words = " ".join("".join(title.itertext()).split()) if title is not None else ""
    return words or None


def _metadata(root: Any) -> dict[str, str]:
    said: dict[str, str] = {}
    language = root.get("lang")
    for element in root.iterfind(".//meta"):
        key = _FACTS.get((element.get("name") or element.get("property") or "").lower())
        if key:
            said.setdefault(key, element.get("content") or "")
    return facts([*said.items(), ("language", language)])
