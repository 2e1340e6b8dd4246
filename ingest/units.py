"""A document's blocks to units that each fit into a chunk, sized by one pass of the tokenizer over the text."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ingest.blocks import Block, pieces, trimmed

# A tokenizer may take any run of letters, spaces or invisible characters for one token or none (WordPiece: [UNK]), so
# characters count too: this many are at least one token. Prose has about 4.
CHARACTERS_PER_TOKEN = 16

# Characters handed to the tokenizer at once: what it returns for them is some hundred bytes a token.
_WINDOW = 1 << 16


class TokenOffsets(Protocol):
    """The character span of each token of a text, special tokens left out."""

    def token_offsets(self, text: str) -> list[tuple[int, int]]: ...


class Break(IntEnum):
    """How good a place to cut is the one in front of a unit."""

    WORD = 0
    LINE = 1
    SENTENCE = 2
    BLOCK = 3
    SECTION = 4


@dataclass(frozen=True, slots=True)
class Unit:
    """A span that is not cut any more, under the headings `path`.

    `tokens` is at least 1. `header` is the span of the header row that its embedding repeats where a chunk begins here.
    """

    start: int
    end: int
    path: tuple[str, ...]
    before: Break
    tokens: int
    is_heading: bool = False
    header: tuple[int, int] | None = None


class Sizes:
    """Tokens of any span of one text: exact where a tokenizer splits at white space first, else near."""

    def __init__(self, text: str, tokens: TokenOffsets) -> None:
        self._ends = array("Q")
        for first, last in _windows(text):
            self._ends.extend(first + end for start, end in tokens.token_offsets(text[first:last]) if start < end)

    def of(self, start: int, end: int) -> int:
        """Tokens in `text[start:end]`, more where it has many characters a token, never 0."""
        ends = self._ends
        counted = bisect_right(ends, end) - bisect_right(ends, start)
        return max(counted, -(-(end - start) // CHARACTERS_PER_TOKEN), 1)

    def reach(self, start: int, room: int) -> int:
        """How far from `start` a span of at most `room` tokens goes."""
        last = bisect_right(self._ends, start) + room - 1
        longest = start + room * CHARACTERS_PER_TOKEN
        return min(longest, self._ends[last]) if last < len(self._ends) else longest


def units(text: str, blocks: Sequence[Block], sizes: Sizes, title: str, room: int) -> list[Unit]:
    """Sentences, items and rows in order, each of at most `room` tokens; a heading that says the title is no path."""
    found: list[Unit] = []
    path: tuple[str, ...] = ()
    for block in blocks:
        first = Break.SECTION if block.kind == "heading" or block.path != path else Break.BLOCK
        path = block.path
        headings = tuple(each for each in path if each and each != title)
        for start, end, whole in pieces(text, block):
            before = first or (Break.SENTENCE if whole else Break.LINE)
            first = Break.WORD
            header = block.header if block.header and start >= block.header[1] else None
            for number, (a, b) in enumerate(_cut(text, start, end, sizes, room)):
                kind = before if number == 0 else Break.WORD
                found.append(Unit(a, b, headings, kind, sizes.of(a, b), block.kind == "heading", header))
    return found


def _cut(text: str, start: int, end: int, sizes: Sizes, room: int) -> Iterator[tuple[int, int]]:
    """The span, or parts of it of at most `room` tokens, cut at a space where one is in a part's second half."""
    while sizes.of(start, end) > room:
        reach = sizes.reach(start, room)
        space = text.rfind(" ", start + (reach - start) // 2, reach + 1)
        middle = space if space > start else reach
        part = trimmed(text, start, middle)
        if part[0] < part[1]:
            yield part
        start = trimmed(text, middle, end)[0]
    if start < end:
        yield start, end


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """The text in parts, cut at white space where there is any in a part's second half."""
    start = 0
    while len(text) - start > _WINDOW:
        middle = start + _WINDOW // 2
        cut = max(text.rfind("\n", middle, start + _WINDOW), text.rfind(" ", middle, start + _WINDOW))
        cut = cut if cut > 0 else start + _WINDOW
        yield start, cut
        start = cut
    yield start, len(text)
