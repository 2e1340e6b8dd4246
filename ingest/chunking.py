"""Documents to chunks, by structure: sections first, then paragraphs, then sentences, then words.

A chunk is sized in the encoder's own tokens, counted over exactly what is embedded (title and heading path before the
text), so the encoder never cuts anything silently. Its text is a span of the document, so a citation can be checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from ingest.blocks import Block, blocks, pieces, trimmed
from rag.schema import Chunk, Document

CHUNKER = "structure-1"

# Sections shorter than this share of a chunk are joined with the next one: alone they say too little.
SMALL_SHARE = 0.3

# The title and headings may take this share of a chunk; longer ones are cut, from the document's title down.
PREFIX_SHARE = 0.3

# A tokenizer may take any run of letters, spaces or invisible characters for one token or none (WordPiece: [UNK]), so
# characters count too: this many are at least one token. Prose has about 4.
CHARACTERS_PER_TOKEN = 16


class TokenCounts(Protocol):
    """What chunking asks of an encoder: counts include special tokens, offsets leave them out."""

    def token_counts(self, texts: Sequence[str]) -> list[int]: ...

    def token_offsets(self, text: str) -> list[tuple[int, int]]: ...


@dataclass(frozen=True, slots=True)
class _Unit:
    """An indivisible span of at most one chunk's size, with the headings above it."""

    start: int
    end: int
    headings: tuple[str, ...]
    tokens: int


def chunker_name(max_tokens: int) -> str:
    """What a collection records of its chunker: another name means other chunks."""
    return f"{CHUNKER}:{max_tokens}"


def embedded_text(title: str, headings: Sequence[str], text: str) -> str:
    """What is encoded for a chunk: where it stands, then what it says."""
    prefix = " > ".join(dict.fromkeys(each for each in (title, *headings) if each))
    return f"{prefix}\n{text}" if prefix else text


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk and the text that is encoded for it."""

    chunk: Chunk
    embedded: str


def chunk(document: Document, encoder: TokenCounts, max_tokens: int) -> list[Prepared]:
    """The document's chunks in order; what is embedded of each has at most `max_tokens` tokens.

    Together they cover every visible character of the text once.
    """
    spans = _pack(_units(document, encoder, max_tokens), max_tokens, encoder, document.title)
    embedded = [embedded_text(document.title, headings, document.text[a:b]) for a, b, headings in spans]
    fitted: list[tuple[int, int, tuple[str, ...], str]] = []
    for (start, end, headings), text, tokens in zip(spans, embedded, encoder.token_counts(embedded), strict=True):
        if tokens <= max_tokens:
            fitted.append((start, end, headings, text))
        else:
            prefix = fitting_prefix(document.title, headings, encoder, max_tokens)
            halves = _halved(document.text, start, end, prefix, encoder, max_tokens)
            fitted += [(a, b, headings, half) for a, b, half in halves]
    return [
        Prepared(Chunk(ordinal, document.text[start:end], start, end, headings), text)
        for ordinal, (start, end, headings, text) in enumerate(fitted)
    ]


def _units(document: Document, encoder: TokenCounts, max_tokens: int) -> list[_Unit]:
    """Blocks, cut further where one alone would not fit beside its prefix."""
    text = document.text
    room = _room(max_tokens)
    path: list[tuple[int, str]] = []
    spans: list[tuple[int, int, tuple[str, ...]]] = []
    found = blocks(document)
    sizes = _sizes(encoder, [text[each.start : each.end] for each in found], room)
    for block, tokens in zip(found, sizes, strict=True):
        if block.kind == "heading":
            path = [each for each in path if each[0] < block.level] + [(block.level, block.title)]
        headings = tuple(each[1] for each in path if each[1] and each[1] != document.title)
        if tokens <= room:
            spans.append((block.start, block.end, headings))
        else:
            spans += [(start, end, headings) for start, end in _cut(text, block, encoder, room)]
    sizes = _sizes(encoder, [text[start:end] for start, end, _ in spans], room)
    return [_Unit(*span, tokens) for span, tokens in zip(spans, sizes, strict=True)]


def _cut(text: str, block: Block, encoder: TokenCounts, room: int) -> list[tuple[int, int]]:
    """A block that is too long: its sentences or lines, and words where one of those is too long itself."""
    spans = pieces(text, block)
    cut: list[tuple[int, int]] = []
    for (start, end), tokens in zip(spans, _sizes(encoder, [text[a:b] for a, b in spans], room), strict=True):
        if tokens <= room:
            cut.append((start, end))
            continue
        for first, last in _windows(text, start, end, room * CHARACTERS_PER_TOKEN):
            offsets = [each for each in encoder.token_offsets(text[first:last]) if each[0] < each[1]]
            firsts = [first, *(first + offsets[index][0] for index in range(room, len(offsets), room)), last]
            cut += [trimmed(text, a, b) for a, b in pairwise(sorted(set(firsts))) if text[a:b].strip()]
    return cut


def _windows(text: str, start: int, end: int, characters: int) -> Iterator[tuple[int, int]]:
    """The span in parts of at most so many characters, cut at a space where there is one in a part's second half."""
    while end - start > characters:
        space = text.rfind(" ", start + characters // 2, start + characters)
        middle = space if space > 0 else start + characters
        yield start, middle
        start = middle
    yield start, end


def _pack(
    units: Sequence[_Unit], max_tokens: int, encoder: TokenCounts, title: str
) -> list[tuple[int, int, tuple[str, ...]]]:
    """Join neighbours greedily: within a section while they fit, over its end while the chunk is still small."""
    prefix_tokens = _prefix_counts(units, encoder, title)
    packed: list[tuple[int, int, tuple[str, ...]]] = []
    current: list[_Unit] = []
    size = 0
    for unit in units:
        same_section = not current or unit.headings == current[-1].headings
        limit = max_tokens - 2 - min(prefix_tokens[unit.headings], int(max_tokens * PREFIX_SHARE))
        small = size < max_tokens * SMALL_SHARE
        if current:  # blank lines and link definitions between the two
            size += (unit.start - current[-1].end) // CHARACTERS_PER_TOKEN
        if current and (size + unit.tokens > limit or not (same_section or small)):
            packed.append(_joined(current))
            current, size = [], 0
        current.append(unit)
        size += unit.tokens
    if current:
        packed.append(_joined(current))
    return packed


def _prefix_counts(units: Sequence[_Unit], encoder: TokenCounts, title: str) -> dict[tuple[str, ...], int]:
    paths = list(dict.fromkeys(each.headings for each in units))
    special = encoder.token_counts([""])[0]
    counts = encoder.token_counts([embedded_text(title, each, "") for each in paths])
    return {path: count - special for path, count in zip(paths, counts, strict=True)}


def _joined(units: Sequence[_Unit]) -> tuple[int, int, tuple[str, ...]]:
    """One span over the units, under the headings that all of them share."""
    shared = units[0].headings
    for unit in units[1:]:
        common = 0
        while common < min(len(shared), len(unit.headings)) and shared[common] == unit.headings[common]:
            common += 1
        shared = shared[:common]
    return units[0].start, units[-1].end, shared


def _halved(
    text: str, start: int, end: int, prefix: tuple[str, tuple[str, ...]], encoder: TokenCounts, max_tokens: int
) -> list[tuple[int, int, str]]:
    """The span, or halves of it until what is embedded fits: counts of parts need not add up in every tokenizer."""
    embedded = embedded_text(*prefix, text[start:end])
    if encoder.token_counts([embedded])[0] <= max_tokens or end - start < 2:
        return [(start, end, embedded)]
    space = text.rfind(" ", start + 1, (start + end) // 2 + 1)
    middle = space if space > 0 else (start + end) // 2
    return [
        part
        for a, b in ((start, middle), (middle, end))
        if text[a:b].strip()
        for part in _halved(text, *trimmed(text, a, b), prefix, encoder, max_tokens)
    ]


def fitting_prefix(
    title: str, headings: tuple[str, ...], encoder: TokenCounts, max_tokens: int
) -> tuple[str, tuple[str, ...]]:
    """Title and headings, shortened where they would take more than their share: the title first, then the top ones."""
    share = int(max_tokens * PREFIX_SHARE)
    while encoder.token_counts([embedded_text(title, headings, "")])[0] > share and (title or headings):
        if len(headings) > 1:
            headings = headings[1:]
        elif len(title) > 40:
            title = title[: len(title) // 2]
        elif title and headings:
            title = ""
        elif headings:
            headings = tuple(each[: len(each) // 2] for each in headings if len(each) > 1)
        else:
            title = title[: len(title) // 2]
    return title, headings


def _room(max_tokens: int) -> int:
    """Tokens that a text may have beside the longest prefix and the special tokens."""
    return max_tokens - int(max_tokens * PREFIX_SHARE) - 4


def _sizes(encoder: TokenCounts, texts: Sequence[str], room: int) -> list[int]:
    """Tokens without the special ones, or more where a text has many characters a token.

    What has too many characters to fit is not tokenized: its tokens are more than `room`, how many is all the same.
    """
    longest = room * CHARACTERS_PER_TOKEN
    empty, *counts = encoder.token_counts(["", *(each if len(each) <= longest else "" for each in texts)])
    return [
        max(tokens - empty, -(-len(text) // CHARACTERS_PER_TOKEN)) for tokens, text in zip(counts, texts, strict=True)
    ]
