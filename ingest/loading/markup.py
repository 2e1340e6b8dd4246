"""Pieces of Markdown that loaders write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

# Of a long table each piece of about this many characters gets the header again, so that a chunk of it says what its
# columns are.
_PIECE = 700
_WIDE_ROW = 400  # characters of a row from which it is written as "column: value" lines


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its header, in one piece."""
    if not rows:
        return ""
    head, *body = [_line(row) for row in rows]
    return "\n".join([head, _rule(len(rows[0])), *body])


def long_table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Blocks of a table of any length: what stands above its header as text, then pieces that each have the header.

    Rows too wide for a table are blocks of "column: value" lines. Empty rows and columns without any word are dropped.
    """
    kept = [row for row in ([_flat(cell) for cell in row] for row in rows) if any(row)]
    used = sorted({place for row in kept for place, cell in enumerate(row) if cell})
    filled = [[row[place] if place < len(row) else "" for place in used] for row in kept]
    start = _header_row(filled)
    yield from (" ".join(cell for cell in row if cell) for row in filled[:start])
    if start >= len(filled):
        return
    header, body = filled[start], filled[start + 1 :]
    if not body or len(used) < 2:
        yield markdown_table(filled[start:]) if len(used) > 1 else "\n".join(row[0] for row in filled[start:])
    elif sum(sum(map(len, row)) for row in body) / len(body) > _WIDE_ROW:
        yield from (_record(header, row) for row in body)
    else:
        yield from _pieces(header, body)


def _pieces(header: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    piece: list[Sequence[str]] = []
    length = 0
    for row in body:
        size = sum(map(len, row)) + 3 * len(row)
        if piece and length + size > _PIECE:
            yield markdown_table([header, *piece])
            piece, length = [], 0
        piece.append(row)
        length += size
    if piece:
        yield markdown_table([header, *piece])


def _header_row(rows: Sequence[Sequence[str]]) -> int:
    """The place of the header: the first row of the table's width; a title above it fills one cell or two."""
    if not rows:
        return 0
    width = max(sum(1 for cell in row if cell) for row in rows[:20])
    for place, row in enumerate(rows[:5]):
        if sum(1 for cell in row if cell) > max(1, width // 2):
            return place
    return 0


def _record(header: Sequence[str], row: Sequence[str]) -> str:
    named = (f"{name}: {cell}" if name else cell for name, cell in zip(header, row, strict=True) if cell)
    return "\n".join(f"- {each}" for each in named)


def _line(row: Sequence[str]) -> str:
    return f"| {' | '.join(_flat(cell).replace('|', chr(92) + '|') for cell in row)} |"


def _rule(columns: int) -> str:
    return f"|{' --- |' * columns}"


def _flat(cell: str) -> str:
    return " ".join(cell.split())
