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

WESTERN = "cp1252"
_HIGH = bytes(range(128, 256))
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_MAX_FRONT_MATTER = 64 * 1024
_FRONT_MATTER_NAME = re.compile(r"\s*(?:#.*\n\s*)*[\w\"'$-]+[ \t]*:|\s*\Z|\s*[{<&!]")
# Documents are anybody's: every pattern here takes time in proportion to the text, whatever the text is.
_SHORTCODE = re.compile(r"\{\{[<%]([^{}]*)[>%]\}\}")
_SHORTCODE_TEXT = re.compile(r"""\btext=(?:"([^"]*)"|'([^']*)')""")
_HEADING_ANCHOR = re.compile(r"(?<![ \t])[ \t]*\{#[\w:.-]+\}[ \t]*$", re.MULTILINE)
_FENCE_OR_HEADING = re.compile(r"^ {0,3}(```|~~~)|^#[ \t]+(\S.*)$", re.MULTILINE)
_MAX_TITLE = 200  # characters; a title is stored with every chunk


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
        title=(_title(loaded.title) or _title(_title_from_path(source.path))),
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
        raise SourceError("it is binary data, not text: convert it, or move it out of the folder.")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = _guess(data)
    control = sum(1 for each in text[:65536] if each < " " and each not in "\n\r\t\f\x1b\b")
    if control > len(text[:65536]) // 50:
        raise SourceError("it is binary data, not text: convert it, or move it out of the folder.")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    sample = data[: 256 * 1024]
    if _high_bytes(sample) < 0.03 and _decodes(sample, WESTERN):  # English with a few quotes or accents
        return data.decode(WESTERN, errors="replace")
    found = from_bytes(sample)
    best = found.best()
    if best is None:
        raise SourceError("its character encoding cannot be told; save it as UTF-8.")
    # Western and Central European readings of one text often score alike: the commoner one is taken.
    western = next((each for each in found if each.encoding == WESTERN), best)
    alike = western.chaos <= best.chaos + 0.02 and western.coherence >= best.coherence - 0.01
    return data.decode(western.encoding if alike else best.encoding, errors="replace")


def _high_bytes(data: bytes) -> float:
    """Share of the bytes that are not ASCII."""
    return 1 - len(data.translate(None, _HIGH)) / len(data)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _load_markdown(text: str) -> _Text:
    title = None
    front = _FRONT_MATTER.match(text[:_MAX_FRONT_MATTER])
    if front and _FRONT_MATTER_NAME.match(front.group(1)):  # else the line is a rule, and what follows is text
        title = _front_matter_title(front.group(1))
        text = text[front.end() :]
    text = _without_comments(text)
    text = _SHORTCODE.sub(_resolve_shortcode, text)
    text = _HEADING_ANCHOR.sub("", text)
    return _Text(title or _first_heading(text), text, "markdown")


def _front_matter_title(front: str) -> str | None:
    try:  # composed, not constructed: aliases and merge keys are not followed, so they cannot multiply
        root = yaml.compose(front, Loader=yaml.SafeLoader)
    except (
        yaml.YAMLError,
        ValueError,
        OverflowError,
        RecursionError,
    ):  # a broken head does not make the body unreadable
        return None
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value == "title" and isinstance(value, yaml.ScalarNode):
            return None if value.tag == "tag:yaml.org,2002:null" else value.value
    return None


def _without_comments(text: str) -> str:
    kept, position = [], 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[position:start])
        position = end + 3
    return "".join([*kept, text[position:]])


def _first_heading(text: str) -> str | None:
    """The words of the first heading of level 1; a comment in a code fence is none."""
    fence = None
    for match in _FENCE_OR_HEADING.finditer(text):
        mark, heading = match.groups()
        if mark:
            fence = mark if fence is None else None if fence == mark else fence
        elif fence is None:
            return str(heading).rstrip().rstrip("#")
    return None


def _title(words: str | None) -> str:
    """One line of at most _MAX_TITLE characters that any encoding can hold."""
    line = " ".join((words or "")[: 4 * _MAX_TITLE].encode("utf-8", "replace").decode().split())
    return line[:_MAX_TITLE].rstrip()


def _resolve_shortcode(match: re.Match[str]) -> str:
    """Hugo's shortcodes: one with a text is that text, a section heading is its words, any other is dropped."""
    name, _, arguments = match.group(1).strip().partition(" ")
    text = _SHORTCODE_TEXT.search(arguments)
    if text:
        return text.group(1) or text.group(2) or ""
    if name == "heading":
        return arguments.strip().strip("\"'").replace("whatsnext", "What's next").capitalize()
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
