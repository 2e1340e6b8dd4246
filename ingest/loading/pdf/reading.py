"""The PDF loader: opens the file, holds it to the limits, and says which pages hold no text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ingest.loading.errors import Damaged, EmptyDocument, Encrypted, NeedsOcr, too_many_characters, too_many_pages
from ingest.loading.interface import Limits, Loaded
from ingest.loading.parts import joined_pages
from ingest.loading.pdf.flow import Page, written
from ingest.loading.pdf.lines import Cell, read_cells
from ingest.loading.pdf.ocr import recogniser
from ingest.loading.titles import facts

_FACTS = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "date"}
_PLACEHOLDERS = {"", "anonymous", "unspecified", "untitled", "title", "unknown", "none", "null"}
_PROGRAM = re.compile(r"^Microsoft (?:Word|PowerPoint|Excel) - ")
_PASSWORD, _SECURITY = 4, 5  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY of PDFium


def load_pdf(data: bytes, name: str, limits: Limits) -> Loaded:
    """A PDF's text page by page. Pages that are pictures are read where the extra `ocr` is installed."""
    with _opened(data) as document:
        if len(document) > limits.pages:
            raise too_many_pages(len(document), limits.pages)
        pages, pictures = _pages(document, limits)
        about = document.get_metadata_dict(skip_empty=True)
    texts = written(pages)
    silent = [number for number, text in enumerate(texts, 1) if not text.strip() and number in pictures]
    if silent and not any(text.strip() for text in texts):
        raise _needs_ocr(len(texts))
    if not any(text.strip() for text in texts):
        raise EmptyDocument("it holds no text.")
    text, starts = joined_pages(texts)
    metadata = facts((key, _fact(about.get(field, ""))) for field, key in _FACTS.items())
    if silent:
        metadata["pages_without_text"] = ranges(silent)
    return Loaded(text, _title(about.get("Title", "")) or _first_heading(texts), "markdown", starts, metadata)


def _needs_ocr(pages: int) -> NeedsOcr:
    what = f"its {pages} pages are pictures" if pages > 1 else "its page is a picture"
    if recogniser():
        return NeedsOcr(f"{what} in which no text is recognised: scan it anew, or leave it out.")
    return NeedsOcr(f"{what} without text: install librarian-rag[ocr], or run it through a text recognition program.")


def ranges(numbers: Sequence[int]) -> str:
    """Numbers in ascending order as "2, 5-7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) in (_PASSWORD, _SECURITY):
            raise Encrypted("it is locked with a password; save it without one.") from None
        raise Damaged("it is no PDF, or is damaged beyond reading; open it and save it anew.") from None
    try:
        yield document
    finally:
        document.close()


def _pages(document: Any, limits: Limits) -> tuple[list[Page], set[int]]:
    """What is written on each page, and the numbers of those that hold pictures only."""
    import pypdfium2

    pages: list[Page] = []
    pictures: set[int] = set()
    recognise = recogniser()
    room = limits.characters
    for index in range(len(document)):
        try:
            page = document[index]
        except pypdfium2.PdfiumError:  # one broken page does not make the others unreadable
            pages.append(Page([], 0.0))
            continue
        cells = read_cells(page, room)
        if not cells and _has_pictures(page):
            cells = recognise(page) if recognise else []
            if not cells:
                pictures.add(index + 1)
        pages.append(Page(cells, page.get_height()))
        page.close()
        room -= _length(cells)
        if room < 0:
            raise too_many_characters(limits.characters)
    return pages, pictures


def _has_pictures(page: Any) -> bool:
    """Whether anything is drawn on it: scans are images, some programs write letters as shapes."""
    return next(iter(page.get_objects(max_depth=3)), None) is not None


def _length(cells: Sequence[Cell]) -> int:
    return sum(len(cell.text) + 1 for cell in cells)


def _title(value: str) -> str:
    """A title that a person wrote, "" for what programs put there."""
    title = _PROGRAM.sub("", value).strip()
    return "" if title.strip("()").lower() in _PLACEHOLDERS else title


def _first_heading(texts: Sequence[str]) -> str | None:
    """The largest heading of the first page that has one."""
    for text in texts[:3]:
        headings = [line for line in text.split("\n") if line.startswith("#")]
        if headings:
            return min(headings, key=lambda line: len(line) - len(line.lstrip("#"))).lstrip("# ")
    return None


def _fact(value: str) -> str:
    """A PDF's date as ISO 8601, anything else as it is, "" for a placeholder."""
    if value.strip("()").lower() in _PLACEHOLDERS:
        return ""
    if value.startswith("D:") and value[2:10].isdigit():
        return f"{value[2:6]}-{value[6:8]}-{value[8:10]}"
    return value
