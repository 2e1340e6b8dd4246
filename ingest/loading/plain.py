"""Plain text and source code, as they are."""

from __future__ import annotations

from ingest.loading.decoding import decode
from ingest.loading.interface import Limits, Loaded


def load_text(data: bytes, name: str, limits: Limits) -> Loaded:
    """The text in whatever encoding it was saved."""
    return Loaded(decode(data), format="text")


def load_code(data: bytes, name: str, limits: Limits) -> Loaded:
    """A program or a configuration: its lines mean something where they stand."""
    return Loaded(decode(data), format="code")


def load_markup(data: bytes, name: str, limits: Limits) -> Loaded:
    """reStructuredText, Org or AsciiDoc as Markdown."""
    from ingest.loading.converter import convert
    from ingest.loading.office import first_heading

    converted = convert(decode(data).encode(), name, limits)
    return Loaded(converted.text, converted.title or first_heading(converted.text), metadata=converted.metadata)
