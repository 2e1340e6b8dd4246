"""Texts as they are compared: normalised answers, and the statements that an answer makes."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rag.citations import content_words
from rag.schema import Citation

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)
# Stands for each character of a citation's marker: private use, so no answer holds it.
_HOLE = "\ue000"
_END = re.compile(rf"(?:[.!?…]+[\"'”’)*_`]*|\n)[ \t{_HOLE}]*")


def normalised(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces.

    Source: Rajpurkar et al., SQuAD, EMNLP 2016, and its evaluation script (v1.1), `normalize_answer`.
    """
    bare = "".join(each for each in text.lower() if each not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(answer: str, gold: Sequence[str]) -> float:
    """1.0 where the normalised answer is one of the normalised gold answers, else 0.0. Source: as `normalised`."""
    return float(normalised(answer) in {normalised(each) for each in gold})


def token_f1(answer: str, gold: Sequence[str]) -> float:
    """The best, over the gold answers, of F1 = 2PR / (P + R) of the bags of normalised words that both have.

    P is the shared words' share of the answer's words, R of the gold answer's. Source: as `normalised`.
    """
    return max((_f1(normalised(answer).split(), normalised(each).split()) for each in gold), default=0.0)


def contains(text: str, gold: Sequence[str]) -> bool:
    """Whether a gold answer stands, normalised and as whole words, in the normalised text.

    Source: `exact match recall` (STR-EM) of ALCE, Gao et al., EMNLP 2023, after Stelmakh et al., ASQA, EMNLP 2022.
    """
    padded = f" {normalised(text)} "
    return any(found and f" {found} " in padded for found in map(normalised, gold))


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of an answer, without its markers, and the numbers of the passages that it cites."""

    text: str
    cited: tuple[int, ...]


def without_markers(text: str, citations: Sequence[Citation]) -> str:
    """The answer's own words."""
    return " ".join(_masked(text, citations).replace(_HOLE, " ").split())


def statements(text: str, citations: Sequence[Citation]) -> list[Statement]:
    """The answer's sentences that have a word of content, each with its citations: those in it, and those behind its
    full stop."""
    masked = _masked(text, citations)
    found: list[Statement] = []
    start = 0
    for end in [*_ends(masked), len(masked)]:
        words = " ".join(masked[start:end].replace(_HOLE, " ").split())
        cited = tuple(dict.fromkeys(each.number for each in citations if start <= each.start < end))
        start = end
        if content_words(words):
            found.append(Statement(words, cited))
        elif cited and found:  # markers alone on the next line are still the sentence's
            found[-1] = Statement(found[-1].text, tuple(dict.fromkeys((*found[-1].cited, *cited))))
    return found


def _masked(text: str, citations: Sequence[Citation]) -> str:
    characters = list(text.replace(_HOLE, " "))
    for each in citations:
        characters[each.start : each.end] = _HOLE * (min(each.end, len(text)) - each.start)
    return "".join(characters)


def _ends(masked: str) -> list[int]:
    """Where sentences end: behind a full stop that white space follows, and at line breaks."""
    found = []
    for match in _END.finditer(masked):
        end = match.end()
        if match[0][0] == "\n" or match[0][-1] in f" \t{_HOLE}" or end == len(masked) or masked[end].isspace():
            found.append(end)
    return found


def _f1(answer: list[str], gold: list[str]) -> float:
    shared = sum((Counter(answer) & Counter(gold)).values())
    if not answer or not gold:
        return float(answer == gold)
    return 2 * shared / (len(answer) + len(gold))
