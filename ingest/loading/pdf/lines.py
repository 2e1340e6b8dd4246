"""A page's characters as lines of cells: what stands in one row without a wide gap."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, field
from typing import Any

HYPHEN = "\u00ad"  # stands where a word was broken at a line's end, until it is known whether it has a hyphen
_GAP = 0.6  # gap between cells, in character heights; spaces of justified text are narrower
_WORD_GAP = 0.18  # gap between words that are set without a space, in character heights
_TURNED = 0.5  # sine of the angle from which letters count as running up or down
_BROKEN = {0x02, 0xFFFE}  # how PDFium reports a hyphen at a line's end


@dataclass(slots=True)
class Cell:
    """Text on one line with its box, in points from the page's lower left corner; `turned` where it runs up or down."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    turned: bool = False

    @property
    def height(self) -> float:
        """Height of its line, about the size of its font."""
        return self.top - self.bottom

    @property
    def middle(self) -> float:
        """Where its line stands on the page."""
        return (self.top + self.bottom) / 2


@dataclass(slots=True)
class _Open:
    """A cell that is being read."""

    turned: bool = False
    characters: list[str] = field(default_factory=list)
    bottoms: list[float] = field(default_factory=list)
    tops: list[float] = field(default_factory=list)
    left: float = math.inf
    right: float = -math.inf

    def add(self, character: str, box: Any) -> None:
        self.left, self.right = min(self.left, box.left), max(self.right, box.right)
        self.bottoms.append(box.bottom)
        self.tops.append(box.top)
        self.characters.append(character)

    def closed(self) -> Cell | None:
        """The cell with the height of most of its letters, which a superscript does not change."""
        text = " ".join("".join(self.characters).split())
        if not self.tops or not text.strip(HYPHEN):
            return None
        bottom, top = (sorted(edges)[len(edges) // 2] for edges in (self.bottoms, self.tops))
        return Cell(text, self.left, self.right, bottom, top, self.turned)


def read_cells(page: Any, room: int) -> list[Cell]:
    """The cells of a pypdfium2 page in the order of its content, which is that of reading; `room` characters at most.

    PDFium puts spaces and line ends where the page has none.
    """
    import pypdfium2.raw as pdfium

    text_page = page.get_textpage()
    try:
        return _cells(pdfium, text_page, min(text_page.count_chars(), room + 1))
    finally:
        text_page.close()


def _cells(pdfium: Any, text_page: Any, count: int) -> list[Cell]:
    cells: list[Cell] = []
    cell, box, spaced = _Open(), pdfium.FS_RECTF(), False
    place = ctypes.byref(box)

    def close(turned: bool = False) -> None:
        nonlocal cell, spaced
        if done := cell.closed():
            cells.append(done)
        cell, spaced = _Open(turned), False

    for index in range(count):
        code = pdfium.FPDFText_GetUnicode(text_page, index)
        if code in (10, 13):
            close()
            continue
        if code in _BROKEN:
            cell.characters.append(HYPHEN)
            close()
            continue
        character = chr(code) if 32 <= code < 0x110000 and not 0xD800 <= code < 0xE000 else " "
        if character.isspace():
            spaced = True
            continue
        pdfium.FPDFText_GetLooseCharBox(text_page, index, place)
        turned = abs(math.sin(pdfium.FPDFText_GetCharAngle(text_page, index))) > _TURNED
        if turned != cell.turned:
            close(turned)
        elif cell.tops and not turned:
            gap, height = box.left - cell.right, max(cell.tops[-1] - cell.bottoms[-1], 1.0)
            apart = abs(box.bottom + box.top - cell.bottoms[-1] - cell.tops[-1]) > 1.6 * height
            if apart or gap > _GAP * height or box.right < cell.left:
                close()
            elif spaced or gap > _WORD_GAP * height:
                cell.characters.append(" ")
        elif spaced:
            cell.characters.append(" ")
        cell.add(character, box)
        spaced = False
    close()
    return cells
