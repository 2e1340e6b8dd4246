"""'I don't know': whether an answer says so, and how often it is said where it should be and where it should not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.statistics import CONFIDENCE, RESAMPLES, SEED

# What models say instead of an answer. It must stand in the first sentence: "It runs pods. I don't know why" answers.
_REFUSALS = re.compile(
    r"\bi (?:do not|don't|cannot|can't|can not|am unable to|am not able to|could not|couldn't) "
    r"(?:know|answer|say|tell|find|have (?:any |enough |that |this |the |much |specific |sufficient )?"
    r"(?:information|answer|knowledge|details?))\b"
    r"|\b(?:passages?|documents?|context|text) (?:do not|does not|don't|doesn't) "
    r"(?:answer|say|mention|contain|provide|include|specify|state|have)\b"
    r"|\b(?:no|not enough|insufficient) information\b"
    r"|\bnot (?:mentioned|specified|stated|provided) in the (?:passages?|documents?|context|text)\b"
)
_FIRST = re.compile(r"[.!?\n]")


def is_refusal(text: str) -> bool:
    """Whether an answer declines to answer: empty, or with words of refusal in its first sentence."""
    plain = text.replace("’", "'").casefold().strip()
    if not plain:
        return True
    return _REFUSALS.search(" ".join(_FIRST.split(plain, maxsplit=1)[0].split())) is not None


@dataclass(frozen=True, slots=True)
class Abstention:
    """Counts, and what they come to. None where there is nothing to divide by.

    recall = refused unanswerable / unanswerable; precision = refused unanswerable / refused; f1 = 2PR / (P + R);
    false_refusals = refused answerable / answerable. Source: refusal as a class to be found, as the no-answer part of
    SQuAD 2.0 (Rajpurkar et al., ACL 2018) and the unanswerable turns of MTRAG (Katsis et al., TACL 2025).
    """

    unanswerable: int
    refused_unanswerable: int
    answerable: int
    refused_answerable: int

    @property
    def recall(self) -> float | None:
        """Refused, of those that should be."""
        return self.refused_unanswerable / self.unanswerable if self.unanswerable else None

    @property
    def false_refusals(self) -> float | None:
        """Refused, of those that should not be."""
        return self.refused_answerable / self.answerable if self.answerable else None

    @property
    def precision(self) -> float | None:
        """Should be, of those refused."""
        refused = self.refused_unanswerable + self.refused_answerable
        return self.refused_unanswerable / refused if refused else None

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None where nothing is unanswerable."""
        if not self.unanswerable:
            return None
        true = self.refused_unanswerable
        return 2 * true / (true + self.refused_answerable + self.unanswerable)


def abstention(answerable: Mapping[str, bool], refused: Mapping[str, bool]) -> Abstention:
    """Both by question: whether it can be answered, and whether an answer was refused."""
    return Abstention(
        unanswerable=sum(not can for can in answerable.values()),
        refused_unanswerable=sum(refused[each] and not can for each, can in answerable.items()),
        answerable=sum(answerable.values()),
        refused_answerable=sum(refused[each] and can for each, can in answerable.items()),
    )


def f1_interval(answerable: Mapping[str, bool], refused: Mapping[str, bool]) -> tuple[float, float]:
    """The percentile bootstrap interval (95%) of `Abstention.f1`, over the questions; samples without an unanswerable
    question and without a refusal count 0. Raises ValueError for no questions.

    F1 is no mean of questions' own values, so whole questions are drawn and it is computed anew each time. Source:
    Efron and Tibshirani, 1993, chapter 13.
    """
    import numpy as np

    if not answerable:
        raise ValueError("an interval needs at least one question")
    should = np.array([not can for can in answerable.values()], dtype=np.int64)
    did = np.array([refused[each] for each in answerable], dtype=np.int64)
    draw = np.random.default_rng(SEED)
    values = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        chosen = draw.integers(0, should.size, should.size)
        whole = should[chosen].sum() + did[chosen].sum()
        values[number] = 2 * (should[chosen] * did[chosen]).sum() / whole if whole else 0.0
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def separation(answerable: Sequence[float], unanswerable: Sequence[float]) -> float | None:
    """The chance that an answerable question's relevance is above an unanswerable one's, ties half: the area under the
    ROC curve. 0.5 is a coin; None where one side is empty.

    What no threshold could pass, whatever its value. Source: Hanley and McNeil, Radiology 143, 1982 (Mann-Whitney U).
    """
    if not answerable or not unanswerable:
        return None
    from bisect import bisect_left, bisect_right

    ordered = sorted(unanswerable)
    below = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in answerable)
    return below / 2 / (len(answerable) * len(unanswerable))
