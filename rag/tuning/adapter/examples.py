"""Examples to learn from: the prompt that serving would build, and the answer that is wanted for it.

Retrieval-augmented fine-tuning (Zhang et al., RAFT: Adapting Language Model to Domain Specific RAG, COLM 2024): the
passage that answers among distractors, and for a share of the questions distractors alone, to which the answer is the
sentence with which the service itself abstains. `rag.context` builds the prompt, so learnt and served are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from rag.citations import content_words
from rag.context import Budget, assemble
from rag.prompt import ABSTENTION
from rag.schema import Message, Passage
from rag.tokens import TokenCounter
from rag.tuning.adapter.pairs import Pair, Pairs, Source
from rag.tuning.adapter.windows import window


@dataclass(frozen=True, slots=True)
class Shape:
    """How examples look: numbers of passages and words of each, both drawn evenly, and shares of the questions.

    `unanswerable` is the share whose answering passage is absent; `near` the share of distractors from the same article
    or document; `hard` the share of distractors chosen because they have most of the question's words.
    """

    passages: tuple[int, int] = (1, 3)
    words: tuple[int, int] = (30, 120)
    unanswerable: float = 0.35
    near: float = 0.6
    hard: float = 0.5


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the answer wanted for it. `gold` is the number of the passage that answers, None where none does."""

    pair: Pair
    messages: tuple[Message, ...]
    passages: tuple[Passage, ...]
    gold: int | None

    @property
    def target(self) -> str:
        """The answer's words and the marker of its passage, or the service's own abstention."""
        if self.gold is None:
            return ABSTENTION
        return f"{self.pair.answer.rstrip('.')} [{self.gold}]."


def make_examples(pairs: Pairs, shape: Shape, counter: TokenCounter, budget: Budget, seed: int) -> list[Example]:
    """One example for each pair, always the same for the same seed; none where the budget cuts the answer off."""

    async def made() -> list[Example]:
        found = []
        draws = Distractors(pairs.corpus)
        for pair in pairs.pairs:
            example = await _example(pair, draws, shape, counter, budget, Random(f"{seed}:{pair.id}"))  # noqa: S311
            if example is not None:
                found.append(example)
        return found

    return asyncio.run(made())


async def _example(
    pair: Pair, pool: Distractors, shape: Shape, counter: TokenCounter, budget: Budget, draw: Random
) -> Example | None:
    answerable = draw.random() >= shape.unanswerable
    count = draw.randint(*shape.passages)
    chosen = [_passage(source, shape, draw) for source in pool.drawn(pair, count - answerable, shape, draw)]
    chosen = [each for each in chosen if pair.answer.casefold() not in each.text.casefold()]
    if answerable:
        gold = _passage(pair.source, shape, draw, (pair.start, pair.start + len(pair.answer)))
        chosen.insert(draw.randint(0, len(chosen)), gold)
    if not chosen:
        return None
    context = await assemble(pair.question, chosen, (), counter, budget)
    numbers = [
        number
        for number, each in enumerate(context.passages, start=1)
        if each.uri == pair.source.id and pair.answer in each.text
    ]
    if not context.passages or (answerable and not numbers):
        return None
    return Example(pair, context.messages, context.passages, numbers[0] if answerable else None)


class Distractors:
    """Texts that do not answer a question: of the same article or others, some of them because they look like it."""

    def __init__(self, corpus: Sequence[Source]) -> None:
        self._corpus = corpus
        self._words = {each.id: content_words(each.text) for each in corpus}

    def drawn(self, pair: Pair, count: int, shape: Shape, draw: Random) -> Iterator[Source]:
        """Up to `count` different texts, none of them the answering one."""
        asked = content_words(pair.question)
        answer = pair.answer.casefold()
        others = [each for each in self._corpus if each.id != pair.source.id]
        taken: set[str] = set()
        for _ in range(count):
            near = draw.random() < shape.near
            free = [each for each in others if each.id not in taken]
            sided = [each for each in free if (each.group == pair.source.group) == near] or free
            if draw.random() < shape.hard:
                sided = sorted(sided, key=lambda each: -len(asked & self._words[each.id]))[:2]
            sided = [each for each in sided if len(answer) > 40 or answer not in each.text.casefold()]
            if sided:
                found = draw.choice(sided)
                taken.add(found.id)
                yield found


def _passage(source: Source, shape: Shape, draw: Random, span: tuple[int, int] | None = None) -> Passage:
    start, end = window(source.text, draw.randint(*shape.words), draw, span)
    return Passage(
        id=f"{source.id}:{start}",
        text=source.text[start:end],
        score=1.0,
        uri=source.id,
        path=source.id,
        title=source.title,
        heading_path=(),
        ordinal=0,
        start=start,
        end=end,
    )
