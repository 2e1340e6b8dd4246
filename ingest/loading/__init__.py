"""Bytes to text. One loader a family of formats, behind one call; what cannot be read is a typed error, never garbage.

`load` is the call, `formats.py` says which loader reads which file. A loader is a function of the shape of
`interface.Loader`; it imports the library that it needs when it is first called.
"""

from __future__ import annotations

from ingest.loading.errors import Damaged, EmptyDocument, Encrypted, NeedsOcr, TooLarge, Unsupported
from ingest.loading.formats import SUPPORTED, supports
from ingest.loading.interface import Limits, Loaded, Loader
from ingest.loading.reading import load
from ingest.loading.titles import clean_title, title_from_path

# Part of every content hash: raise it when a loader's output changes, and documents are read anew.
LOADER_VERSION = "3"

__all__ = [
    "LOADER_VERSION",
    "SUPPORTED",
    "Damaged",
    "EmptyDocument",
    "Encrypted",
    "Limits",
    "Loaded",
    "Loader",
    "NeedsOcr",
    "TooLarge",
    "Unsupported",
    "clean_title",
    "load",
    "supports",
    "title_from_path",
]
