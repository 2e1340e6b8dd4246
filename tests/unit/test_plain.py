"""A plain completion's prompt fits the window, and what is cut is the start of what may be cut."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import PromptTooLong
from rag.plain import fitted
from rag.schema import Message
from rag.tokens import ByteTokenCounter

KEEP = "<history>"
COUNTER = ByteTokenCounter()


@given(st.text(max_size=60), st.text(max_size=300), st.integers(0, 400))
def test_the_fullest_text_that_fits_is_sent(head: str, tail: str, limit: int) -> None:
    given_ = [Message("system", "Be brief."), Message("user", f"{head}{KEEP}{tail}")]

    async def check() -> None:
        try:
            messages, tokens, cut = await fitted(given_, KEEP, COUNTER, limit)
        except PromptTooLong:
            kept = given_[1].content.partition(KEEP)[0] + KEEP
            assert await COUNTER.count([given_[0], Message("user", kept)]) > limit
            return
        assert await COUNTER.count(messages) == tokens <= limit
        assert cut == (messages != given_)
        start, mark, rest = messages[1].content.partition(KEEP)
        assert given_[1].content.startswith(start + mark)
        assert given_[1].content.endswith(rest)
        if cut:  # one character more would not fit
            longer = Message("user", start + mark + given_[1].content[-len(rest) - 1 :])
            assert await COUNTER.count([given_[0], longer]) > limit

    asyncio.run(check())


def test_without_the_mark_nothing_may_be_cut() -> None:
    with pytest.raises(PromptTooLong, match="500"):
        asyncio.run(fitted([Message("user", "x" * 1000)], KEEP, COUNTER, 500))
