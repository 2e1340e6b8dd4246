"""The text by which models know a passage: encoders, rerankers and what is trained for them read the same."""

from __future__ import annotations

from collections.abc import Sequence


def embedded_text(title: str, headings: Sequence[str], text: str) -> str:
    """Where a passage stands, then what it says."""
    prefix = " > ".join(dict.fromkeys(each for each in (title, *headings) if each))
    return f"{prefix}\n{text}" if prefix else text
