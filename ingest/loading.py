"""Bytes to Documents. One loader a format, behind one call; what cannot be read is a typed error, never garbage."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from rag.errors import SourceError
from rag.schema import Document

# Part of every content hash: raise it when a loader's output changes, and documents are read anew.
LOADER_VERSION = "1"

MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mdx"})
TEXT = frozenset({".txt", ".text", ".log"})
HTML = frozenset({".html", ".htm", ".xhtml"})
SUPPORTED = MARKDOWN | TEXT | HTML

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_MAX_FRONT_MATTER = 64 * 1024
_SHORTCODE = re.compile(r"\{\{[<%]\s*(/?)\s*([\w/-]*)([^{}]*?)\s*[>%]\}\}")
_SHORTCODE_TEXT = re.compile(r"""\btext=(?:"([^"]*)"|'([^']*)')""")
_HEADING_ANCHOR = re.compile(r"[ \t]*\{#[\w:.-]+\}[ \t]*$", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FIRST_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)


class EmptyDocument(SourceError):
    """The document was read and holds no text: nothing to index, nothing wrong."""

    code = "empty_document"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to ingest: where it is, what identifies it, and what people are shown."""

    location: Path
    uri: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class _Text:
    title: str | None
    text: str
    format: Literal["markdown", "text"]


def content_hash(data: bytes, groups: tuple[str, ...], metadata: Mapping[str, str]) -> str:
    """SHA-256 of all that makes a document's points what they are."""
    facts = json.dumps([LOADER_VERSION, sorted(groups), sorted(metadata.items())]).encode()
    return hashlib.sha256(facts + b"\0" + hashlib.sha256(data).digest()).hexdigest()


def load(
    source: SourceFile, data: bytes, groups: tuple[str, ...] = (), metadata: Mapping[str, str] | None = None
) -> Document:
    """The document that the bytes hold. Raises EmptyDocument where they hold no text, else SourceError."""
    suffix = source.location.suffix.lower()
    loader = _LOADERS.get(suffix)
    if loader is None:
        raise SourceError(f"files of type '{suffix or 'none'}' are not read.")
    try:
        loaded = loader(decode(data))
    except RecursionError:
        raise SourceError("its elements are nested too deeply to be read.") from None
    if not loaded.text.strip():
        raise EmptyDocument("it holds no text.")
    return Document(
        uri=source.uri,
        path=source.path,
        title=loaded.title or _title_from_path(source.path),
        text=loaded.text,
        content_hash=content_hash(data, groups, metadata or {}),
        format=loaded.format,
        groups=groups,
        metadata=dict(metadata or {}),
    )


def decode(data: bytes) -> str:
    """Bytes to text: UTF-8, a byte order mark, or what charset-normalizer finds. Raises SourceError for binary data."""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    if encoding != "utf-16" and b"\0" in data[:65536]:
        raise SourceError("it is binary data, not text.")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = _guess(data)
    control = sum(1 for each in text[:65536] if each < " " and each not in "\n\r\t\f\x1b\b")
    if control > len(text[:65536]) // 50:
        raise SourceError("it is binary data, not text.")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    sample = from_bytes(data[: 256 * 1024]).best()
    if sample is None:
        raise SourceError("its character encoding cannot be told; save it as UTF-8.")
    return data.decode(sample.encoding, errors="replace")


def _load_markdown(text: str) -> _Text:
    title = None
    front = _FRONT_MATTER.match(text[:_MAX_FRONT_MATTER])
    if front:
        title = _front_matter_title(front.group(1))
        text = text[front.end() :]
    text = _COMMENT.sub("", text)
    text = _SHORTCODE.sub(_resolve_shortcode, text)
    text = _HEADING_ANCHOR.sub("", text)
    heading = _FIRST_HEADING.search(text)
    return _Text(title or (heading.group(1) if heading else None), text, "markdown")


def _front_matter_title(front: str) -> str | None:
    try:
        facts = yaml.safe_load(front)
    except (yaml.YAMLError, ValueError, RecursionError):  # a broken head does not make the body unreadable
        return None
    title = facts.get("title") if isinstance(facts, dict) else None
    return " ".join(title.split()) if isinstance(title, str) and title.strip() else None


def _resolve_shortcode(match: re.Match[str]) -> str:
    """Hugo's shortcodes: one with a text is that text, a section heading is its words, any other is dropped."""
    text = _SHORTCODE_TEXT.search(match.group(3))
    if text:
        return text.group(1) or text.group(2) or ""
    if match.group(2) == "heading":
        return match.group(3).strip().strip("\"'").replace("whatsnext", "What's next").capitalize()
    return ""


def _load_text(text: str) -> _Text:
    return _Text(None, text, "text")


def _load_html(text: str) -> _Text:
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    soup = BeautifulSoup(text, "lxml")
    title = soup.title.get_text(" ", strip=True) if soup.title else None
    for element in soup(["script", "style", "noscript", "template", "nav", "header", "footer", "aside", "form", "svg"]):
        element.decompose()
    for element in soup.select('[hidden], [aria-hidden="true"], [style*="display:none"], [style*="display: none"]'):
        element.decompose()
    body = soup.find("main") or soup.find("article") or soup.body or soup
    markdown = MarkdownConverter(heading_style="atx", strip=["img", "a"], bullets="-").convert_soup(body)
    return _Text(title or None, re.sub(r"\n{3,}", "\n\n", markdown).strip() + "\n", "markdown")


def _title_from_path(path: str) -> str:
    name = Path(path)
    stem = name.parent.name if name.stem.strip("_").lower() in {"index", "readme"} and name.parent.name else name.stem
    return re.sub(r"[-_]+", " ", stem).strip() or path


_LOADERS: dict[str, Callable[[str], _Text]] = {
    **dict.fromkeys(MARKDOWN, _load_markdown),
    **dict.fromkeys(TEXT, _load_text),
    **dict.fromkeys(HTML, _load_html),
}
