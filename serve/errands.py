"""Errands: what a chat interface asks behind its user's back, to name or tag a conversation. No question to documents.

Open WebUI sends them to the chat's own model: one user message that begins with "### Task:" and the task's first words,
and holds the conversation between <chat_history> tags.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.schema import Message

# Titles, tags, image prompts; follow-ups; search queries; completions of what is being typed.
_FIRST_WORDS = re.compile(
    r"\s*### Task:\s+(?:"
    r"Generate (?:a concise\b[^\n]{0,60}\btitle\b|1-3 broad tags\b|a detailed prompt for an?m? image generation task\b)"
    r"|Suggest 3-5 relevant follow-up questions\b"
    r"|Analyze the chat history to determine the necessity of generating search queries\b"
    r"|You are an autocompletion system\."
    r")"
)
HISTORY = "<chat_history>"
_HISTORY_ENDS = "</chat_history>"


def is_errand(messages: Sequence[Message]) -> bool:
    """Whether the request is an errand. Narrow: a question that is wrongly taken for one would get no sources.

    It is its request's only turn beside system messages, opens as the known templates do, and holds a conversation.
    """
    turns = [each for each in messages if each.role != "system"]
    if len(turns) != 1 or turns[0].role != "user" or not _FIRST_WORDS.match(turns[0].content):
        return False
    _, tag, rest = turns[0].content.partition(f"\n{HISTORY}\n")
    return bool(tag) and _HISTORY_ENDS in rest
