"""Pages of cells and tables as Markdown: paragraphs, headings by their size, repeated page heads left out."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ingest.loading.markup import markdown_table
from ingest.loading.pdf.lines import HYPHEN, Cell
from ingest.loading.pdf.tables import Table, find_tables

_HEADING_SIZE = 1.15  # times the size of the body's text
_MAX_HEADING = 150  # characters
_EDGE = 0.08  # share of a page's height at its top and bottom where running heads stand
_MIN_REPEATS = 4  # pages that a running head stands on at least
_BROKEN = re.compile(rf"(\w+){HYPHEN}\s?(\w+)")
_DIGITS = re.compile(r"\d+")


@dataclass(slots=True)
class Page:
    """What was read of a page; `height` is in points."""

    cells: list[Cell]
    height: float
    tables: list[Table] = field(default_factory=list)


@dataclass(slots=True)
class _Block:
    """A paragraph, heading or table, with where it stands."""

    lines: list[Cell]
    level: int = 0
    table: Table | None = None

    @property
    def top(self) -> float:
        return max(line.top for line in self.lines)

    @property
    def bottom(self) -> float:
        return min(line.bottom for line in self.lines)


def written(pages: Sequence[Page]) -> list[str]:
    """Each page's Markdown, "" for one without text."""
    _drop_running_heads(pages)
    for page in pages:
        page.tables = find_tables(page.cells)
    levels = _heading_levels(pages)
    texts = [_page(page, levels) for page in pages]
    words = {word.lower() for text in texts for word in re.findall(r"[\w-]+", text)}
    return [_mended(text, words) for text in texts]


def _page(page: Page, levels: Sequence[float]) -> str:
    table_of = {id(cell): table for table in page.tables for cell in table.cells}
    started: set[int] = set()
    blocks: list[_Block] = []
    for cell in sorted(page.cells, key=lambda each: each.turned):  # what runs up the margin comes last
        table = table_of.get(id(cell))
        if table is None:
            level = 0 if cell.turned else _level(cell, levels)
            last = blocks[-1] if blocks else None
            if last and not last.table and last.level == level and _goes_on(last.lines[-1], cell):
                last.lines.append(cell)
            else:
                blocks.append(_Block([cell], level))
        elif id(table) not in started:
            started.add(id(table))
            blocks.append(_Block(table.cells, table=table))
    return "\n\n".join(markdown_table(each.table.rows) if each.table else _paragraph(each) for each in _ordered(blocks))


def _ordered(blocks: Sequence[_Block]) -> list[_Block]:
    """The blocks in the order of the page's content, but for heads drawn after what they stand above, and feet drawn
    before it."""
    lowest = [math.inf] * (len(blocks) + 1)  # of each block and those behind it
    for place in range(len(blocks) - 1, -1, -1):
        lowest[place] = min(lowest[place + 1], blocks[place].bottom)
    heads: list[_Block] = []
    rest: list[_Block] = []
    feet: list[_Block] = []
    highest = -math.inf
    for place, block in enumerate(blocks):
        if not rest and block.top <= lowest[place + 1] < math.inf:
            feet.append(block)
        elif rest and block.bottom >= highest:
            heads.append(block)
        else:
            rest.append(block)
            highest = max(highest, block.top)
    return [*sorted(heads, key=lambda each: -each.top), *rest, *feet]


def _goes_on(above: Cell, cell: Cell) -> bool:
    """Whether a line belongs to the paragraph of the line before it."""
    height = max(above.height, cell.height, 1.0)
    down = above.middle - cell.middle
    if abs(down) < 0.5 * height:  # on the same line, behind it: a gap in the text, a superscript
        return -0.5 * height < cell.left - above.right < 12 * height
    overlaps = min(above.right, cell.right) > max(above.left, cell.left)
    if down < 0:  # the next column; a sentence that is cut there goes on
        return above.text.endswith(HYPHEN) or cell.text[:1].islower()
    return overlaps and down < 1.75 * height and not _starts_item(cell.text)


def _starts_item(text: str) -> bool:
    head, _, rest = text.partition(" ")
    return bool(rest) and (head in "•●▪■◦‣–-*○" or (len(head) <= 4 and head[:1].isdigit() and head[-1] in ".)"))


def _paragraph(block: _Block) -> str:
    text = _joined(block.lines)
    if block.level and len(text) <= _MAX_HEADING and any(each.isalpha() for each in text):
        return f"{'#' * block.level} {' '.join(text.split())}"
    head, _, rest = text.partition(" ")
    if rest and head in "•●▪■◦‣○":
        return f"- {rest}"
    return "\\" + text if text.startswith(("#", ">", "|")) else text


def _joined(lines: Sequence[Cell]) -> str:
    """Lines as one where the next word had no room on the line before, else as lines."""
    right = max(line.right for line in lines)
    parts = [lines[0].text]
    for above, line in pairwise(lines):
        word = (line.right - line.left) * len(line.text.partition(" ")[0]) / len(line.text)
        same = abs(above.middle - line.middle) < 0.5 * line.height
        parts += [" " if same or above.right + word + 0.3 * line.height > right else "\n", line.text]
    return "".join(parts)


def _level(cell: Cell, levels: Sequence[float]) -> int:
    """From 1 for the largest letters; 0 for the body's."""
    return next((number for number, size in enumerate(levels, 1) if cell.height >= size - 0.25), 0)


def _heading_levels(pages: Sequence[Page]) -> list[float]:
    """The sizes that headings are set in, at most four, from the largest."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for cell in page.cells:
            sizes[round(cell.height * 2) / 2] += len(cell.text)
    if not sizes:
        return []
    body = sizes.most_common(1)[0][0]
    total = sizes.total()
    large = sorted((size for size in sizes if size >= _HEADING_SIZE * body and sizes[size] < 0.2 * total), reverse=True)
    return [size for number, size in enumerate(large) if number == 0 or large[number - 1] - size >= 0.5][:4]


def _drop_running_heads(pages: Sequence[Page]) -> None:
    """Takes out lines at the pages' edges that stand on half of the pages, whatever number is in them."""
    if len(pages) < _MIN_REPEATS:
        return
    seen = Counter(words for page in pages for words in {_DIGITS.sub("0", each.text) for each in _edges(page)})
    running = {words for words, count in seen.items() if count >= max(_MIN_REPEATS, len(pages) / 2)}
    for page in pages:
        dropped = {id(each) for each in _edges(page) if _DIGITS.sub("0", each.text) in running}
        if len(dropped) < len(page.cells):
            page.cells = [each for each in page.cells if id(each) not in dropped]


def _edges(page: Page) -> list[Cell]:
    low, high = page.height * _EDGE, page.height * (1 - _EDGE)
    return [cell for cell in page.cells if cell.top < low or cell.bottom > high]


def _mended(text: str, words: set[str]) -> str:
    """Words broken at a line's end in one piece; with a hyphen where the
    document has it so elsewhere, or has both parts as words and never the whole."""

    def join(match: re.Match[str]) -> str:
        first, second = match.groups()
        whole, hyphened = first + second, f"{first}-{second}"
        if not second[0].islower():
            return hyphened
        parts = len(first) > 3 and len(second) > 3 and first.lower() in words and second in words
        return hyphened if (parts or hyphened.lower() in words) and whole.lower() not in words else whole

    return _BROKEN.sub(join, text).replace(HYPHEN, "-")
