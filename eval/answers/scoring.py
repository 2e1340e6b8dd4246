"""From kept answers to numbers: each measure by question, its mean, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from eval.answers.journal import Given
from eval.answers.questions import Asked
from eval.answers.refusing import Abstention, abstention, f1_interval, is_refusal, separation
from eval.answers.support import LexicalTest, measure_support
from eval.answers.text import contains, exact_match, statements, token_f1, without_markers
from eval.statistics import bootstrap_interval

ABSTENTION_F1 = "AbstentionF1"
# In the order in which they are shown; the first that could be measured is the one to decide by.
MEASURES = (
    "F1",
    "EM",
    "Contains",
    "CitationRecall",
    "CitationPrecision",
    "Cited",
    "CitedRelevant",
    "Grounded",
    ABSTENTION_F1,
    "Refused",
    "Answered",
    "Supplied",
)
# Measured by the lexical test; a report says so.
LEXICAL = ("CitationRecall", "CitationPrecision", "Grounded")
# Need a model's answers: not measured by retrieval alone.
OF_ANSWERS = frozenset(MEASURES[: MEASURES.index(ABSTENTION_F1)])


@dataclass(frozen=True, slots=True)
class Scored:
    """`per_query[measure][question]` in [0, 1]; `metrics` are their means (AbstentionF1 has no values by question);
    `facts` is what else a report says."""

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    per_query: Mapping[str, Mapping[str, float]]
    refused: Mapping[str, bool]
    facts: Mapping[str, Any] = field(default_factory=dict)


def score(asked: Sequence[Asked], answers: Mapping[str, Given], retrieval_only: bool = False) -> Scored:
    """Measure the answers. Raises ValueError for no questions.

    A refused or failed answer to an answerable question scores 0 in F1, EM and Contains. Citations and groundedness are
    those of answers that were given, to whatever question; of a refusal there is nothing to cite.
    """
    refused = {each.id: is_refused(answers[each.id], retrieval_only) for each in asked}
    per_query: dict[str, dict[str, float]] = {name: {} for name in MEASURES}
    for each in asked:
        found = _retrieved(each, answers[each.id], refused[each.id])
        if not retrieval_only:
            found.update(_answered(each, answers[each.id], refused[each.id]))
        for name, value in found.items():
            per_query[name][each.id] = round(value, 6)
    metrics: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    can = {each.id: each.answerable for each in asked if each.kind != "underspecified"}
    counts = abstention(can, refused)
    for name in MEASURES:
        values = list(per_query[name].values())
        if values:
            metrics[name], interval = sum(values) / len(values), bootstrap_interval(values)
        elif name == ABSTENTION_F1 and counts.f1 is not None:
            metrics[name], interval = counts.f1, f1_interval(can, refused)
        else:
            continue
        metrics[name] = round(metrics[name], 6)
        intervals[name] = (round(interval[0], 6), round(interval[1], 6))
    known = {name: values for name, values in per_query.items() if values}
    return Scored(metrics, intervals, known, refused, _facts(asked, answers, refused, counts, known))


def is_refused(answer: Given, retrieval_only: bool = False) -> bool:
    """Whether there is no answer: the service abstained, or the model's words decline."""
    return answer.abstained or (not retrieval_only and answer.failed is None and is_refusal(answer.text))


def _retrieved(asked: Asked, answer: Given, refused: bool) -> dict[str, float]:
    """What needs no model: Refused and Answered by whether it was right, Supplied where documents are judged."""
    found: dict[str, float] = {}
    if asked.kind == "unanswerable":
        found["Refused"] = float(refused)
    elif asked.answerable:
        found["Answered"] = float(not refused)
        if asked.relevant:
            found["Supplied"] = float(any(each.document in asked.relevant for each in answer.sources))
    return found


def _answered(asked: Asked, answer: Given, refused: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    given = not refused and answer.failed is None
    if asked.answerable and asked.gold:
        words = without_markers(answer.text, answer.citations) if given else ""
        found["F1"] = token_f1(words, asked.gold) if given else 0.0
        found["EM"] = exact_match(words, asked.gold) if given else 0.0
        found["Contains"] = float(given and contains(words, asked.gold))
    if not given:
        return found
    cited = {each.number for each in answer.citations if 1 <= each.number <= len(answer.sources)}
    found["Cited"] = float(bool(cited))
    if asked.answerable and asked.relevant:
        found["CitedRelevant"] = float(any(answer.sources[number - 1].document in asked.relevant for number in cited))
    passages = [each.text for each in answer.sources]
    gold = asked.gold if asked.answerable else ()
    support = measure_support(statements(answer.text, answer.citations), passages, LexicalTest(gold))
    if support is not None:
        found["CitationRecall"] = support.recall
        found["CitationPrecision"] = support.precision
        found["Grounded"] = support.grounded
    return found


def _facts(
    asked: Sequence[Asked],
    answers: Mapping[str, Given],
    refused: Mapping[str, bool],
    counts: Abstention,
    per_query: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    citations = [each for one in asked for each in answers[one.id].citations]
    hidden = [each for each in asked if each.hidden]
    answerable = [r for each in asked if each.answerable and (r := answers[each.id].relevance) is not None]
    others = [r for each in asked if each.kind == "unanswerable" and (r := answers[each.id].relevance) is not None]
    return {
        "questions": {kind: sum(each.kind == kind for each in asked) for kind in sorted({e.kind for e in asked})},
        "refused": {
            kind: sum(refused[each.id] for each in asked if each.kind == kind)
            for kind in sorted({e.kind for e in asked})
        },
        "abstained_before_model": sum(answers[each.id].abstained for each in asked),
        "abstention": {
            **asdict(counts),
            "recall": counts.recall,
            "precision": counts.precision,
            "f1": counts.f1,
            "false_refusals": counts.false_refusals,
        },
        "relevance_auc": separation(answerable, others),
        "failed": sum(answers[each.id].failed is not None for each in asked),
        "cut_short": sum(answers[each.id].finish_reason == "length" for each in asked),
        "citations_by_model": sum(each.origin == "model" for each in citations),
        "citations_matched": sum(each.origin == "matched" for each in citations),
        "hidden": len(hidden),
        "hidden_but_gold_supplied": sum(
            any(contains(source.text, each.gold) for source in answers[each.id].sources) for each in hidden
        ),
        "by_turn": _by_turn(asked, per_query),
    }


def _by_turn(asked: Sequence[Asked], per_query: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Means of first turns and of later ones, where there are both."""
    groups = {
        "first": {each.id for each in asked if not each.history},
        "later": {each.id for each in asked if each.history},
    }
    if not all(groups.values()):
        return {}
    found: dict[str, dict[str, float]] = {}
    for name, members in groups.items():
        found[name] = {"questions": len(members)}
        for measure, values in per_query.items():
            mine = [value for query, value in values.items() if query in members]
            if mine:
                found[name][measure] = round(sum(mine) / len(mine), 6)
    return found
