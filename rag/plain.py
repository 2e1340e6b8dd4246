"""A plain completion: the chat model over given messages, with no documents and so with no citations.

messages ─ neutralise ─ cut to the window ─ generate ─ Answer
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from rag.answering import Event, Sources, Text
from rag.errors import PromptTooLong
from rag.generation import ChatModel, Sampling
from rag.prompt import neutralise
from rag.schema import Answer, Dropped, Message, Usage
from rag.settings import Settings
from rag.tokens import TokenCounter

MIN_ANSWER_TOKENS = 16


async def complete(
    messages: Sequence[Message],
    keep: str,
    sampling: Sampling,
    model: ChatModel,
    settings: Settings,
    profile: str | None = None,
) -> AsyncGenerator[Event]:
    """One empty Sources, then Text as it comes, then one Answer. Closing the iterator stops the model.

    Where the messages do not fit, the last one loses what follows the first `keep` in it, from there on, as far as
    needed. Raises PromptTooLong where that is not enough and UnknownProfile (before the first event), ModelUnavailable
    at any time.
    """
    started = time.perf_counter()
    facts = await model.facts(profile)
    asked = sampling.max_tokens or settings.max_answer_tokens
    wanted = min(asked, settings.most_answer_tokens)
    # At most half of the window: a wish for a long answer does not push out what it is to be about.
    reserved = max(min(wanted, facts.window // 2), MIN_ANSWER_TOKENS)
    clean = [replace(each, content=neutralise(each.content)) for each in messages]
    prompt, tokens, cut = await fitted(clean, keep, facts.counter, facts.window - reserved)
    answer = min(wanted, reserved)
    dropped = [Dropped("the start of the conversation in the text", "token budget")] if cut else []
    if answer < asked:
        why = "fit" if answer < wanted else "are allowed"
        dropped.append(Dropped("answer", f"{asked} tokens were asked for, {answer} {why}"))
    yield Sources((), None, tuple(dropped), tokens)

    written, usage, reason, first_token = "", Usage(), "stop", None
    ready = time.perf_counter()
    deltas = model.stream(prompt, answer, sampling, profile)
    async with aclosing(deltas):
        async for delta in deltas:
            usage, reason = delta.usage or usage, delta.finish_reason or reason
            if delta.text:
                first_token = first_token or time.perf_counter()
                written += delta.text
                yield Text(delta.text)
    ended = time.perf_counter()
    yield Answer(
        question=messages[-1].content,
        text=written,
        sources=(),
        citations=(),
        finish_reason="length" if reason == "length" else "stop",
        usage=usage,
        dropped=tuple(dropped),
        timings_ms={
            "first_token": ((first_token or ended) - ready) * 1e3,
            "generate": (ended - ready) * 1e3,
            "total": (ended - started) * 1e3,
        },
    )


async def fitted(
    messages: Sequence[Message], keep: str, counter: TokenCounter, limit: int
) -> tuple[list[Message], int, bool]:
    """The messages in at most `limit` tokens, how many those are, and whether something was cut.

    The counter is asked a logarithm of times.

    Raises PromptTooLong where what must stay is too long.
    """
    *before, last = messages
    head, mark, tail = last.content.partition(keep)

    def cut(left: int) -> list[Message]:
        return [*before, replace(last, content=head + mark + tail[len(tail) - left :])]

    if (whole := await counter.count(messages)) <= limit:
        return list(messages), whole, False
    if (least := await counter.count(cut(0))) > limit:
        raise PromptTooLong(
            f"the text takes {least} tokens without the conversation in it, and the model has room for {limit}; send a "
            "shorter one."
        )
    low, high, tokens = 0, len(tail), least
    while high - low > 1:
        middle = (low + high) // 2
        if (counted := await counter.count(cut(middle))) <= limit:
            low, tokens = middle, counted
        else:
            high = middle
    return cut(low), tokens, True
