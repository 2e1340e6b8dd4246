"""Documents to chunks, by structure: sections first, then blocks, then sentences or lines, then words.

A chunk is sized in the encoder's own tokens, counted over exactly what is embedded (title and heading path before the
text), so the encoder never cuts anything silently. Its text is a span of the document, so a citation can be checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingest.blocks import blocks, trimmed
from ingest.packing import Span, pack
from ingest.units import CHARACTERS_PER_TOKEN, Sizes, Unit, units
from rag.embedded import embedded_text
from rag.schema import Chunk, Document

__all__ = [
    "CHARACTERS_PER_TOKEN",
    "CHUNKER",
    "DEFAULT_CHUNK_TOKENS",
    "Prepared",
    "TokenCounts",
    "chunk",
    "chunker_name",
    "embedded_text",
]

CHUNKER = "structure-2"

# Small enough that a vector says one thing: of 64, 96, 128 and 256, benchmarks/chunking.py finds this one best where a
# hit is shown with the chunk after it.
DEFAULT_CHUNK_TOKENS = 96

# The title and headings may take this share of a chunk; longer ones are cut. A table's header row is repeated where it
# fits into the share beside them.
PREFIX_SHARE = 0.3

# Up to this share of a chunk the count of a span that begins and ends at white space is taken on trust. Where a
# tokenizer splits at white space first, such counts are exact; the rest is for those that do not quite.
TRUSTED_FILL = 0.85

# Line ends between prefix, header row and text, and tokens that come to be where two parts meet.
_SLACK = 2


class TokenCounts(Protocol):
    """What chunking asks of an encoder: counts include special tokens, offsets leave them out."""

    def token_counts(self, texts: Sequence[str]) -> list[int]: ...

    def token_offsets(self, text: str) -> list[tuple[int, int]]: ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk and the text that is encoded for it."""

    chunk: Chunk
    embedded: str


def chunker_name(max_tokens: int) -> str:
    """What a collection records of its chunker: another name means other chunks."""
    return f"{CHUNKER}:{max_tokens}"


def chunk(document: Document, tokens: TokenCounts, max_tokens: int) -> list[Prepared]:
    """The document's chunks in order; what is embedded of each has at most `max_tokens` tokens.

    Together they cover every visible character of the text once. Source code is cut at its lines, Markdown and plain
    text at their sentences; where a chunk begins within a table, what is embedded of it repeats the header row.
    """
    text = document.text
    sizes = Sizes(text, tokens)
    prefixes = _Prefixes(document.title, tokens, max_tokens)
    found = units(text, blocks(document), sizes, document.title, max_tokens - prefixes.share - prefixes.special)
    prefixes.count(each.path for each in found)

    def header_of(each: Unit | Span) -> int:
        size = sizes.of(*each.header) if each.header else 0
        return size if prefixes.of(each.path).tokens + size <= prefixes.share else 0

    spans = pack(found, lambda unit: prefixes.room(unit.path) - header_of(unit))
    embedded = [prefixes.of(each.path).before(_read(text, each, header_of(each) > 0)) for each in spans]
    prepared: list[Prepared] = []
    trusted = (max_tokens * TRUSTED_FILL) - prefixes.special
    doubtful = {
        number
        for number, each in enumerate(spans)
        if sizes.of(each.start, each.end) + header_of(each) + prefixes.of(each.path).tokens > trusted
        or not _between_spaces(text, each)
    }
    counts = iter(tokens.token_counts([embedded[each] for each in sorted(doubtful)]) if doubtful else [])
    for number, (span, whole) in enumerate(zip(spans, embedded, strict=True)):
        fits = [(span.start, span.end, whole)]
        if number in doubtful and next(counts) > max_tokens:
            fits = _halved(text, span.start, span.end, prefixes.of(span.path), tokens, max_tokens)
        for start, end, each in fits:
            prepared.append(Prepared(Chunk(len(prepared), text[start:end], start, end, span.path), each))
    return prepared


@dataclass(frozen=True, slots=True)
class _Prefix:
    """What stands before a chunk's text in its embedding, and its tokens without the special ones."""

    title: str
    headings: tuple[str, ...]
    tokens: int

    def before(self, text: str) -> str:
        return embedded_text(self.title, self.headings, text)


class _Prefixes:
    """The prefix of each heading path of one document, none longer than its share of a chunk."""

    def __init__(self, title: str, tokens: TokenCounts, max_tokens: int) -> None:
        self.share = int(max_tokens * PREFIX_SHARE)
        self.special = tokens.token_counts([""])[0] + _SLACK
        self._title, self._tokens, self._max_tokens = title, tokens, max_tokens
        self._known: dict[tuple[str, ...], _Prefix] = {}

    def count(self, paths: Iterable[tuple[str, ...]]) -> None:
        """Size the prefixes of all these paths in one call to the tokenizer."""
        new = [each for each in dict.fromkeys(paths) if each not in self._known]
        counts = self._tokens.token_counts([embedded_text(self._title, each, "") for each in new]) if new else []
        for path, tokens in zip(new, counts, strict=True):
            title, headings = self._title, path
            if tokens > self.share:
                title, headings = _fitting(title, path, self._tokens, self.share)
                tokens = self._tokens.token_counts([embedded_text(title, headings, "")])[0]
            self._known[path] = _Prefix(title, headings, tokens + _SLACK - self.special)

    def of(self, path: tuple[str, ...]) -> _Prefix:
        """The prefix of a path, which may be one that sections joined in a chunk share."""
        if path not in self._known:
            self.count([path])
        return self._known[path]

    def room(self, path: tuple[str, ...]) -> int:
        """Tokens that a text may have beside the prefix and the special tokens."""
        return self._max_tokens - self.special - self.of(path).tokens


def _read(text: str, span: Span, with_header: bool) -> str:
    """A chunk's text, below the header row of a table that began in an earlier chunk."""
    if span.header and with_header:
        return f"{text[span.header[0] : span.header[1]]}\n{text[span.start : span.end]}"
    return text[span.start : span.end]


def _between_spaces(text: str, span: Span) -> bool:
    """Whether the span cuts no word."""
    before, after = text[max(0, span.start - 1) : span.start], text[span.end : span.end + 1]
    return (not before or before.isspace()) and (not after or after.isspace())


def _halved(
    text: str, start: int, end: int, prefix: _Prefix, tokens: TokenCounts, max_tokens: int
) -> list[tuple[int, int, str]]:
    """The span, or halves of it until what is embedded fits: counts of parts need not add up in every tokenizer."""
    embedded = prefix.before(text[start:end])
    if tokens.token_counts([embedded])[0] <= max_tokens or end - start < 2:
        return [(start, end, embedded)]
    space = text.rfind(" ", start + 1, (start + end) // 2 + 1)
    middle = space if space > 0 else (start + end) // 2
    return [
        part
        for a, b in ((start, middle), (middle, end))
        if text[a:b].strip()
        for part in _halved(text, *trimmed(text, a, b), prefix, tokens, max_tokens)
    ]


def _fitting(title: str, headings: tuple[str, ...], tokens: TokenCounts, share: int) -> tuple[str, tuple[str, ...]]:
    """Title and headings, shortened where they would take more than their share: the top headings, then the title."""
    while tokens.token_counts([embedded_text(title, headings, "")])[0] > share and (title or headings):
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
