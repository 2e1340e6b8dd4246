"""The one call that reads a document: finds its loader, holds it to the limits, and turns every failure into words."""

from __future__ import annotations

import re
from dataclasses import replace

from ingest.loading.errors import Damaged, EmptyDocument, too_many_characters, too_many_pages
from ingest.loading.formats import loader_of
from ingest.loading.interface import Limits, Loaded
from ingest.loading.titles import clean_title
from rag.errors import SourceError

_DEFAULT = Limits()
_SURROGATE = re.compile("[\ud800-\udfff]")


def load(name: str, data: bytes, limits: Limits = _DEFAULT) -> Loaded:
    """The text of a document of this file name (its suffix tells the format).

    `title` is one short line, None where the document gives none; `text` holds no carriage return, no NUL and no lone
    surrogate, and is not blank.

    Raises EmptyDocument, NeedsOcr, Encrypted, Unsupported, TooLarge or Damaged, each a SourceError that says why there
    is no text, and MemoryError. No other exception leaves it.
    """
    loader = loader_of(name)
    try:
        loaded = loader(data, name, limits)
    except SourceError:
        raise
    except RecursionError:
        raise Damaged("its elements are nested too deeply to be read.") from None
    except MemoryError:
        raise  # whoever set the limit on memory knows it and names it
    except Exception as error:  # whatever a parser makes of broken bytes, one document must not stop a job
        raise Damaged(f"it is damaged or not what its name says ({_reason(error)}).") from None
    return _checked(loaded, limits)


def _checked(loaded: Loaded, limits: Limits) -> Loaded:
    """The text in the shape that is promised: replacements are one character for one, so that pages stay right."""
    if len(loaded.text) > limits.characters:
        raise too_many_characters(limits.characters)
    if len(loaded.pages) > limits.pages:
        raise too_many_pages(len(loaded.pages), limits.pages)
    if not loaded.text.strip():
        raise EmptyDocument("it holds no text.")
    text = loaded.text.replace("\0", " ").replace("\r", "\n")
    if not text.isascii():
        text = _SURROGATE.sub("?", text)
    return replace(loaded, text=text, title=clean_title(loaded.title) or None)


def _reason(error: Exception) -> str:
    return clean_title(f"{type(error).__name__}: {error}").rstrip(".:")
