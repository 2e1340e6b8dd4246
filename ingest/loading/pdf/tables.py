"""Rows of cells that stand below each other in columns are a table, with or without lines around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

from ingest.loading.pdf.lines import Cell

_MIN_ROWS = 2
_MAX_WORDS = 6.0  # words in a cell on average; columns of prose have more
_PROSE_WORDS = 3.0  # words in a cell on average from which a column may be one of prose
_MAX_COLUMNS = 30
_LARGER = 1.12  # times the height of a table's text: a heading between two tables
_LINE_SPACING = 2.6  # distance of two rows of a table at most, in character heights


@dataclass(slots=True)
class Row:
    """Cells that stand on one line, from left to right."""

    cells: list[Cell]
    bottom: float = field(init=False)
    top: float = field(init=False)

    def __post_init__(self) -> None:
        self.cells.sort(key=lambda cell: cell.left)
        self.bottom = min(cell.bottom for cell in self.cells)
        self.top = max(cell.top for cell in self.cells)

    @property
    def height(self) -> float:
        """Height of the tallest of its cells."""
        return max(cell.height for cell in self.cells)


@dataclass(slots=True)
class Table:
    """Rows of one length; `cells` are those that it was made of."""

    rows: list[list[str]]
    cells: list[Cell]


def find_tables(cells: Sequence[Cell]) -> list[Table]:
    """The tables among a page's cells, from top to bottom."""
    tables = []
    order = {id(cell): place for place, cell in enumerate(cells)}
    for block in _blocks(_rows([cell for cell in cells if not cell.turned])):
        if table := _table(block, order):
            tables.append(table)
        else:  # several tables with headings or notes between them
            tables += [table for part in _parts(block) if (table := _table(part, order))]
    return tables


def _rows(cells: Sequence[Cell]) -> list[Row]:
    """Cells by the line that they stand on, from top to bottom."""
    rows: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda each: -each.middle):
        last = rows[-1][0] if rows else None
        if last and abs(last.middle - cell.middle) < 0.45 * min(last.height, cell.height):
            rows[-1].append(cell)
        else:
            rows.append([cell])
    return [Row(row) for row in rows]


def _blocks(rows: Sequence[Row]) -> list[list[Row]]:
    """Runs of rows of several cells; a row of one cell between them belongs to the run where it continues a cell."""
    blocks: list[list[Row]] = []
    run: list[Row] = []
    waiting: list[Row] = []
    for row in rows:
        near = bool(run) and (waiting or run)[-1].bottom - row.top < (_LINE_SPACING - 1) * row.height
        if len(row.cells) > 1:
            if run and near:
                run += waiting
            elif run:
                blocks.append(run)
                run = []
            run.append(row)
            waiting = []
        elif near and len(waiting) < 2 and row.height < _LARGER * run[-1].height:
            waiting.append(row)
        elif run:
            blocks.append(run)
            run, waiting = [], []
    return [*blocks, run] if run else blocks


def _parts(block: Sequence[Row]) -> list[list[Row]]:
    """The block cut at its rows of one cell."""
    parts: list[list[Row]] = [[]]
    for row in block:
        if len(row.cells) > 1:
            parts[-1].append(row)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part] if len(parts) > 1 else []


def _table(block: Sequence[Row], order: Mapping[int, int]) -> Table | None:
    full = [row for row in block if len(row.cells) > 1]
    columns = _columns(full)
    if len(full) < _MIN_ROWS or not 2 <= len(columns) <= _MAX_COLUMNS:
        return None
    rows: list[list[str]] = []
    for row in block:
        line = [""] * len(columns)
        for cell in row.cells:
            place = _column_of(cell, columns)
            line[place] = f"{line[place]} {cell.text}".strip()
        if len(row.cells) == 1 and rows and _is_continued(row, columns):
            rows[-1] = [f"{above} {more}".strip() for above, more in zip(rows[-1], line, strict=True)]
        else:
            rows.append(line)
    if not _is_tabular(rows, full, order):
        return None
    return Table(rows, [cell for row in block for cell in row.cells])


def _columns(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """The stretches of the page's width that cells share, from left to right."""
    spans = sorted((cell.left, cell.right) for row in rows for cell in row.cells)
    columns: list[tuple[float, float]] = []
    for left, right in spans:
        if columns and left <= columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _column_of(cell: Cell, columns: Sequence[tuple[float, float]]) -> int:
    def overlap(column: tuple[float, float]) -> float:
        return min(cell.right, column[1]) - max(cell.left, column[0])

    return max(range(len(columns)), key=lambda index: overlap(columns[index]))


def _is_continued(row: Row, columns: Sequence[tuple[float, float]]) -> bool:
    """Whether its one cell goes on where a column other than the first stands."""
    return _column_of(row.cells[0], columns) > 0


def _is_tabular(rows: Sequence[Sequence[str]], full: Sequence[Row], order: Mapping[int, int]) -> bool:
    """Whether the columns hold facts, not lines of prose, a list's marks or words that happen to stand apart."""
    filled = [[cell for cell in row if cell] for row in rows]
    several = sum(len(row) > 1 for row in filled)
    if several < _MIN_ROWS or several < 0.6 * len(rows):
        return False
    columns = list(zip(*rows, strict=True))
    words = [mean(len(cell.split()) for cell in column if cell) for column in columns if any(column)]
    if len(words) < 2 or mean(words) > _MAX_WORDS or sum(each > _MAX_WORDS + 2 for each in words) > 1:
        return False
    if sum(each > _PROSE_WORDS for each in words) > 1 and not _written_by_row(full, order):
        return False
    marks = sum(len(cell) <= 3 and not cell.isalnum() for cell in columns[0])
    if len(columns) == 2 and marks > 0.5 * len(rows):
        return False
    pairs = sum(len(row.cells) for row in full)
    return len(full) > 2 or pairs >= 2 * len(columns)


def _written_by_row(full: Sequence[Row], order: Mapping[int, int]) -> bool:
    """Whether a row's cells follow each other in the page's content; columns of prose are written one by one."""
    steps = [
        order[id(after)] - order[id(before)]
        for row in full
        for before, after in zip(row.cells, row.cells[1:], strict=False)
    ]
    return sum(step == 1 for step in steps) > 0.5 * len(steps)
