"""What a loader is: bytes of one format in, text with its structure out. Swappable; knows no source and no index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rag.schema import Format


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one document may cost; a loader raises SourceError, naming the limit's setting, beyond it.

    `pages` counts pages, slides or sheets; `characters` those of the text that comes out; `expansion` how many times
    its packed size a compressed format may unpack to. Seconds and memory are held by the worker process, not here.
    """

    pages: int = 5000
    characters: int = 50_000_000
    expansion: int = 200


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document's text, as its format told it.

    `pages[i]` is the character of `text` at which page i + 1 starts; empty where the format has no pages. `metadata`
    is what the document says of itself (author, date, language, …), short strings only.
    """

    text: str
    title: str | None = None
    format: Format = "markdown"
    pages: tuple[int, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


class Loader(Protocol):
    """Reads one family of formats."""

    def __call__(self, data: bytes, name: str, limits: Limits) -> Loaded:
        """The text of a document of this file name.

        Raises EmptyDocument where it holds none, NeedsOcr where it holds pictures of text, Encrypted where it needs a
        password, else SourceError: one sentence that says what is wrong with the document and what to do.
        """
        ...
