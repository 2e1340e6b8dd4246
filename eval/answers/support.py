"""Does a passage support a sentence? A lexical test that is always the same, and what is computed with it or a judge.

The test reads words, not meaning: it passes a sentence that says the opposite in the passage's words, and fails a free
paraphrase. Every number made with it is named lexical.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.answers.text import Statement, contains, normalised
from rag.citations import content_words

# The share of a sentence's content words that must stand in the passages.
COVERAGE = 0.7
# Gold answers of more words are no span to look for in a passage.
SPAN_WORDS = 12

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

# Whether passages (their texts) together support a sentence.
Supports = Callable[[str, Sequence[str]], bool]


@dataclass(frozen=True, slots=True)
class LexicalTest:
    """Passages support a sentence where (a) one of them and the sentence hold the same gold answer, or (b) at least
    `COVERAGE` of the sentence's content words, and all of its numbers, stand in them.

    Stands for the entailment model of ALCE (Gao et al., EMNLP 2023); (b) is unigram precision as in Dunn et al. 2017
    and the knowledge-F1 family (Shuster et al., EMNLP 2021), over stemmed content words.
    """

    gold: tuple[str, ...] = ()

    def __call__(self, sentence: str, passages: Sequence[str]) -> bool:
        """Whether `passages` together support `sentence`. No passage supports nothing."""
        if not passages:
            return False
        spans = [each for each in self.gold if len(normalised(each).split()) <= SPAN_WORDS]
        if any(contains(sentence, [span]) and contains(passage, [span]) for span in spans for passage in passages):
            return True
        words = content_words(sentence)
        there = frozenset[str]().union(*map(content_words, passages))
        known = {each for passage in passages for each in _NUMBER.findall(passage)}
        return bool(words) and len(words & there) >= COVERAGE * len(words) and set(_NUMBER.findall(sentence)) <= known


@dataclass(frozen=True, slots=True)
class Support:
    """How well an answer's citations and sentences hold, each in [0, 1]."""

    recall: float
    precision: float
    grounded: float


def measure_support(found: Sequence[Statement], passages: Sequence[str], supports: Supports) -> Support | None:
    """Citation recall and precision, and groundedness, of one answer; None where it states nothing.

    `passages[k]` is what marker k + 1 names.
    - recall: the share of sentences that have citations and are supported by all cited passages together.
    - precision: the share of citations that count. A citation counts where its sentence is supported and it is not
      irrelevant; it is irrelevant where it alone does not support the sentence and the others do without it. 0 where
      there is no citation.
    - grounded: the share of sentences that all supplied passages together support, cited or not.

    Source of the first two: ALCE, Gao et al., Enabling Large Language Models to Generate Text with Citations, EMNLP
    2023, section 3; an answer is scored by its own mean, as in its code.
    """
    if not found:
        return None
    recalled = counted = total = grounded = 0
    for each in found:
        grounded += supports(each.text, passages)
        cited = [number for number in each.cited if 1 <= number <= len(passages)]
        total += len(cited)
        if not cited or not supports(each.text, [passages[number - 1] for number in cited]):
            continue
        recalled += 1
        counted += sum(_counts(each.text, number, cited, passages, supports) for number in cited)
    return Support(recalled / len(found), counted / total if total else 0.0, grounded / len(found))


def _counts(sentence: str, number: int, cited: Sequence[int], passages: Sequence[str], supports: Supports) -> bool:
    others = [passages[other - 1] for other in cited if other != number]
    return not others or supports(sentence, [passages[number - 1]]) or not supports(sentence, others)
