"""Passages that say again what another one says: a prompt pays for nothing twice.

Two passages are compared by their shingles (sets of runs of three words, S) and the containment of A in B,
|S(A) & S(B)| / |S(A)|: Broder, "On the resemblance and containment of documents", SEQUENCES 1997. Versions of one page
differ in a number or a "not" first, so nearly the same is not enough where those differ.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from rag.prompt import neutralise
from rag.schema import Passage

SHINGLE_WORDS = 3
# In a chunk of 70 words: two words that stand apart may differ, or five in a row.
CONTAINED = 0.9
# Below so many words only the same text is a repetition: "Yes." means what the heading above it asks.
LEAST_WORDS = 8
# A shingle that so many passages have is boilerplate; what it leads to is not looked at any further.
MOST_PASSAGES = 64

# Scripts that put no space between words: each character is taken for one.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[-+]?\d+(?:[.,:]\d+)*|[^\W_{_UNSPACED}]+(?:['’][^\W_{_UNSPACED}]+)*|[<>]=?|[!=]=")
_DIGIT = re.compile(r"[\d<>=]")
_NEGATION_WORDS = """
not no never none without neither nor cannot nicht kein keine nie ohne ne pas jamais sans nunca sin 不 没 無 无 未
"""
_NEGATIONS = frozenset(_NEGATION_WORDS.split())


@dataclass(frozen=True, slots=True)
class Print:
    """What a text is compared by.

    `key` is equal for texts that differ in case and white space only, `line` is its words with a space around each,
    `numbers` and `negations` are what two versions of one statement differ in.
    """

    key: str
    line: str
    size: int
    shingles: frozenset[str]
    numbers: Counter[str]
    negations: Counter[str]


def fingerprint(text: str) -> Print:
    """The print of a text as the model would read it: what hides in it invisibly makes no difference."""
    plain = neutralise(text).casefold()
    words = _WORD.findall(plain)
    runs = range(max(1, len(words) - SHINGLE_WORDS + 1))
    return Print(
        key=" ".join(plain.split()),
        line=f" {' '.join(words)} ",
        size=len(words),
        shingles=frozenset(" ".join(words[each : each + SHINGLE_WORDS]) for each in runs),
        numbers=Counter(each for each in words if _DIGIT.search(each)),
        negations=Counter(each for each in words if each in _NEGATIONS or each.endswith(("n't", "n’t"))),
    )


How = Literal["same text as", "part of", "nearly the same as"]


@dataclass(frozen=True, slots=True)
class Repetition:
    """`passage` is left out; `of` says what it says."""

    passage: Passage
    of: Passage
    how: How


def without_repetitions(
    passages: Sequence[Passage], prints: Callable[[str], Print] = fingerprint
) -> tuple[list[Passage], list[Repetition]]:
    """The passages, best first as they came, without those that another one repeats or holds; and what was left out.

    Of two that say the same the better ranked stays. One that holds a better ranked one whole takes its place and
    score. Work grows with the number of words, and of passages that share some (at most 64 for each shingle).
    """
    kept = _Kept()
    left_out: list[Repetition] = []
    for place, passage in enumerate(passages):
        own = prints(passage.text)
        found = kept.like(own)
        if over := next(((each, how) for each in found if (how := _how(own, each.print))), None):
            left_out.append(Repetition(passage, over[0].passage, over[1]))
            continue
        entry = _Entry(passage, own, place)
        for under in found:
            if how := _how(under.print, own):
                left_out.append(Repetition(under.passage, passage, how))
                entry.place = min(entry.place, under.place)
                entry.passage = replace(entry.passage, score=max(entry.passage.score, under.passage.score))
                kept.remove(under)
        kept.add(entry)
    return kept.passages(), left_out


@dataclass(slots=True, eq=False)
class _Entry:
    passage: Passage
    print: Print
    place: int
    there: bool = True


@dataclass(slots=True)
class _Kept:
    """The passages kept so far, found again by what they say."""

    by_key: dict[str, _Entry] = field(default_factory=dict)
    by_shingle: defaultdict[str, list[_Entry]] = field(default_factory=lambda: defaultdict(list))

    def like(self, own: Print) -> list[_Entry]:
        """Those that may hold the text or be held by it, best first."""
        if same := self.by_key.get(own.key):
            return [same]
        if own.size < LEAST_WORDS:
            return []
        shared = Counter(each for shingle in own.shingles for each in self.by_shingle.get(shingle, ()) if each.there)
        least = {each: CONTAINED * min(len(own.shingles), len(each.print.shingles)) for each in shared}
        return sorted((each for each in shared if shared[each] >= least[each]), key=lambda each: each.place)

    def add(self, entry: _Entry) -> None:
        self.by_key[entry.print.key] = entry
        if entry.print.size >= LEAST_WORDS:
            for shingle in entry.print.shingles:
                holders = self.by_shingle[shingle]
                if len(holders) < MOST_PASSAGES:
                    holders.append(entry)

    def remove(self, entry: _Entry) -> None:
        entry.there = False
        del self.by_key[entry.print.key]

    def passages(self) -> list[Passage]:
        return [each.passage for each in sorted(self.by_key.values(), key=lambda each: each.place)]


def _how(inner: Print, outer: Print) -> How | None:
    """How the outer text makes the inner one needless, or None where it does not."""
    if inner.key == outer.key:
        return "same text as"
    if min(inner.size, outer.size) < LEAST_WORDS:
        return None
    if inner.line in outer.line:
        return "part of"
    if len(inner.shingles & outer.shingles) < CONTAINED * len(inner.shingles):
        return None
    alike = inner.numbers <= outer.numbers and inner.negations == outer.negations
    return "nearly the same as" if alike else None
