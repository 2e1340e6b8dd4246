"""Office documents, books and rich text: headings, lists and tables as Markdown, slides and sheets as pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ingest.loading.converter import Converted, Part, convert
from ingest.loading.errors import too_many_characters, too_many_pages
from ingest.loading.interface import Limits, Loaded
from ingest.loading.markup import long_table
from ingest.loading.packed import check_package
from ingest.loading.parts import joined_pages

ZIPPED = frozenset(
    {".docx", ".docm", ".dotx", ".pptx", ".pptm", ".ppsx", ".xlsx", ".xlsm", ".xlsb", ".odt", ".ods", ".odp", ".epub"}
)
_COMMENT = re.compile(r"\[cmt:\d+\]")
_COMMENT_TEXT = re.compile(r"^\[\^cmt\d+\]:[ \t]*\n?[ \t]*", re.MULTILINE)


def load_text_document(data: bytes, name: str, limits: Limits) -> Loaded:
    """A document of running text. It has no pages: where they break is known to the program that prints it."""
    converted = _converted(data, name, limits)
    text = _COMMENT_TEXT.sub("Comment: ", _COMMENT.sub("", converted.text))
    return Loaded(text, converted.title or first_heading(text), metadata=converted.metadata)


def load_slides(data: bytes, name: str, limits: Limits) -> Loaded:
    """A slide is a page; what the speaker noted stands below it."""
    converted = _converted(data, name, limits)
    if not converted.parts:
        return Loaded(converted.text, converted.title or first_heading(converted.text), metadata=converted.metadata)
    text, starts = joined_pages([_slide(part) for part in converted.parts])
    return Loaded(text, _deck_title(converted) or first_heading(text), "markdown", starts, converted.metadata)


def load_sheets(data: bytes, name: str, limits: Limits) -> Loaded:
    """A sheet is a page under its name; each piece of a long one has the names of its columns."""
    converted = _converted(data, name, limits)
    if len(converted.parts) > limits.pages:
        raise too_many_pages(len(converted.parts), limits.pages)
    room = limits.characters
    sheets = []
    for part in converted.parts:
        blocks = []
        for block in _sheet(part):
            room -= len(block) + 2
            if room < 0:
                raise too_many_characters(limits.characters)
            blocks.append(block)
        sheets.append("\n\n".join([f"## {part.name}", *blocks] if part.name and blocks else blocks))
    text, starts = joined_pages(sheets)
    return Loaded(text, converted.title, "markdown", starts, converted.metadata)


def first_heading(text: str) -> str | None:
    """The words of the first heading near the start of a Markdown text, None where there is none."""
    for line in text[:5000].split("\n"):
        if re.match(r"#{1,2} \S", line):
            return line.lstrip("# ")
    return None


def _converted(data: bytes, name: str, limits: Limits) -> Converted:
    if PurePosixPath(name).suffix.lower() in ZIPPED:
        check_package(data, limits)
    return convert(data, name, limits)


def _slide(part: Part) -> str:
    notes = part.notes.strip()
    return f"{part.text.strip()}\n\nNotes: {notes}" if notes else part.text


def _deck_title(converted: Converted) -> str | None:
    title = converted.title or ""
    return None if title.lower() in {"powerpoint presentation", "presentation", "untitled"} else title or None


def _sheet(part: Part) -> Iterator[str]:
    for table in part.tables:
        yield from long_table(_unescaped(row) for row in table)


def _unescaped(row: Sequence[str]) -> list[str]:
    return [cell.replace("\\|", "|") for cell in row]
