"""Passages as retrieval would give them: some neighbouring sentences of a text, with a wanted span among them."""

from __future__ import annotations

import re
from random import Random

_END = re.compile(r"([.!?][\"'”’)\]]*)\s+(?=[\"'“‘(\[]?[A-Z0-9])|()\n\s*\n")


def sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence, without the white space between; what ends one is a guess (a full stop, white
    space and a capital or a digit, or an empty line)."""
    ends = [0]
    for match in _END.finditer(text):
        ends.append(match.end(1) if match.group(1) else match.start())
    found = []
    for start, end in zip(ends, [*ends[1:], len(text)], strict=True):
        part = text[start:end]
        if part.strip():
            found.append((start + len(part) - len(part.lstrip()), start + len(part.rstrip())))
    return found


def window(text: str, words: int, draw: Random, span: tuple[int, int] | None = None) -> tuple[int, int]:
    """Start and end of neighbouring sentences of about `words` words at most, those of the span among them whatever
    their length. Without a span they stand anywhere."""
    bounds = sentences(text)
    if not bounds:
        return 0, len(text)
    sizes = [len(text[start:end].split()) for start, end in bounds]
    if span is None:
        first = last = draw.randrange(len(bounds))
    else:
        first = max((each for each, (start, _) in enumerate(bounds) if start <= span[0]), default=0)
        last = max(
            first, min((each for each, (_, end) in enumerate(bounds) if end >= span[1]), default=len(bounds) - 1)
        )
    total = sum(sizes[first : last + 1])
    while True:
        ways = []
        if first > 0 and total + sizes[first - 1] <= words:
            ways.append(-1)
        if last + 1 < len(bounds) and total + sizes[last + 1] <= words:
            ways.append(1)
        if not ways:
            return bounds[first][0], bounds[last][1]
        if draw.choice(ways) < 0:
            first -= 1
            total += sizes[first]
        else:
            last += 1
            total += sizes[last]
