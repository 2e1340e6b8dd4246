"""Replies to examples as the service would show them, measured like answers of the whole service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.answers.journal import Given, Source
from eval.answers.questions import Asked
from eval.answers.scoring import Scored, score
from rag.citations import CitationFilter
from rag.tuning.adapter.examples import Example


@dataclass(frozen=True, slots=True)
class Replied:
    """The replies to examples, measured. `own` is the share of answers given that the model itself gave a valid
    citation, the service's matching left out; `given` names those answers."""

    scored: Scored
    own: float
    given: tuple[str, ...]


def measure(examples: Sequence[Example], texts: Sequence[str]) -> Replied:
    """Measure one reply for each example. Raises ValueError where there are none."""
    asked = [_asked(number, each) for number, each in enumerate(examples)]
    given = {one.id: _given(one.id, *both) for one, both in zip(asked, zip(examples, texts, strict=True), strict=True)}
    scored = score(asked, given)
    answers = [each for each in given.values() if not scored.refused[each.id]]
    own = sum(any(each.origin == "model" for each in one.citations) for one in answers)
    return Replied(scored, own / len(answers) if answers else 0.0, tuple(each.id for each in answers))


def _asked(number: int, example: Example) -> Asked:
    can = example.gold is not None
    return Asked(
        id=f"{number}:{example.pair.id}",
        text=example.pair.question,
        kind="answerable" if can else "unanswerable",
        gold=(example.pair.answer,),
        relevant=frozenset([example.pair.source.id]) if can else frozenset(),
    )


def _given(identity: str, example: Example, text: str) -> Given:
    shown = CitationFilter(example.passages, example.pair.question)
    shown.feed(text)
    shown.finish()
    sources = tuple(Source(each.uri, f"{each.title}\n{each.text}") for each in example.passages)
    return Given(identity, shown.text, False, tuple(shown.citations), sources)
