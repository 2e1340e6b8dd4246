"""Questions that come at the end of a conversation: what of it is searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval.datasets import Query
    from rag.schema import Message
    from rag.settings import Settings


class Turns(StrEnum):
    """The question as it stands, what the service would make of it, or all that was said."""

    LAST = "last"
    REWRITTEN = "rewritten"
    CONVERSATION = "conversation"


_USER = frozenset({"user", "human"})


def history(query: Query) -> tuple[Message, ...]:
    """The turns before a question, the latest last; what is no turn is passed over."""
    from rag.schema import Message

    given = query.metadata.get("history")
    found = []
    for each in given if isinstance(given, list) else ():
        if isinstance(each, dict):
            text = each.get("content", each.get("text"))
            speaker = str(each.get("role", each.get("speaker", "")))
            if isinstance(text, str) and text.strip() and speaker != "system":
                found.append(Message("user" if speaker in _USER else "assistant", text))
    return tuple(found)


async def as_searched(queries: Sequence[Query], turns: Turns, settings: Settings) -> tuple[Query, ...]:
    """The same questions with the text that is searched for them. Only `rewrite = model` asks anybody."""
    if turns is Turns.LAST:
        return tuple(queries)
    if turns is Turns.CONVERSATION:
        return tuple(replace(each, text=_whole(each)) for each in queries)
    if settings.rewrite == "model":
        return await _by_model(queries, settings)
    if settings.rewrite == "off":
        return tuple(queries)
    from rag.rewriting import rewrite

    return tuple(replace(each, text=rewrite(each.text, history(each), settings.bm25_language).text) for each in queries)


def _whole(query: Query) -> str:
    """All turns in their order, or the latest of them where they are more than a search takes."""
    from rag.retrieval import MAX_QUERY_CHARACTERS

    return "\n".join([*(each.content for each in history(query)), query.text])[-MAX_QUERY_CHARACTERS:]


async def _by_model(queries: Sequence[Query], settings: Settings) -> tuple[Query, ...]:
    from rag.generation import ChatModel
    from rag.rewriting import rewrite_with_model

    model = ChatModel(settings)
    try:
        await model.check()  # else the rules would do the work in silence
        found = [
            (await rewrite_with_model(each.text, history(each), model, settings.bm25_language)).text for each in queries
        ]
    finally:
        await model.aclose()
    return tuple(replace(each, text=text) for each, text in zip(queries, found, strict=True))
