"""Texts of pages, slides or sheets as one text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence


def joined_pages(texts: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """The pages' texts as one, and the character at which each starts; a page without text starts with the next."""
    parts = [f"{text.strip()}\n\n" if text.strip() else "" for text in texts]
    starts = tuple(itertools.accumulate((len(part) for part in parts[:-1]), initial=0)) if parts else ()
    return "".join(parts), starts
