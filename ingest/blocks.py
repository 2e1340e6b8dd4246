"""A document's text to its blocks: headings, paragraphs, lists, tables, code. Spans count characters of the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markdown_it import MarkdownIt

from ingest.programs import parts
from ingest.sentences import sentences
from rag.schema import Document

Kind = Literal["heading", "prose", "lines"]

_BLANK_LINE = re.compile(r"\n[ \t]*\n\s*")
_LINE_END = re.compile(r"\n+")
_MAX_HEADING = 200

# Markdown tokens that are not prose: cut at line ends, not at sentences.
_LINE_TOKENS = frozenset(
    {"fence", "code_block", "table_open", "html_block", "bullet_list_open", "ordered_list_open", "dl_open"}
)


@dataclass(frozen=True, slots=True)
class Block:
    """A span of the text and the headings above it; a heading stands in its own path.

    `header` is the span of a table's header row, which its later rows cannot be read without.
    """

    kind: Kind
    start: int
    end: int
    path: tuple[str, ...] = ()
    header: tuple[int, int] | None = None


def blocks(document: Document) -> list[Block]:
    """The document's blocks in order, not overlapping. White space between them belongs to none."""
    text = document.text
    if document.format == "markdown":
        return list(_markdown_blocks(text))
    if document.format == "code":
        spans = ((*trimmed(text, part.start, part.end), part.path) for part in parts(text))
        return [Block("lines", start, end, path) for start, end, path in spans]
    return [Block("prose", *span) for span in between(text, [m.end() for m in _BLANK_LINE.finditer(text)])]


def _markdown_blocks(text: str) -> Iterator[Block]:
    parser = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table").disable("inline")
    starts = [0, *(match.end() for match in re.finditer("\n", text)), len(text)]
    tokens = parser.parse(text)
    open_headings: list[tuple[int, str]] = []
    path: tuple[str, ...] = ()
    for position, token in enumerate(tokens):
        if token.level != 0 or token.map is None:
            continue
        first, last = (min(line, len(starts) - 1) for line in token.map)
        start, end = trimmed(text, starts[first], starts[last])
        if start >= end:
            continue
        if token.type == "heading_open":
            words = tokens[position + 1].content if position + 1 < len(tokens) else ""
            level = int(token.tag[1])
            open_headings = [each for each in open_headings if each[0] < level] + [(level, _plain(words))]
            path = tuple(each for _, each in open_headings)
            yield Block("heading", start, end, path)
        elif token.type == "table_open":
            yield Block("lines", start, end, path, trimmed(text, start, starts[min(first + 2, last)]))
        else:
            yield Block("lines" if token.type in _LINE_TOKENS else "prose", start, end, path)


def _plain(heading: str) -> str:
    """A heading's words without Markdown's marks, at most _MAX_HEADING characters: they are stored with each chunk."""
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[: 4 * _MAX_HEADING])
    return " ".join(re.sub(r"[`*]|(?<!\w)_|_(?!\w)", "", heading).split())[:_MAX_HEADING].rstrip()


def pieces(text: str, block: Block) -> list[tuple[int, int, bool]]:
    """The block cut at sentence ends (prose) or line ends (code, lists, tables); spans cover all its visible text.

    The third of each says whether it begins a sentence or an item, rather than a wrapped line.
    """
    if block.kind == "lines":
        cuts = [(match.end(), True) for match in _LINE_END.finditer(text, block.start, block.end)]
    else:
        cuts = list(sentences(text, block.start, block.end))
    begins = [True, *(whole for _, whole in cuts)]
    edges = [block.start, *(cut for cut, _ in cuts), block.end]
    spans = ((*trimmed(text, a, b), whole) for (a, b), whole in zip(pairwise(edges), begins, strict=True))
    return [each for each in spans if each[0] < each[1]]


def between(text: str, cuts: list[int], first: int = 0, last: int | None = None) -> list[tuple[int, int]]:
    """The spans between the cuts, without white space around them; empty ones are left out."""
    edges = [first, *cuts, len(text) if last is None else last]
    spans = (trimmed(text, start, end) for start, end in pairwise(edges))
    return [(start, end) for start, end in spans if start < end]


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    piece = text[start:end]
    end = start + len(piece.rstrip())
    return min(start + len(piece) - len(piece.lstrip()), end), end
