"""Passages to a prompt inside an exact token budget. Whatever does not fit is left out and reported.

ranked passages ─ joined where they touch ─ repetitions out ─ in order ─ as many of the best as fit ─ prompt
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from rag import prompt
from rag.duplicates import fingerprint, without_repetitions
from rag.errors import PromptTooLong
from rag.neighbours import together
from rag.schema import Context, Dropped, Message, Passage
from rag.tokens import TokenCounter

MIN_ANSWER_TOKENS = 16

# How the passages stand in the prompt. "edges": the best one first, the second best last, the weakest in the middle,
# which long-context models read worst (Liu et al., "Lost in the Middle", TACL 2024).
Order = Literal["best-first", "edges"]


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens. `window` is the model's whole context; `passages` caps what the passages may take of it.

    `answer` is what was asked for, `allowed` the most that may be (None: whatever fits).
    """

    window: int
    answer: int
    passages: int
    allowed: int | None = None

    @property
    def wanted(self) -> int:
        """What the answer gets where it fits."""
        return self.answer if self.allowed is None else min(self.answer, self.allowed)


async def assemble(
    question: str,
    passages: Sequence[Passage],
    history: Sequence[Message],
    counter: TokenCounter,
    budget: Budget,
    order: Order = "best-first",
) -> Context:
    """The fullest prompt that fits, in this order: question, best passages, latest turns of the history.

    As many of the best passages as fit once those that touch are joined and repetitions are out; `order` says only how
    they stand. The same passages in the same ranks always give the same prompt.

    The answer gets what was asked for, or as much as is allowed and fits: at least half of what the question leaves, so
    that a wish for a long answer does not push out the passages that it is to stand on.
    prompt_tokens + max_answer_tokens <= budget.window always holds. The counter is asked a logarithm of times. Raises
    PromptTooLong where the instructions and the question alone leave no room for an answer of 16 tokens.
    """
    counted: dict[tuple[Message, ...], int] = {}

    async def count(messages: tuple[Message, ...]) -> int:
        """Each prompt is counted once: where nothing must go, the last to be counted is the whole one already."""
        if messages not in counted:
            counted[messages] = await counter.count(messages)
        return counted[messages]

    bare = await count(prompt.build(question, (), ()))
    room = budget.window - bare
    if room < MIN_ANSWER_TOKENS:
        raise PromptTooLong(
            f"the question takes {bare} of the model's {budget.window} tokens and leaves no room for an answer; ask a "
            "shorter one."
        )
    reserved = min(budget.wanted, max(room // 2, MIN_ANSWER_TOKENS))
    limit = min(budget.window - reserved, bare + budget.passages)
    prints = cache(fingerprint)

    @cache
    def chosen_of(number: int) -> tuple[list[Passage], list[Dropped]]:
        unique, repeated = without_repetitions(together(passages[:number]), prints)
        reports = [Dropped(f"passage {each.passage.path}", f"{each.how} {each.of.path}") for each in repeated]
        return ordered(unique, order), reports

    async def with_passages(number: int) -> int:
        return await count(prompt.build(question, chosen_of(number)[0], ()))

    kept = await _largest(len(passages), limit, with_passages)
    chosen, repeated = chosen_of(kept)
    dropped = list(repeated)
    if not kept and passages and (shortened := await _shortened(question, passages[0], counter, limit)):
        kept, chosen = 1, [shortened]
        dropped.append(Dropped(f"end of passage {shortened.path}", "token budget"))
    dropped += [Dropped(f"passage {each.path}", "token budget") for each in passages[kept:]]

    whole = budget.window - reserved

    async def with_turns(number: int) -> int:
        return await count(prompt.build(question, chosen, history[len(history) - number :]))

    turns = await _largest(len(history), whole, with_turns)
    if turns < len(history):
        dropped.append(Dropped(f"{len(history) - turns} earliest turns of the conversation", "token budget"))
    messages = prompt.build(question, chosen, history[len(history) - turns :])
    tokens = await count(messages)
    answer = min(budget.wanted, budget.window - tokens)
    if answer < budget.answer:
        why = "fit" if answer < budget.wanted else "are allowed"
        dropped.append(Dropped("answer", f"{budget.answer} tokens were asked for, {answer} {why}"))
    return Context(messages, tuple(chosen), tokens, answer, tuple(dropped))


def ordered(passages: Sequence[Passage], order: Order) -> list[Passage]:
    """Passages, given best first, as they stand in the prompt: with "edges" 1, 3, 5, 6, 4, 2."""
    if order == "best-first":
        return list(passages)
    return [*passages[::2], *reversed(passages[1::2])]


async def _largest(highest: int, limit: int, tokens: Callable[[int], Awaitable[int]]) -> int:
    """The largest n <= highest with tokens(n) <= limit, tokens growing with n. Few calls: counting may be remote.

    Where tokens shrink at some n (a passage that joins two others saves a title) a smaller n may be found, and one
    that does not fit never, but for 0.
    """
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
