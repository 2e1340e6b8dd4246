"""Passages to a prompt inside an exact token budget. Whatever does not fit is left out and reported."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from rag import prompt
from rag.errors import PromptTooLong
from rag.schema import Context, Dropped, Message, Passage
from rag.tokens import TokenCounter

MIN_ANSWER_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens. `window` is the model's whole context; `passages` caps what the passages may take of it."""

    window: int
    answer: int
    passages: int


async def assemble(
    question: str,
    passages: Sequence[Passage],
    history: Sequence[Message],
    counter: TokenCounter,
    budget: Budget,
) -> Context:
    """The fullest prompt that fits, in this order: question, best passages first, latest turns of the history first.

    The answer gets what was asked for, or as much as fits: at least half of what the question leaves, so that a wish
    for a long answer does not push out the passages that it is to stand on.
    prompt_tokens + max_answer_tokens <= budget.window always holds. Raises PromptTooLong where the instructions and
    the question alone leave no room for an answer of 16 tokens.
    """
    dropped: list[Dropped] = []
    bare = await counter.count(prompt.build(question, (), ()))
    room = budget.window - bare
    if room < MIN_ANSWER_TOKENS:
        raise PromptTooLong(
            f"the question takes {bare} of the model's {budget.window} tokens and leaves no room for an answer; ask a "
            "shorter one."
        )
    reserved = min(budget.answer, max(room // 2, MIN_ANSWER_TOKENS))
    limit = min(budget.window - reserved, bare + budget.passages)

    unique, doubles = _without_doubles(passages)
    dropped += doubles

    async def with_passages(number: int) -> int:
        return await counter.count(prompt.build(question, unique[:number], ()))

    kept = await _largest(len(unique), limit, with_passages)
    chosen = unique[:kept]
    if not kept and unique:
        shortened = await _shortened(question, unique[0], counter, limit)
        if shortened:
            chosen = [shortened]
            dropped.append(Dropped(f"end of passage {unique[0].path}", "token budget"))
    dropped += [Dropped(f"passage {each.path}", "token budget") for each in unique[max(kept, len(chosen)) :]]

    whole = budget.window - reserved

    async def with_turns(number: int) -> int:
        return await counter.count(prompt.build(question, chosen, history[len(history) - number :]))

    turns = await _largest(len(history), whole, with_turns)
    if turns < len(history):
        dropped.append(Dropped(f"{len(history) - turns} earliest turns of the conversation", "token budget"))
    messages = prompt.build(question, chosen, history[len(history) - turns :])
    tokens = await counter.count(messages)
    answer = min(budget.answer, budget.window - tokens)
    if answer < budget.answer:
        dropped.append(Dropped("answer", f"{budget.answer} tokens were asked for, {answer} fit"))
    return Context(messages, tuple(chosen), tokens, answer, tuple(dropped))


async def _largest(highest: int, limit: int, tokens: Callable[[int], Awaitable[int]]) -> int:
    """The largest n <= highest with tokens(n) <= limit, tokens growing with n. Few calls: counting may be remote."""
    if highest and await tokens(highest) <= limit:
        return highest
    low, high = 0, highest - 1
    while low < high:
        middle = (low + high + 1) // 2
        if await tokens(middle) <= limit:
            low = middle
        else:
            high = middle - 1
    return max(low, 0)


def _without_doubles(passages: Sequence[Passage]) -> tuple[list[Passage], list[Dropped]]:
    seen: dict[str, Passage] = {}
    doubles: list[Dropped] = []
    for passage in passages:
        key = " ".join(passage.text.split()).casefold()
        if key in seen:
            doubles.append(Dropped(f"passage {passage.path}", f"same text as {seen[key].path}"))
        else:
            seen[key] = passage
    return list(seen.values()), doubles


async def _shortened(question: str, passage: Passage, counter: TokenCounter, limit: int) -> Passage | None:
    """The passage cut after the last word that fits, or None where not even one does."""
    ends = [match.end() for match in re.finditer(r"\S+", passage.text)]

    def cut(words: int) -> Passage:
        text = passage.text[: ends[words - 1]]
        return replace(passage, text=text, end=passage.start + len(text))

    async def tokens(words: int) -> int:
        return await counter.count(prompt.build(question, [cut(words)] if words else [], ()))

    words = await _largest(len(ends), limit, tokens)
    return cut(words) if words else None
