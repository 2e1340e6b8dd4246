"""A document's text to its blocks: headings, paragraphs, lists, tables, code. Spans count characters of the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markdown_it import MarkdownIt

from rag.schema import Document

Kind = Literal["heading", "paragraph", "lines"]

_BLANK_LINE = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[^\sa-z])|\n(?=[ \t]*\S)")
_LINE_END = re.compile(r"\n+")
_MAX_HEADING = 200

# Markdown tokens that are not prose: cut at line ends, not at sentences.
_LINE_TOKENS = frozenset(
    {"fence", "code_block", "table_open", "html_block", "bullet_list_open", "ordered_list_open", "dl_open"}
)


@dataclass(frozen=True, slots=True)
class Block:
    """`level` is a heading's depth (1 to 6), else 0; `title` its words."""

    kind: Kind
    start: int
    end: int
    level: int = 0
    title: str = ""


def blocks(document: Document) -> list[Block]:
    """The document's blocks in order, not overlapping. White space between them belongs to none."""
    if document.format == "markdown":
        return list(_markdown_blocks(document.text))
    return [Block("paragraph", *span) for span in _between(document.text, _BLANK_LINE, 0, len(document.text))]


def _markdown_blocks(text: str) -> Iterator[Block]:
    parser = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table").disable("inline")
    starts = [0, *(match.end() for match in re.finditer("\n", text)), len(text)]
    tokens = parser.parse(text)
    for position, token in enumerate(tokens):
        if token.level != 0 or token.map is None:
            continue
        start, end = starts[min(token.map[0], len(starts) - 1)], starts[min(token.map[1], len(starts) - 1)]
        start, end = trimmed(text, start, end)
        if start >= end:
            continue
        if token.type == "heading_open":
            words = tokens[position + 1].content if position + 1 < len(tokens) else ""
            yield Block("heading", start, end, int(token.tag[1]), _plain(words))
        elif token.type in _LINE_TOKENS:
            yield Block("lines", start, end)
        else:
            yield Block("paragraph", start, end)


def _plain(heading: str) -> str:
    """A heading's words without Markdown's marks, at most _MAX_HEADING characters: they are stored with each chunk."""
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[: 4 * _MAX_HEADING])
    return " ".join(re.sub(r"[`*]|(?<!\w)_|_(?!\w)", "", heading).split())[:_MAX_HEADING].rstrip()


def pieces(text: str, block: Block) -> list[tuple[int, int]]:
    """The block cut at sentence ends (prose) or line ends (code, lists, tables); spans cover all its visible text."""
    return _between(text, _LINE_END if block.kind == "lines" else _SENTENCE_END, block.start, block.end)


def _between(text: str, boundary: re.Pattern[str], first: int, last: int) -> list[tuple[int, int]]:
    """The spans between the boundaries' ends, without white space around them; empty ones are left out."""
    cuts = [first, *(match.end() for match in boundary.finditer(text, first, last)), last]
    return [trimmed(text, start, end) for start, end in pairwise(cuts) if text[start:end].strip()]


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
