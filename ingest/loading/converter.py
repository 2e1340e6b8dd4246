"""The one place that knows the converter behind the office, book and mail formats (xberg): bytes in, Markdown out.

Another converter takes its place by giving the same `Converted`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ingest.loading.errors import Damaged, Encrypted, TooLarge, too_many_pages
from ingest.loading.interface import Limits
from ingest.loading.titles import facts

_SECONDS = 600  # the process that reads documents is stopped much earlier; this ends threads that it left behind
_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
# The name tells the format, never the content: else a book would be taken for the archive that it is packed in.
_KINDS = {
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".docm": f"{_OFFICE}.wordprocessingml.document",
    ".dotx": f"{_OFFICE}.wordprocessingml.document",
    ".doc": "application/msword",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".pptm": f"{_OFFICE}.presentationml.presentation",
    ".ppsx": f"{_OFFICE}.presentationml.presentation",
    ".ppt": "application/vnd.ms-powerpoint",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".xlsm": f"{_OFFICE}.spreadsheetml.sheet",
    ".xlsb": "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
    ".xls": "application/vnd.ms-excel",
    ".odt": f"{_OPEN}.text",
    ".ods": f"{_OPEN}.spreadsheet",
    ".odp": f"{_OPEN}.presentation",
    ".rtf": "application/rtf",
    ".epub": "application/epub+zip",
    ".msg": "application/vnd.ms-outlook",
    ".rst": "text/prs.fallenstein.rst",
    ".org": "text/org",
    ".adoc": "text/asciidoc",
    ".asciidoc": "text/asciidoc",
}
_LOCKED = re.compile(r"password|encrypt|protected", re.IGNORECASE)
_TOO_LARGE = re.compile(r"security|limit|exceed|too (?:large|deep|many)|bomb", re.IGNORECASE)
_IMAGE = re.compile(r"\\?!\[([^\[\]\n]{0,500})\]\([^()\n]{0,1000}\)")
_LINK = re.compile(r"\[([^\[\]\n]{0,500})\]\([^()\n]{0,1000}\)")
_ESCAPED = re.compile(r"\\([!<>&~])|(?<=[^\n])\\(#)")


@dataclass(frozen=True, slots=True)
class Part:
    """A page, slide or sheet. A sheet has rows in `tables`; a slide may have notes."""

    text: str
    name: str = ""
    notes: str = ""
    tables: Sequence[Sequence[Sequence[str]]] = ()


@dataclass(frozen=True, slots=True)
class Converted:
    """What a converter made of a document: its Markdown, and its parts where the format has such."""

    text: str
    title: str | None
    parts: Sequence[Part]
    metadata: dict[str, str]


def convert(data: bytes, name: str, limits: Limits) -> Converted:
    """The document as Markdown. Nothing is fetched, run or cached.

    Raises Encrypted, TooLarge or Damaged.
    """
    import xberg

    config = xberg.ExtractionConfig(
        mime_detection_policy="trust_extension",
        use_cache=False,
        disable_ocr=True,
        enable_quality_processing=False,
        output_format="markdown",
        escape_markdown=False,
        max_archive_depth=0,
        extraction_timeout_secs=_SECONDS,
        pages=xberg.PageConfig(extract_pages=True),
        content_filter=xberg.ContentFilterConfig(
            include_headers=True, include_footers=True, include_footnotes=True, strip_repeating_text=False
        ),
        security_limits=_security(xberg, len(data), limits),
    )
    kind = _KINDS[PurePosixPath(name).suffix.lower()]
    given = xberg.ExtractInput(kind="bytes", bytes=data, filename=name, mime_type=kind)
    try:
        result = asyncio.run(xberg.extract(given, config))
    except RuntimeError as error:
        raise _refusal(str(error), limits) from None
    if not result.results:
        raise _refusal("; ".join(str(getattr(each, "message", each)) for each in result.errors), limits)
    found = result.results[0]
    return Converted(
        _plain(found.content), found.metadata.title, [_part(page) for page in found.pages or ()], _metadata(found)
    )


def _security(xberg: Any, size: int, limits: Limits) -> Any:
    return xberg.SecurityLimits(
        max_archive_size=max(size * limits.expansion, 1024 * 1024),
        max_compression_ratio=max(limits.expansion, 1000),  # of one entry: the whole has been checked
        max_content_size=4 * limits.characters,  # bytes; a character has four at most
        max_table_cells=limits.characters,
        max_pages=limits.pages,
        max_iterations=max(10_000_000, limits.characters),
        max_nesting_depth=200,
        max_xml_depth=200,
    )


def _refusal(reason: str, limits: Limits) -> Damaged | Encrypted | TooLarge:
    said = " ".join(reason.split())[:160].rstrip(".")
    if _LOCKED.search(said):
        return Encrypted("it is locked with a password; save it without one.")
    if "page" in said and "limit" in said:
        return too_many_pages(limits.pages + 1, limits.pages)
    if _TOO_LARGE.search(said):
        return TooLarge(f"it passes a limit ({said}); split it.")
    return Damaged(f"it is damaged or not what its name says ({said}).")


def _part(page: Any) -> Part:
    tables = [table.cells for table in page.tables]
    return Part(_plain(page.content), page.sheet_name or "", _plain(page.speaker_notes or ""), tables)


def _metadata(found: Any) -> dict[str, str]:
    about = found.metadata
    return facts(
        [
            ("author", ", ".join(about.authors or ())),
            ("subject", about.subject),
            ("keywords", ", ".join(about.keywords or ())),
            ("language", about.language),
            ("date", about.created_at),
            ("modified", about.modified_at),
        ]
    )


def _plain(text: str) -> str:
    """Markdown without links' addresses and pictures, and without backslashes that it does not need."""
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    return _ESCAPED.sub(lambda match: match[1] or match[2], text).replace("\u00a0", " ")
