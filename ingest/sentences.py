"""Prose to sentences, in any case and without a model: where a reader could stop."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A mark with closing quotes and white space behind it, a full-width mark, a line's end, or one written as the two
# characters \n, as text dumped from JSON or a program has them. Each alternative hangs on one fixed character, so that
# no run of any character is read twice.
_CANDIDATE = re.compile(
    r"(?<=[.!?…])[\"'”’)\]]{0,8}\s+(?=\S)"
    r"|(?<=[。！？])[」』）”’]{0,8}\s*(?=\S)"
    r"|\n(?=[ \t]{0,400}\S)"
    r"|(?<=[.!?])(?:\\n){1,8}(?=[^\\\s])|(?:\\n){2,8}(?=[^\\\s])"
)
# As many characters in front of a mark are looked at as the longest abbreviation has.
_LOOK_BACK = 14
_SHORTENED = (
    "al approx art ca capt cf ch co col corp dept dr ed eds eq eqs esp est etc ex fig figs gen gov hon inc jr lt ltd"
    " mr mrs ms mt no nos nr op pp prof ref refs rep rev sec sen sgt sr st vol vols vs"
)
_ABBREVIATIONS = frozenset(_SHORTENED.split())
_MARKS_AND_CLOSERS = frozenset(".!?…\"'”’)]")
# What is written small after a mark begins a sentence only behind a whole word or a number.
_WHOLE_WORD = 4


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, bool]]:
    """Where each sentence or line but the first begins in `text[start:end]`, in order; False where only a line ends.

    A line that ends within a sentence may be a wrapped one: cutting there is better than between any two words only.
    """
    for match in _CANDIDATE.finditer(text, start, end):
        ends = _ends(text, start, match.start(), match.end())
        if ends or "\n" in match.group():
            yield match.end(), ends


def _ends(text: str, first: int, mark: int, following: int) -> bool:
    """Whether the mark before `mark` ends a sentence, and not an abbreviation, an initial or a list's number."""
    if text[mark - 1] in "。！？" or text[mark] == "\\":
        return True
    if text[mark - 1] not in _MARKS_AND_CLOSERS:
        return False
    before = text[max(first, mark - _LOOK_BACK) : mark]
    word = before[max(before.rfind(" "), before.rfind("\n"), before.rfind("\t")) + 1 :].lstrip("(\"'“‘[")
    bare = word.rstrip(".!?…").lower()
    if word.endswith("."):
        if bare in _ABBREVIATIONS or "." in bare or (len(bare) == 1 and bare.isalpha()):
            return False
        if bare.isdigit() and len(bare) <= 2 and _begins(text, first, mark - len(word)):
            return False
    return not text[following].islower() or len(bare) >= _WHOLE_WORD


def _begins(text: str, first: int, position: int) -> bool:
    """Whether what stands there comes first in its sentence or line, as a list's number does."""
    before = text[max(first, position - 2) : position]
    return not before or before[-1] == "\n" or before[0] in ".!?…:;"
